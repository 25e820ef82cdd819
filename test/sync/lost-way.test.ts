/** Connections to Redis whose other end vanished without closing them: each that waits for an answer is replaced. */
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { newKeySchema } from '../../src/authenticate/settings.ts';
import { openKeyBook } from '../../src/authenticate/shared-keys.ts';
import { keyTables, openStoredKeys } from '../../src/authenticate/stored-keys.ts';
import { silent } from '../../src/base/telemetry.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { LeaseBook } from '../../src/exchange/lease.ts';
import type { CacheNews } from '../../src/exchange/shared-cache.ts';
import { openStore } from '../../src/store/database.ts';
import { createCacheSync } from '../../src/sync/cache-news.ts';
import { createClaims } from '../../src/sync/claims.ts';
import { createKeySync } from '../../src/sync/keys.ts';
import { createLeases } from '../../src/sync/leases.ts';
import { startRedis } from '../support/redis.ts';
import { openRelay, type Relay } from '../support/relay.ts';
import { until } from '../support/until.ts';

const clock = (): number => performance.now();
const random = (): number => 0.5;

/** A Redis, a way to it, and the settings of a pod that takes it. */
async function reached() {
  const redis = await startRedis();
  const relay: Relay = await openRelay(redis.port);
  const client = new Redis(redis.url);
  onTestFinished(async () => {
    client.disconnect();
    relay.close();
    await redis.stop();
  });
  const settings = (port: number) =>
    configSchema.parse({ sync: { redis: `redis://127.0.0.1:${port}` } }).sync;
  return { relay, client, far: settings(relay.port), near: settings(redis.port) };
}

test('limits are leased again', async () => {
  const { relay, far } = await reached();
  const book: LeaseBook = {
    report: () => 0,
    reportOne: () => false,
    meter: () => null,
    grant: () => {},
    detach: () => {},
    alone: () => {},
    pods: () => {},
    urgent: () => false,
  };
  const leases = createLeases({ book, clock, random, telemetry: silent });
  onTestFinished(() => leases.close());
  leases.update(far);
  await until(() => leases.up === true);
  relay.lose();
  await until(() => leases.up === false);
  await until(() => leases.up === true);
});

test('keys are told again', async () => {
  const { relay, client, far } = await reached();
  const store = await openStore(null, [keyTables]);
  const [keys, book] = [openStoredKeys(store), openKeyBook(store)];
  const link = createKeySync({ book, random, telemetry: silent });
  onTestFinished(() => {
    link.close();
    store.close();
  });
  link.update(far);
  const make = (id: string) => keys.create(newKeySchema.parse({ id, tenant: 'shop' }), 1);
  make('one');
  await until(() => book.unsent(1).length === 0);
  relay.lose();
  make('two');
  await until(async () => (await client.hexists('sidegate:1:{0}:keys:rows', 'two')) === 1);
});

test('idempotency keys are shared again', async () => {
  const { relay, far } = await reached();
  const claims = createClaims({ clock, random, telemetry: silent });
  onTestFinished(() => claims.close());
  claims.update(far, true);
  let n = 0;
  const shared = async (): Promise<boolean> => (await claims.claim(`k${++n}`, 'f', 1000)).kind === 'mine';
  await until(shared);
  relay.lose();
  expect(await shared()).toBe(false);
  await until(shared);
});

const purgeOf = (tenant: string): CacheNews => ({
  kind: 'purge',
  tenant,
  route: null,
  tag: null,
  olderThanMs: 0,
});

test('what is purged elsewhere is heard again', async () => {
  const { relay, far, near } = await reached();
  const heard: CacheNews[] = [];
  const podFor = (sync: typeof far, pod: string) => {
    const hear = (news: CacheNews): boolean => heard.push(news) > 0;
    const link = createCacheSync({
      pod,
      reads: pod === 'a',
      wallClock: Date.now,
      random,
      hear,
      telemetry: silent,
    });
    onTestFinished(() => link.close());
    link.update(sync, 'secret-of-this-test');
    return link;
  };
  const [, b] = [podFor(far, 'a'), podFor(near, 'b')];
  b.tell(purgeOf('one'));
  await until(() => heard.length === 1);
  relay.lose();
  b.tell(purgeOf('two'));
  await until(() => heard.length === 2);
});
