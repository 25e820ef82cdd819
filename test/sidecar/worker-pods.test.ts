/** A sidecar with two workers is one pod among others that share a real Redis, whichever worker has the request. */
import { hash } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { gives } from '../support/auxiliary.ts';
import { metricIn, staysOpen } from '../support/chain.ts';
import { type Client, meet, type Pair, startPair } from '../support/crew.ts';
import { startRedis } from '../support/redis.ts';
import { openaiWire as wire } from '../support/replies.ts';
import type { ConfigInput, TestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import { answers, refuses, type Script, startUpstream } from '../support/upstream.ts';

const good = answers(wire, 'Hello.');
const token = 'admin-token-of-this-test';
const label = 'first/test-model';

const metric = async (of: TestSidecar, name: string, labels: Readonly<Record<string, string>> = {}) =>
  metricIn(await of.metrics(), name, labels) ?? 0;
const received = (of: TestSidecar) => metric(of, 'sidegate_peer_hints_total', { outcome: 'received' });

/** Starts a pod with two workers, each with its client's connection, and one with one: they know of each other. */
async function twoPods(
  script: Script,
  more: (baseUrl: string, pod: string) => ConfigInput | Promise<ConfigInput>,
) {
  const [redis, upstream] = [await startRedis(), await startUpstream(script)];
  onTestFinished(() => redis.stop());
  onTestFinished(() => upstream.close());
  const start = async (pod: string, workers: number): Promise<Pair> =>
    startPair(upstream, { ...(await more(upstream.baseUrl, pod)), sync: { redis: redis.url }, workers });
  const [crew, other] = [await start('crew', 2), await start('other', 1)];
  await meet(crew, { path: '/v1/nowhere' });
  for (const pod of [crew, other]) {
    await until(async () => (await metric(pod, 'sidegate_lease_pods')) === 2);
    await until(async () => (await metric(pod, 'sidegate_peers_up')) === 1);
  }
  return { redis, upstream, crew, other, calls: upstream.calls };
}

/** Calls to Redis that were given up: on a busy machine a pod may then have used its share for a moment. */
async function givenUp(pods: readonly Pair[]): Promise<number> {
  let count = 0;
  for (const pod of pods) {
    count += await metric(pod, 'sidegate_lease_calls_total', { outcome: 'failed' });
    count += await metric(pod, 'sidegate_lease_asks_total', { outcome: 'late' });
  }
  return count;
}

test('a limit that is too small to slice is asked for by either worker, and holds for all pods', async () => {
  const limits = [{ name: 'few', per: [], capacity: 5, refillPerSecond: 0.001 }];
  const { crew, other, calls } = await twoPods(good, () => ({ limits }));
  // The second worker alone gets all of it: its pod's share would be less.
  while (calls.length < 5 && (await givenUp([crew, other])) === 0) await crew.second();
  for (let i = 0; i < 5; i++) for (const client of [crew.first, crew.second, other.first]) await client();
  if ((await givenUp([crew, other])) === 0) expect(calls).toHaveLength(5);
  else expect(calls.length).toBeLessThanOrEqual(5 + 2 + 5);
  const asks = async (outcome: string) => metric(crew, 'sidegate_lease_asks_total', { outcome });
  expect((await asks('answered')) + (await asks('late'))).toBeGreaterThan(0);
});

test('a large limit is leased in slices that both workers use', async () => {
  const limits = [{ name: 'many', per: [], capacity: 100, refillPerSecond: 0.001 }];
  const { redis, crew, other, calls } = await twoPods(good, () => ({ limits }));
  const clients = [crew.first, crew.second, other.first];
  for (let i = 0; calls.length < 100 && (await givenUp([crew, other])) === 0; i++) await clients[i % 3]?.();
  for (let i = 0; i < 10; i++) for (const client of clients) await client();
  expect(calls.length).toBeLessThanOrEqual((await givenUp([crew, other])) === 0 ? 110 : 210);
  // Without Redis both decide by what their pod has, and nobody waits for it.
  await redis.stop();
  await until(async () => (await metric(crew, 'sidegate_leases_up')) === 0);
  for (const client of [crew.first, crew.second]) expect([200, 429]).toContain((await client()).status);
});

test('a breaker that opens in either worker is told to peers once, and theirs is heard', async () => {
  const fails = refuses(wire.error(500, 'Broken.'));
  const { crew, other } = await twoPods(fails, () => ({
    attempt: { breaker: { failures: 5, ...staysOpen } },
  }));
  const state = (of: Pair) => metric(of, 'sidegate_breaker_state', { target: label });
  for (let i = 0; i < 5; i++) await crew.second();
  expect(await state(crew)).toBe(1);
  await until(async () => (await received(other)) === 1);
  expect([await state(other), await metric(crew, 'sidegate_peer_hints_total', { outcome: 'sent' })]).toEqual([
    0, 1,
  ]);
  // After a hint one failure is enough.
  await other.first();
  expect(await state(other)).toBe(1);
  await until(async () => (await received(crew)) === 1);
});

test('a key that is rate limited is used last by the other worker, and by peers', async () => {
  const refuse = refuses(wire.error(429, 'Slow down.'), { 'retry-after': '30' });
  const limitsA: Script = (call) =>
    call.headers.authorization === 'Bearer key-a' ? refuse(call) : good(call);
  const { upstream, crew, other, calls } = await twoPods(limitsA, (baseUrl) => ({
    providers: { first: { dialect: 'openai', baseUrl, apiKeys: ['key-a', 'key-b'] } },
    attempt: { breaker: { failures: 100 } },
  }));
  await crew.second();
  await until(async () => (await received(other)) === 1);
  upstream.answer(good);
  const before = calls.length;
  for (const client of [crew.first, other.first]) for (let i = 0; i < 3; i++) await client();
  const used = calls.slice(before).map(({ headers }) => headers.authorization);
  expect(used).toEqual(Array(6).fill('Bearer key-b'));
});

test('an object that a tenant made through either worker is its own in the other one, and in peers', async () => {
  const keys = ['a', 'b'].map((tenant) => ({ id: `k-${tenant}`, sha256: hash('sha256', tenant), tenant }));
  const { crew, other } = await twoPods(gives({ id: 'batch_1', object: 'batch' }), (baseUrl) => ({
    providers: { first: { dialect: 'openai', baseUrl, passthrough: 'unscrubbed' } },
    authenticate: { keys },
  }));
  const headers = (tenant: string) => ({ authorization: `Bearer ${tenant}` });
  const status = async (client: Client, tenant: string): Promise<number> =>
    (await client({ method: 'GET', path: '/v1/batches/batch_1', headers: headers(tenant) })).status;
  expect(await status(crew.first, 'a')).toBe(404);
  await crew.second({ path: '/v1/batches', body: { a: 1 }, headers: headers('a') });
  for (const client of [crew.first, other.first]) {
    await until(async () => (await status(client, 'a')) === 200);
    expect(await status(client, 'b')).toBe(404);
  }
});

test('a stored key that a peer makes opens both workers, until the peer revokes it', async () => {
  const { crew, other } = await twoPods(good, async () => ({
    admin: { token },
    store: { path: join(await mkdtemp(join(tmpdir(), 'sidegate-pods-')), 'store.db') },
    authenticate: { anonymousTenant: undefined },
  }));
  const atAdmin = async (of: Pair, method: string, path: string, body?: object): Promise<string> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    return (await fetch(of.adminUrl + path, { method, headers, ...sent })).text();
  };
  const make = async (of: Pair, id: string): Promise<string> =>
    JSON.parse(await atAdmin(of, 'POST', '/keys', { id, tenant: 'shop' })).key;
  const answersWith = (client: Client, key: string, status: number) =>
    until(async () => (await client({ headers: { authorization: `Bearer ${key}` } })).status === status);
  const [theirs, ours] = [await make(other, 'theirs'), await make(crew, 'ours')];
  for (const client of [crew.first, crew.second, other.first])
    for (const key of [theirs, ours]) await answersWith(client, key, 200);
  await atAdmin(other, 'DELETE', '/keys/theirs');
  for (const client of [crew.second, crew.first]) await answersWith(client, theirs, 401);
});

test('cached replies of pods are hits in both workers, and theirs in other pods, until one purges', async () => {
  const { crew, other } = await twoPods(good, () => ({
    admin: { token },
    cache: { enabled: true, secret: 'a secret of the deployment' },
    scrub: { secret: 'placeholders of all pods' },
  }));
  const news = (of: TestSidecar, event: string) => metric(of, 'sidegate_cache_news_total', { event });
  /** Stores a reply until Redis has it, as its worker may not be connected yet, and the other pod too. */
  const told = async (text: string, from: Client, [pod, to]: readonly [Pair, Pair]): Promise<void> => {
    const [sent, adopted] = [await news(pod, 'sent'), await news(to, 'adopted')];
    await until(async () => {
      await from({ text, headers: { 'cache-control': 'no-cache' } });
      return (await news(pod, 'sent')) > sent;
    });
    await until(async () => (await news(to, 'adopted')) > adopted);
  };
  const isHit = async (client: Client, text: string): Promise<boolean> =>
    String((await client({ text })).headers['cache-status']).includes('hit');
  const texts = ['Said in the second worker.', 'Said in another pod.', 'Said there too.'] as const;
  await told(texts[0], crew.second, [crew, other]);
  expect(await isHit(other.first, texts[0])).toBe(true);
  for (const text of texts.slice(1)) {
    await told(text, other.first, [other, crew]);
    for (const client of [crew.first, crew.second]) expect(await isHit(client, text)).toBe(true);
  }
  await fetch(`${other.adminUrl}/cache`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
  await until(async () => !(await isHit(crew.first, texts[1])));
  await until(async () => !(await isHit(crew.second, texts[2])));
});

test('an idempotency key that pods share is repeated by either worker, and by peers', async () => {
  const { crew, other } = await twoPods(good, () => ({ replay: { scope: 'shared' } }));
  let keys = 0;
  /** A key that was used in one place is repeated in another; Redis may be late for one, on a busy machine. */
  const repeats = async (from: Client, to: Client): Promise<void> => {
    await until(async () => {
      const headers = { 'idempotency-key': `key-${keys++}` };
      await from({ headers });
      return (await to({ headers })).headers['idempotent-replayed'] === 'true';
    });
  };
  await repeats(crew.second, other.first);
  await repeats(other.first, crew.second);
  await repeats(other.first, crew.first);
});
