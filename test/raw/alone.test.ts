/** The data port reads raw bytes as RFC 9112 and 9110 say, whichever way they are cut and whoever reads them. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { HeadReader } from '../../src/listen/head.ts';
import { chainConfig } from '../support/chain.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import type { Upstream } from '../support/upstream.ts';
import { cases } from './cases.ts';
import { type Found, send, sendCase, startProvider } from './exchange.ts';
import { expected, next, prompts } from './requests.ts';

let upstream: Upstream;
let sidecar: TestSidecar;
beforeAll(async () => {
  upstream = await startProvider();
  sidecar = await startTestSidecar(chainConfig(openaiWire, [upstream.baseUrl]));
});
afterAll(async () => {
  await sidecar.stop();
  await upstream.close();
});

test.each(cases)('$clause: $name', async (one) => {
  const { statuses, asked, rest } = await sendCase(sidecar.url, upstream, one);
  expect({ statuses, asked, rest }).toEqual({ ...expected(one.verdict), rest: '' });
});

test('there are enough of them, each with a name of its own', () => {
  expect(cases.length).toBeGreaterThan(200);
  expect(new Set(cases.map(({ clause, name }) => `${clause} ${name}`)).size).toBe(cases.length);
});

/** Without the lane, Node's server reads everything. */
async function byNode(pieces: readonly string[]): Promise<Found> {
  const reader = vi.spyOn(HeadReader.prototype, 'read').mockReturnValue(null);
  try {
    return await send(sidecar.url, upstream, pieces);
  } finally {
    reader.mockRestore();
  }
}

/** A text cut at these places. */
function cut(text: string, at: readonly number[]): string[] {
  const places = [0, ...at.map((place) => place % text.length).sort((a, b) => a - b), text.length];
  return places.slice(1).map((end, i) => text.slice(places[i], end));
}

test('the lane and Node’s server give the same replies for the same bytes, cut anywhere', async () => {
  // What each reader refuses differs in where it notices, and so in what it has answered by then.
  const clear = cases.filter(
    ({ verdict }) => verdict === 'both' || (typeof verdict === 'object' && 'refused' in verdict),
  );
  onTestFinished(() => void vi.restoreAllMocks());
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...clear), { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      async (chosen, at) => {
        const pieces = cut(chosen.map(({ bytes }) => bytes).join('') + next, at);
        const lane = await send(sidecar.url, upstream, pieces);
        expect(lane.rest).toBe('');
        expect(lane.asked.at(-1)).toBe(prompts.next);
        expect(await byNode(pieces)).toEqual(lane);
      },
    ),
    { numRuns: 60 },
  );
});
