/** Leases over a reload that changes how Redis is reached: for Redis it is the same pod. */
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { algorithms } from '../../src/exchange/algorithm.ts';
import { createSharedMeters } from '../../src/limit/shared.ts';
import { AskEntries, meter, SettleEntries } from '../../src/native/meters.ts';
import { createLeases } from '../../src/sync/leases.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const capacity = 1000;

async function redisFor() {
  const server = await startRedis();
  const client = new Redis(server.url);
  onTestFinished(async () => {
    client.disconnect();
    await server.stop();
  });
  return { server, client };
}

/** A pod with a budget, and what its leases say of Redis. */
function podFor() {
  const table = meter.openTable();
  onTestFinished(() => meter.closeTable(table));
  const book = createSharedMeters(table, 1);
  const time = { aheadMs: 0 };
  const clock = () => performance.now() + time.aheadMs;
  const algorithm = algorithms.budget;
  const id = meter.open(table, algorithm.meter, capacity, 0, 1, clock());
  const rule = { id: 'r', name: 'r', shape: '', algorithm, capacity, rate: 0, calendar: null };
  book.open({ id, rule, place: { key: '', label: '' } }, clock());
  const said: boolean[] = [];
  const leases = createLeases({
    book,
    clock,
    random: () => 0,
    telemetry: {
      leases: (up) => void said.push(up),
      leaseCall: () => {},
      leasePods: () => {},
      leaseAsk: () => {},
      leasesForeign: () => {},
    },
  });
  onTestFinished(() => leases.close());
  const asks = new AskEntries();
  const ends = new SettleEntries();
  return {
    time,
    said,
    spent: () => book.spent(id, clock()),
    reserve(cost: number): void {
      asks.clear();
      asks.ask(id, cost, 0, 1, 1e9);
      expect(asks.admit(table, 0, clock())).toBe(0);
    },
    settle(reserved: number, used: number): void {
      ends.clear();
      ends.settle(id, reserved, used, 1);
      ends.end(table, clock());
    },
    connect: (redis: string, more: object = {}) =>
      leases.update(configSchema.parse({ sync: { redis, ...more } }).sync),
  };
}

const keyOf = async (client: Redis): Promise<string> => (await client.keys('sidegate:1:{0}:m:*'))[0] ?? '';

test('what is in flight stays the lease of the same pod', async () => {
  const { server, client } = await redisFor();
  const pod = podFor();
  pod.connect(server.url);
  await until(() => pod.said.length === 1);
  pod.reserve(100);
  await until(async () => (await keyOf(client)) !== '');
  pod.connect(server.url, { podsExpected: 2 });
  await until(() => pod.said.length === 2);
  // Beside the state there is one lease.
  expect(await client.hlen(await keyOf(client))).toBe(2);
  expect(await client.zcard('sidegate:1:{0}:pods')).toBe(1);
});

test('what was used is debited once in each Redis, whichever way it goes', async () => {
  const [one, other] = [await redisFor(), await redisFor()];
  const pod = podFor();
  pod.connect(one.server.url);
  await until(() => pod.said.length === 1);
  /** Redis' own figure of what was spent. */
  const spentIn = async ({ client }: typeof one): Promise<number> =>
    (await client.hgetBuffer(await keyOf(client), 's'))?.readDoubleLE(9 * 8) ?? 0;
  const spend = async (where: typeof one, sum: number): Promise<void> => {
    pod.reserve(10);
    pod.settle(10, 10);
    await until(async () => (await spentIn(where)) >= sum);
    expect(await spentIn(where)).toBe(sum);
  };
  await spend(one, 10);
  pod.connect(other.server.url);
  await until(() => pod.said.length === 2);
  await spend(other, 20);
  pod.connect(one.server.url);
  await until(() => pod.said.length === 3);
  await spend(one, 30);
  expect(pod.spent()).toBe(30);
});

test('a connection that fails as it closes says nothing of the next one', async () => {
  const [hung, good] = [await redisFor(), await redisFor()];
  const pod = podFor();
  pod.connect(hung.server.url);
  await until(() => pod.said.length === 1);
  hung.server.pause();
  onTestFinished(() => hung.server.resume());
  pod.time.aheadMs = 1e6;
  pod.connect(good.server.url);
  await until(() => pod.said.length > 1 && pod.said.at(-1) === true);
  expect(pod.said).toEqual([true, true]);
});
