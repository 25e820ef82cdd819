/** Streams share the event loop: each of its turns has time for some of them, and the others go on in their order. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createStreamTurns } from '../../src/attempt/stream-turns.ts';
import { startChain } from '../support/chain.ts';
import { type Wire, wires } from '../support/replies.ts';
import { standingTime } from '../support/time.ts';
import { answers } from '../support/upstream.ts';

test('one turn has time for streams until it is used up', async () => {
  const time = standingTime();
  const turns = createStreamTurns(time.world.clock);
  expect([turns.mayRead(), turns.mayRead()]).toEqual([true, true]);
  time.pass(4);
  expect(turns.mayRead()).toBe(false);
  await turn();
  expect(turns.mayRead()).toBe(true);
});

test('who waits goes on in order, as far as the time of each turn goes, and before others', async () => {
  const time = standingTime();
  const turns = createStreamTurns(time.world.clock);
  const read: number[] = [];
  const wait = (i: number): void =>
    turns.wait(() => {
      read.push(i);
      time.pass(3);
    });
  for (let i = 0; i < 5; i++) wait(i);
  expect(turns.mayRead()).toBe(false);
  const after: number[] = [];
  while (read.length < 6) {
    await turn();
    if (after.length === 0) wait(5);
    after.push(read.length);
    expect(turns.mayRead()).toBe(read.length === 6);
  }
  expect(read).toEqual([0, 1, 2, 3, 4, 5]);
  // 3 ms each, of 4.
  expect(after).toEqual([2, 4, 6]);
});

test.each(wires)('$name: a stream is whole though each of its chunks has to wait', async (wire: Wire) => {
  let nowMs = 0;
  // Each look at the clock takes longer than a turn has for streams.
  const world = { clock: () => (nowMs += 5) };
  const words = Array.from({ length: 200 }, (_, i) => `${i}-${'x'.repeat(1000)} `);
  const chain = await startChain(wire, [[answers(wire, ...words)]], {}, world);
  const texts = await Promise.all(
    Array.from({ length: 5 }, async () => wire.textOf(await (await chain.stream()).all())),
  );
  expect(texts).toEqual(texts.map(() => words.join('')));
});

test('what came before a connection broke is passed on though it had to wait', async () => {
  const [wire] = wires;
  if (wire === undefined) throw new Error('no dialect');
  let nowMs = 0;
  const chain = await startChain(
    wire,
    [
      [
        (call) => {
          call.streamHead();
          for (const event of wire.stream('one ', 'two ').slice(0, -2)) call.write(event);
          call.cut();
        },
      ],
    ],
    {},
    { clock: () => (nowMs += 5) },
  );
  const text = await (await chain.stream()).all();
  expect(text).toContain('two ');
  expect(text).toContain('stream_cut');
});
