/** What pods get of a shared limit at steady demand: nearly all of it, and fairly. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { algorithms } from '../../src/exchange/algorithm.ts';
import { type Outcome, runSteady, type Steady } from '../support/lease-steady.ts';
import { type RedisProcess, startRedis } from '../support/redis.ts';

let server: RedisProcess;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

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

describe('at steady demand of 50 to 1', () => {
  const cases: [string, Steady, number, number, number][] = [
    ['with room', { ...bucket, capacity: 500, rate: 230 }, 500 + 60 * 230, 0.97, 0.97],
    ['twice the limit', { ...bucket, capacity: 200, rate: 95 }, 200 + 60 * 95, 0.97, 0.9],
    [
      'a window of 30 s, twice the limit',
      { ...bucket, algorithm: algorithms.sliding_window, capacity: 2850, rate: 30_000, seconds: 120 },
      2850 * 4,
      0.9,
      0.5,
    ],
  ];
  test.each(cases)('%s', { timeout: 60_000 }, async (_, steady, limit, all, least) => {
    const outcome = await runSteady(redis, steady);
    const share = shareOf(outcome, limit);
    const text = JSON.stringify({ ...outcome, ...share });
    expect(share.all, text).toBeGreaterThanOrEqual(all);
    expect(share.least, text).toBeGreaterThanOrEqual(least);
    expect(outcome.calls, text).toBeLessThanOrEqual(2);
  });
});
