/** Records of one turn of the event loop: handled after its replies, in order, each by all handlers, whatever one throws. */
import { setImmediate as turnOver } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createTurn, type Ended } from '../../src/observe/turn.ts';
import { recordOf } from '../support/segments.ts';

const ended = (id: string): Ended => ({ record: recordOf(id), endedMs: 1, said: null });

/** A turn with two handlers, of which the first throws at requests named `bad`. */
function follow() {
  const seen: string[] = [];
  const defects: string[] = [];
  const turn = createTurn(
    [
      ({ record }) => {
        if (record.requestId === 'bad') throw new Error('of a handler');
        seen.push(`a ${record.requestId}`);
      },
      ({ record }) => void seen.push(`b ${record.requestId}`),
    ],
    (requestId, cause) => defects.push(`${requestId}: ${(cause as Error).message}`),
  );
  return { turn, seen, defects };
}

test('records wait for the end of the turn, and are handled in the order in which requests ended', async () => {
  const { turn, seen } = follow();
  turn.add(ended('1'));
  turn.add(ended('2'));
  expect(seen).toEqual([]);
  await turnOver();
  expect(seen).toEqual(['a 1', 'a 2', 'b 1', 'b 2']);
  turn.add(ended('3'));
  await turnOver();
  expect(seen.slice(4)).toEqual(['a 3', 'b 3']);
});

test('a handler that throws loses that record alone, and is told', async () => {
  const { turn, seen, defects } = follow();
  for (const id of ['1', 'bad', '2']) turn.add(ended(id));
  await turnOver();
  expect(seen).toEqual(['a 1', 'a 2', 'b 1', 'b bad', 'b 2']);
  expect(defects).toEqual(['bad: of a handler']);
});

test('a turn holds at most 64 records', () => {
  const { turn, seen } = follow();
  for (let i = 0; i < 64; i++) turn.add(ended(String(i)));
  expect(seen).toHaveLength(128);
  turn.add(ended('64'));
  expect(seen).toHaveLength(128);
  turn.flush();
  expect(seen).toHaveLength(130);
});
