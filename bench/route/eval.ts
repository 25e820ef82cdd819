/** Holds the classifier against labelled prompts: `npm run eval:route -- FILE.jsonl`. The last line is JSON. */
import { fileURLToPath } from 'node:url';
import { classify, tiers } from '../../src/native/classify.ts';
import { best } from './model.ts';
import { heldOut, type Prompt, readPrompts } from './prompts.ts';
import { score, scoreText, type Told } from './score.ts';

/** Of `inspect`: OpenAI's chat completions. */
const chatId = 0;

/** What tier each prompt is given. @throws on a body that isn't a request */
export const tell = (prompts: readonly Prompt[]): Told[] =>
  prompts.map(({ body, tier, text }) => {
    const found = classify(body, chatId);
    if (found === null) throw new Error(`not a request: ${text.slice(0, 80)}`);
    return { label: tiers.indexOf(tier), given: best(found.scores), bytes: body.length };
  });

function main(path: string | undefined): void {
  const own = fileURLToPath(new URL('../../test/fixtures/route/prompts.jsonl', import.meta.url));
  const told = tell(readPrompts(path ?? own));
  if (path === undefined) {
    console.log(
      `Without the lines it was trained on:\n${scoreText(score(told.filter((_, i) => heldOut(i))))}\n`,
    );
    console.log(`All lines of ${own}:`);
  }
  const all = score(told);
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
