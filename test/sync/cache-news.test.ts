/** Purges that Redis does not take at once: none is lost, and the time at which it was told counts. */
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import type { CacheNews } from '../../src/exchange/shared-cache.ts';
import { type CacheSync, createCacheSync } from '../../src/sync/cache-news.ts';
import { createUnsentPurges } from '../../src/sync/unsent-purges.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

type PurgeNews = Extract<CacheNews, { kind: 'purge' }>;
const purgeOf = (part: Partial<PurgeNews>): PurgeNews => ({
  kind: 'purge',
  tenant: null,
  route: null,
  tag: null,
  olderThanMs: 0,
  ...part,
});

async function start() {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const client = new Redis(redis.url);
  onTestFinished(() => client.disconnect());
  const clock = { nowMs: 1_000_000 };
  const events: string[] = [];
  const heard: PurgeNews[] = [];
  const pod = (name: string): CacheSync => {
    const sync = createCacheSync({
      pod: name,
      reads: name === 'reader',
      wallClock: () => clock.nowMs,
      random: () => 0.5,
      hear(news, ageMs) {
        if (news.kind === 'purge') heard.push({ ...news, olderThanMs: news.olderThanMs + ageMs });
        return true;
      },
      telemetry: { cacheNews: (event) => void events.push(event) },
    });
    onTestFinished(() => sync.close());
    sync.update(configSchema.parse({ sync: { redis: redis.url } }).sync, 'a secret of the deployment');
    return sync;
  };
  return { client, clock, events, heard, pod };
}

test('one that is told before there is a connection is heard', async () => {
  const { heard, pod } = await start();
  const [teller] = [pod('teller'), pod('reader')];
  teller.tell(purgeOf({ tag: 'prices' }));
  await until(() => heard.length > 0);
  expect(heard).toEqual([purgeOf({ tag: 'prices' })]);
});

test('those that Redis refuses are told again until it takes them, with their age', async () => {
  const { client, clock, events, heard, pod } = await start();
  const [teller] = [pod('teller'), pod('reader')];
  teller.tell(purgeOf({ tenant: 'first' }));
  await until(() => heard.length > 0);
  await client.config('SET', 'min-replicas-to-write', '1');
  teller.tell(purgeOf({ tag: 'prices', olderThanMs: 7 }));
  teller.tell(purgeOf({ tag: 'prices', olderThanMs: 60_000 }));
  teller.tell(purgeOf({ route: 'any' }));
  await until(async () => /cmdstat_xadd:.*rejected_calls=[1-9]/.test(await client.info('commandstats')));
  clock.nowMs += 5000;
  await client.config('SET', 'min-replicas-to-write', '0');
  await until(() => heard.length === 3);
  expect(heard.slice(1)).toEqual([
    purgeOf({ tag: 'prices', olderThanMs: 5007 }),
    purgeOf({ route: 'any', olderThanMs: 5000 }),
  ]);
  expect(events).not.toContain('dropped');
});

test('one is heard by a pod that was away, however much was stored and judged meanwhile', async () => {
  const { client, events, heard, pod } = await start();
  const teller = pod('teller');
  const told = (count: number): Promise<void> =>
    until(() => events.filter((event) => event === 'sent').length >= count);
  teller.tell(purgeOf({ tag: 'prices' }));
  await told(1);
  for (let sent = 1; sent < 6000; sent += 100) {
    for (let i = 0; i < 100; i++) teller.tell({ kind: 'judged', tenant: 't', route: 'r', right: true });
    await told(sent + 100);
  }
  const [name = ''] = await client.keys('*:cache');
  expect(await client.xlen(name)).toBeLessThan(5000);
  pod('reader');
  await until(() => events.filter((event) => event === 'adopted').length >= 4096);
  expect(heard).toEqual([purgeOf({ tag: 'prices' })]);
});

describe('those that are unsent', () => {
  test('are merged if they name the same, and the later mark counts', () => {
    const unsent = createUnsentPurges();
    unsent.add(purgeOf({ tag: 'a' }), 100);
    unsent.add(purgeOf({ tag: 'a', olderThanMs: 500 }), 200);
    unsent.add(purgeOf({ tag: 'b', olderThanMs: 20 }), 200);
    const first = unsent.next(300);
    expect(first?.news).toEqual(purgeOf({ tag: 'a', olderThanMs: 200 }));
    first?.taken();
    expect(unsent.next(300)?.news).toEqual(purgeOf({ tag: 'b', olderThanMs: 120 }));
  });

  test('one that is told again while it is sent is sent again', () => {
    const unsent = createUnsentPurges();
    unsent.add(purgeOf({ tag: 'a' }), 100);
    const first = unsent.next(100);
    unsent.add(purgeOf({ tag: 'a' }), 150);
    first?.taken();
    const again = unsent.next(150);
    expect(again?.news).toEqual(purgeOf({ tag: 'a' }));
    again?.taken();
    expect(unsent.next(150)).toBeNull();
  });

  test('become one of everything if there are too many', () => {
    const unsent = createUnsentPurges();
    for (let i = 0; i < 1000; i++) unsent.add(purgeOf({ tag: `tag ${i}` }), i);
    const all: PurgeNews[] = [];
    for (let next = unsent.next(1000); next !== null; next = unsent.next(1000)) {
      all.push(next.news);
      next.taken();
    }
    expect(all.length).toBeLessThanOrEqual(257);
    // Whatever was told is purged by one of them.
    for (let i = 0; i < 1000; i++)
      expect(
        all.some(({ tag, olderThanMs }) => (tag ?? `tag ${i}`) === `tag ${i}` && 1000 - olderThanMs >= i),
      ).toBe(true);
  });
});
