/** Stored keys over a real Redis that lost all or some of what it held: no pod misses what another one tells again. */
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { newKeySchema } from '../../src/authenticate/settings.ts';
import { openKeyBook } from '../../src/authenticate/shared-keys.ts';
import { keyTables, openStoredKeys } from '../../src/authenticate/stored-keys.ts';
import { silent } from '../../src/base/telemetry.ts';
import { configSchema } from '../../src/config/schema.ts';
import { openStore } from '../../src/store/database.ts';
import { createKeySync } from '../../src/sync/keys.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const names = (part: string): string => `sidegate:1:{0}:keys:${part}`;

/** Two pods, as far as they share keys; both know the keys `one` and `two`. */
async function pair() {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  onTestFinished(async () => {
    client.disconnect();
    await redis.stop();
  });
  const podFor = async () => {
    const store = await openStore(null, [keyTables]);
    const [keys, book] = [openStoredKeys(store), openKeyBook(store)];
    const link = createKeySync({ book, random: () => 0.5, telemetry: silent });
    link.update(configSchema.parse({ sync: { redis: redis.url } }).sync);
    onTestFinished(() => {
      link.close();
      store.close();
    });
    return {
      keys,
      sent: () => book.unsent(1).length === 0,
      /** The leases tell the version again and again. */
      async told() {
        link.told(Number((await client.get(names('version'))) ?? 0));
      },
      has: () => keys.list('').map(({ id, revokedMs }) => (revokedMs === null ? id : `${id} revoked`)),
    };
  };
  const [a, b] = [await podFor(), await podFor()];
  for (const id of ['one', 'two']) a.keys.create(newKeySchema.parse({ id, tenant: 'shop' }), 1);
  await until(a.sent);
  await until(async () => {
    await b.told();
    return b.has().length === 2;
  });
  return { client, a, b };
}

test('a key that was revoked while Redis was lost is revoked in all pods', async () => {
  const { client, a, b } = await pair();
  await client.flushall();
  a.keys.revoke('two', 2);
  // As many keys are told again as there were before.
  await until(async () => a.sent() && (await client.zcard(names('order'))) === 2);
  await until(async () => {
    await b.told();
    return b.has().includes('two revoked');
  });
  expect(b.has()).toEqual(['one', 'two revoked']);
});

test('what a master took along when it failed is told again', async () => {
  const { client, a, b } = await pair();
  const before = await Promise.all(
    ['rows', 'order', 'version', 'born'].map((part) => client.dumpBuffer(names(part))),
  );
  a.keys.revoke('two', 2);
  await until(a.sent);
  // A replica takes over that had not heard of it.
  for (const [i, part] of ['rows', 'order', 'version', 'born'].entries())
    await client.restore(names(part), 0, before[i] ?? '', 'REPLACE');
  await until(async () => {
    for (const pod of [a, b]) await pod.told();
    return b.has().includes('two revoked');
  });
  expect(a.has()).toEqual(b.has());
});
