/** The classifier on labelled prompts, and what it costs and saves. */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { classifyAll } from '../../bench/route/eval.ts';
import { heldOut, readPrompts } from '../../bench/route/prompts.ts';
import { score, scoreText } from '../../bench/route/score.ts';
import { classify, featureNames, tiers } from '../../src/native/classify.ts';
import { bodyFlags, inspect, nativeEndpoint } from '../../src/native/inspect.ts';
import { findNothing } from '../../src/native/pii.ts';

const prompts = readPrompts(fileURLToPath(new URL('../fixtures/route/prompts.jsonl', import.meta.url)));
const key = Buffer.alloc(32);

/** The tier that stage inspect gives a request. */
function tierOf(body: Buffer | string, endpoint = nativeEndpoint.Chat) {
  const found = inspect(Buffer.from(body), endpoint, findNothing, true, key);
  if ('kind' in found) throw new Error(found.kind);
  return found;
}
const ask = (content: string, more: object = {}): string =>
  JSON.stringify({ model: 'm', messages: [{ role: 'user', content }], ...more });

describe('labelled prompts', () => {
  const told = classifyAll(prompts);

  test('there are enough, of all tiers', () => {
    expect(prompts.length).toBeGreaterThanOrEqual(300);
    for (const tier of tiers) expect(prompts.filter((each) => each.tier === tier).length).toBeGreaterThan(80);
    expect(new Set(prompts.map(({ text }) => text)).size).toBe(prompts.length);
  });

  test('are classified, including prompts it was not trained on', () => {
    const unseen = score(told.filter((_, index) => heldOut(index)));
    console.log(`held out from training\n${scoreText(unseen)}\n\nall\n${scoreText(score(told))}`);
    expect(unseen.accuracy).toBeGreaterThan(0.85);
    expect(unseen.complexTooLow).toBeLessThan(0.15);
    expect(unseen.costSaved).toBeGreaterThan(0.4);
  });

  test('get the same tier when inspected as when explained', () => {
    for (const [index, { body }] of prompts.entries()) {
      expect(tierOf(body).tier).toBe(tiers[told[index]?.given ?? -1]);
    }
  });
});

describe('a request', () => {
  test('is only classified where a route needs it', () => {
    const body = Buffer.from(ask('Prove that there are infinitely many primes.'));
    expect(inspect(body, nativeEndpoint.Chat, findNothing, false, key)).toMatchObject({ tier: null });
    expect(tierOf(body)).toMatchObject({ tier: 'complex' });
  });

  test('is classified alike in both dialects and with any order of fields', () => {
    const turn = { role: 'user', content: 'Summarize this article in three bullet points: …' };
    const system = 'You are a careful editor.';
    const openai = { model: 'm', messages: [{ role: 'system', content: system }, turn] };
    const anthropic = {
      messages: [{ content: turn.content, role: 'user' }],
      system,
      model: 'm',
      max_tokens: 5,
    };
    expect(tierOf(JSON.stringify(openai)).tier).toBe('moderate');
    expect(tierOf(JSON.stringify(anthropic), 2).tier).toBe('moderate');
    const parts = {
      ...openai,
      messages: [{ role: 'user', content: [{ type: 'text', text: turn.content }] }],
    };
    expect(tierOf(JSON.stringify(parts)).tier).toBe('moderate');
  });

  test('is recognised as code by its shape, and as audio by its parts', () => {
    const code = tierOf(ask('What does this do?\n```js\nconst a = (b) => { return b[0] === c; };\n```'));
    expect(code.flags & bodyFlags.code).not.toBe(0);
    expect(tierOf(ask('What does this do?')).flags & bodyFlags.code).toBe(0);
    const audio = { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] };
    expect(tierOf(JSON.stringify(audio)).flags & bodyFlags.audio).not.toBe(0);
  });

  test('of any text and nesting has a tier, the same each time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 5000 }), fc.jsonValue(), (text, more) => {
        const body = ask(text, {
          extra: more,
          system: more,
          messages: [{ role: 'user', content: text }, more],
        });
        const found = classify(Buffer.from(body), 0);
        if (found === null) return;
        expect(found.features).toHaveLength(featureNames().length);
        expect(classify(Buffer.from(body), 0)).toEqual(found);
        expect(tiers).toContain(tierOf(body).tier);
      }),
    );
  });

  test('with a fault has no tier', () => {
    expect(classify(Buffer.from('{'), 0)).toBeNull();
    expect(classify(Buffer.from([0xff]), 0)).toBeNull();
    expect(() => classify(Buffer.from('{}'), 99 as never)).toThrow('Endpoint');
  });
});
