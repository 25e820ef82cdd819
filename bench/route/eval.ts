/** Evaluates the classifier on labelled prompts: `npm run eval:route -- FILE.jsonl`. The last line is JSON. */
import { fileURLToPath } from 'node:url';
import { classify, tiers } from '../../src/native/classify.ts';
import { best } from './model.ts';
import { heldOut, type Prompt, readPrompts } from './prompts.ts';
import { type Classified, score, scoreText } from './score.ts';

/** Id of OpenAI's chat completions for `inspect`. */
const chatId = 0;

/** Classifies each prompt. @throws on a body that isn't a request */
export const classifyAll = (prompts: readonly Prompt[]): Classified[] =>
  prompts.map(({ body, tier, text }) => {
    const found = classify(body, chatId);
    if (found === null) throw new Error(`not a request: ${text.slice(0, 80)}`);
    return { label: tiers.indexOf(tier), given: best(found.scores), bytes: body.length };
  });

function main(path: string | undefined): void {
  const own = fileURLToPath(new URL('../../test/fixtures/route/prompts.jsonl', import.meta.url));
  const classified = classifyAll(readPrompts(path ?? own));
  if (path === undefined) {
    console.log(
      `Without the lines it was trained on:\n${scoreText(score(classified.filter((_, i) => heldOut(i))))}\n`,
    );
    console.log(`All lines of ${own}:`);
  }
  const all = score(classified);
  console.log(scoreText(all));
  console.log(JSON.stringify({ tiers, ...all }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv[2]);
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : cause);
    process.exitCode = 1;
  }
}
