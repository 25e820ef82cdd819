/** How a worker beside the first one asks it for leases. */
import { describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import type { Leases } from '../../src/exchange/lease.ts';
import { answerWorkers, createLeaseRelay, type LeaseNews } from '../../src/sync/lease-relay.ts';

const { sync } = configSchema.parse({ sync: { redis: 'redis://127.0.0.1' } });

/** Two workers beside the first one, whose leases are these. */
function crew(leases: Leases) {
  const told: LeaseNews[] = [];
  const pods: number[] = [];
  const tell = (news: LeaseNews): void => {
    told.push(news);
    // As over a channel: all but the one that tells hear it, later.
    setImmediate(() => {
      first(news);
      for (const relay of relays) relay.hear(news);
    });
  };
  const first = answerWorkers(leases, () => 7, tell);
  const relays = [1, 2].map((worker) =>
    createLeaseRelay(worker, { pods: (count) => void pods.push(count) }, tell),
  );
  for (const relay of relays) relay.update(sync);
  return { relays, told, pods, tell };
}

describe('a worker beside the first one', () => {
  test('is told the answer to its own asks alone', async () => {
    const asked: number[][] = [];
    const { relays } = crew({
      used: () => {},
      async ask(id, cost) {
        asked.push([id, cost]);
        return cost < 10;
      },
    });
    const answers = relays.map((relay, i) => [relay.ask(i, 1), relay.ask(i, 10)]);
    expect(await Promise.all(answers.flat())).toEqual([true, false, true, false]);
    expect(asked).toEqual([
      [0, 1],
      [0, 10],
      [1, 1],
      [1, 10],
    ]);
  });

  test('goes on without an answer after 20 ms, or if too many wait', async () => {
    const { relays, told } = crew({ used: () => {}, ask: () => new Promise(() => {}) });
    const asks = Array.from({ length: 1001 }, () => relays[0]?.ask(1, 1));
    expect(told).toHaveLength(1000);
    expect(new Set(await Promise.all(asks))).toEqual(new Set([false]));
  });

  test('says at most once in 50 ms that limits apply, and nothing where no Redis is', async () => {
    const usedMs: number[] = [];
    const { relays, told } = crew({ used: (nowMs) => void usedMs.push(nowMs), ask: async () => true });
    for (let nowMs = 0; nowMs < 100; nowMs++) relays[0]?.used(nowMs);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect([told.length, usedMs]).toEqual([2, [7, 7]]);
    relays[0]?.update(configSchema.parse({}).sync);
    relays[0]?.used(1000);
    expect([await relays[0]?.ask(1, 1), told.length]).toEqual([false, 2]);
  });

  test('hears how many pods there are', async () => {
    const { tell, pods } = crew({ used: () => {}, ask: async () => true });
    tell({ what: 'pods', pods: 3 });
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(pods).toEqual([3, 3]);
  });
});
