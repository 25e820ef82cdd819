/** Many large prompts at once: each waits for its turn in the threads, and none is refused for their number. */
import { expect, onTestFinished, test } from 'vitest';
import { startGate } from '../support/gate.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';

test('300 prompts of 100 KB at once are all answered', async () => {
  const gate = await startGate([answers(wire, 'fine')], { cache: { enabled: false } });
  onTestFinished(() => gate.stop());
  const long = 'All work and no play. '.repeat(4700);
  const replies = await Promise.all(Array.from({ length: 300 }, (_, i) => gate.ask(wire, `${i} ${long}`)));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
});
