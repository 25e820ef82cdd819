/** What pods get of a shared limit at steady demand: nearly all of it, and fairly. */
import { describe, expect, test } from 'vitest';
import { algorithms } from '../../src/exchange/algorithm.ts';
import { fileRedis } from '../support/file-redis.ts';
import { type Outcome, runSteady, type Steady } from '../support/lease-steady.ts';

const redis = fileRedis();

const skewed = [100, 40, 20, 10, 8, 6, 4, 2];
const bucket = { algorithm: algorithms.token_bucket, demand: skewed, seconds: 60 };
const sum = (numbers: readonly number[]): number => numbers.reduce((all, n) => all + n, 0);

/** Parts of max-min fairness. */
function fairShares(asked: readonly number[], limit: number): number[] {
  const order = asked.map((_, i) => i).sort((a, b) => (asked[a] ?? 0) - (asked[b] ?? 0));
  const shares = asked.map(() => 0);
  let left = limit;
  order.forEach((i, n) => {
    const share = Math.min(asked[i] ?? 0, left / (order.length - n));
    shares[i] = share;
    left -= share;
  });
  return shares;
}

function shareOf({ admitted, asked }: Outcome, limit: number) {
  const fair = fairShares(asked, limit);
  const least = Math.min(...fair.map((part, i) => (admitted[i] ?? 0) / part));
  return { all: sum(admitted) / sum(fair), least };
}

const room = { ...bucket, capacity: 500, rate: 230 };
const scarce = { ...bucket, capacity: 200, rate: 95 };
const begins = [0, 0, 0, 7, 14, 21, 28, 35];
// Pods that stall as those of an overloaded machine do: up to 0.2 s twice a second, or half of the time.
const some = { stallsPerSecond: 2, stallMs: 200, answerMs: 100 };
const very = { stallsPerSecond: 1.5, stallMs: 700, answerMs: 400 };

// Each for a second.
const inFlight = {
  algorithm: algorithms.concurrency,
  capacity: 60,
  rate: 0,
  heldMs: 1000,
  demand: [80, 20, 20],
  seconds: 60,
};

describe('at steady demand of 50 to 1', () => {
  const cases: [string, Steady, number, number, number][] = [
    ['with room', room, 500 + 60 * 230, 0.99, 0.99],
    ['with room, pods joining', { ...room, begins }, 500 + 60 * 230, 0.99, 0.99],
    ['with room, busy', { ...room, busy: some }, 500 + 60 * 230, 0.99, 0.99],
    ['with room, very busy', { ...room, busy: very }, 500 + 60 * 230, 0.97, 0.95],
    ['with room, very busy, pods joining', { ...room, begins, busy: very }, 500 + 60 * 230, 0.97, 0.92],
    ['twice the limit', scarce, 200 + 60 * 95, 0.97, 0.9],
    ['twice the limit, pods joining', { ...scarce, begins }, 200 + 60 * 95, 0.97, 0.9],
    ['twice the limit, busy', { ...scarce, busy: some }, 200 + 60 * 95, 0.965, 0.9],
    ['twice the limit, very busy', { ...scarce, busy: very }, 200 + 60 * 95, 0.92, 0.8],
    [
      'a window of 30 s, twice the limit',
      { ...bucket, algorithm: algorithms.sliding_window, capacity: 2850, rate: 30_000, seconds: 120 },
      2850 * 4,
      0.9,
      0.5,
    ],
    ['a budget', { ...bucket, algorithm: algorithms.budget, capacity: 12_000, rate: 0 }, 12_000, 0.98, 0.98],
    ['in flight, twice the limit', inFlight, 60 * 60, 0.9, 0.8],
    ['in flight, twice the limit, pods joining', { ...inFlight, begins: [0, 7, 14] }, 60 * 60, 0.85, 0.8],
    // Too small to slice: each request asks.
    [
      'a small bucket',
      { ...bucket, seconds: 600, capacity: 30, rate: 0.5, demand: [4, 2, 1, 0.5, 0.5, 0.3, 0.2, 0.1] },
      30 + 600 * 0.5,
      0.97,
      0.5,
    ],
  ];
  test.each(cases)('%s', async (_, steady, limit, all, least) => {
    const outcome = await runSteady(redis(), steady);
    const share = shareOf(outcome, limit);
    const text = JSON.stringify({ ...outcome, ...share });
    expect(share.all, text).toBeGreaterThanOrEqual(all);
    expect(share.least, text).toBeGreaterThanOrEqual(least);
    expect(outcome.calls, text).toBeLessThanOrEqual(2);
  });
});

test('what is in flight of a limit too small to slice is nobody’s for ever', async () => {
  const demand = [100, 20, 20];
  const few = { ...inFlight, capacity: 8, demand, begins: [0, 7, 14] };
  const { admitted, calls } = await runSteady(redis(), few);
  const perSecond = admitted.map((count, i) => count / (few.seconds - (few.begins[i] ?? 0)));
  const text = JSON.stringify({ perSecond, calls });
  expect(Math.min(...perSecond), text).toBeGreaterThan(1);
  expect(sum(perSecond), text).toBeGreaterThan(6);
  // Those that are refused don't ask with each request.
  expect(calls, text).toBeLessThan(15);
});

test('requests that ask together get what is there, though the limit is too small to slice', async () => {
  const demand = [200, 0, 0, 0];
  const begins = demand.map((perSecond) => (perSecond > 0 ? 2 : 0));
  const busy = { stallsPerSecond: 0, stallMs: 0, answerMs: 20 };
  const few = { ...bucket, capacity: 12, rate: 0.001, demand, begins, busy, seconds: 2.1 };
  const { admitted, asked } = await runSteady(redis(), few);
  expect(sum(admitted), JSON.stringify({ admitted, asked })).toBe(12);
});

test('a budget is spent to its end, though slices of what is left hold no request', async () => {
  const large = { cost: 200, demand: Array(20).fill(1), capacity: 20_000, rate: 0, seconds: 120 };
  const { admitted } = await runSteady(redis(), { ...large, algorithm: algorithms.budget });
  expect(sum(admitted), JSON.stringify(admitted)).toBe(100);
});

test.each([
  ['in flight', algorithms.concurrency, 0],
  ['a bucket', algorithms.token_bucket, 10],
  ['a window', algorithms.sliding_window, 60_000],
  ['a budget', algorithms.budget, 0],
])(
  'who asks now and then, with a request in flight, is let through at once: %s',
  async (_, algorithm, rate) => {
    const seldom = { demand: [0.25, 0.25, 0.2], heldMs: 10_000, seconds: 100 };
    const { admitted, asked } = await runSteady(redis(), { ...seldom, algorithm, capacity: 400, rate });
    expect(admitted).toEqual(asked);
  },
);

test.each([
  ['a bucket', { ...bucket, capacity: 200, rate: 2, seconds: 300 }, 200 + 300 * 2],
  ['a window', { ...bucket, algorithm: algorithms.sliding_window, capacity: 300, rate: 60_000 }, 300],
])('pods that ask seldom keep to the limit, too: %s', async (_, steady, limit) => {
  const { admitted, asked } = await runSteady(redis(), { ...steady, demand: Array(40).fill(0.2) });
  const text = JSON.stringify({ admitted, asked });
  expect(sum(asked), text).toBeGreaterThan(1.5 * limit);
  // One for each pod may pass before it is told that nothing is left.
  expect(sum(admitted), text).toBeLessThanOrEqual(limit + 40);
  expect(sum(admitted), text).toBeGreaterThanOrEqual(0.95 * limit);
});
