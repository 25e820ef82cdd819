/** Stored keys that pods share over a real Redis. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { keyTables, openStoredKeys } from '../../src/authenticate/stored-keys.ts';
import { openStore } from '../../src/store/database.ts';
import { ask } from '../support/client.ts';
import { type RedisProcess, startRedis } from '../support/redis.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import { answers, startUpstream } from '../support/upstream.ts';

const token = 'admin-token-of-this-test';

async function redisFor(): Promise<RedisProcess> {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  return redis;
}

/** A sidecar with a store of its own. */
async function podFor(redis: string): Promise<TestSidecar & { readonly path: string }> {
  const own = await startUpstream(answers(wire, 'good'));
  onTestFinished(() => own.close());
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-keys-'));
  const path = join(folder, 'store.db');
  const sidecar = await startTestSidecar({
    authenticate: { keys: [], anonymousTenant: undefined },
    cache: { enabled: false },
    providers: { own: { dialect: 'openai', baseUrl: own.baseUrl } },
    routes: [{ model: 'any', targets: [{ provider: 'own' }] }],
    admin: { token },
    store: { path },
    sync: { redis },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    rmSync(folder, { recursive: true });
  });
  return { ...sidecar, path };
}

async function atAdmin(of: TestSidecar, method: string, path: string, body?: object) {
  const reply = await fetch(new URL(path, of.adminUrl), {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await reply.text();
  expect(reply.ok, text).toBe(true);
  return text === '' ? null : (JSON.parse(text) as { key: string });
}
const make = async (of: TestSidecar, id: string): Promise<string> =>
  (await atAdmin(of, 'POST', '/keys', { id, tenant: 'shop' }))?.key ?? '';
const revoke = (of: TestSidecar, id: string) => atAdmin(of, 'DELETE', `/keys/${id}`);

const status = async (of: TestSidecar, key: string): Promise<number> =>
  (
    await ask(of.url, wire.path, {
      body: { ...wire.request('hi'), model: 'any' },
      headers: { authorization: `Bearer ${key}` },
    })
  ).status;
describe('stored keys with a Redis', () => {
  test('made in one pod, a key works in all; revoked in another, in none', async () => {
    const redis = await redisFor();
    const [a, b] = [await podFor(redis.url), await podFor(redis.url)];
    const key = await make(a, 'one');
    expect(await status(a, key)).toBe(200);
    await until(async () => (await status(b, key)) === 200);
    await revoke(b, 'one');
    expect(await status(b, key)).toBe(401);
    await until(async () => (await status(a, key)) === 401);
    const client = new Redis(redis.url);
    onTestFinished(() => client.disconnect());
    expect(JSON.stringify(await client.hgetall('sidegate:1:{0}:keys:rows'))).not.toContain(key);
  });

  test('a key that another process made in a pod’s store works in all', async () => {
    const redis = await redisFor();
    const [a, b] = [await podFor(redis.url), await podFor(redis.url)];
    const store = await openStore(a.path, [keyTables]);
    const keys = openStoredKeys(store);
    const grant = { id: 'by-hand', tenant: 'shop' } as Parameters<typeof keys.create>[0];
    const key = keys.create(grant, Date.now()) ?? '';
    store.close();
    await until(async () => (await status(b, key)) === 200);
  });

  test('a Redis that lost them gets them back, and so does a new pod', async () => {
    const redis = await redisFor();
    const [a, b] = [await podFor(redis.url), await podFor(redis.url)];
    const [one, two] = [await make(a, 'one'), await make(b, 'two')];
    await until(async () => (await status(b, one)) === 200 && (await status(a, two)) === 200);
    await revoke(a, 'two');
    await until(async () => (await status(b, two)) === 401);
    const client = new Redis(redis.url);
    onTestFinished(() => client.disconnect());
    await client.flushall();
    const c = await podFor(redis.url);
    await until(async () => (await status(c, one)) === 200);
    // It came with its revocation, or not at all: it never works.
    expect(await status(c, two)).toBe(401);
  });

  test('without Redis a revocation holds in its pod, and in all once Redis is back', async () => {
    const redis = await redisFor();
    const [a, b] = [await podFor(redis.url), await podFor(redis.url)];
    const key = await make(a, 'one');
    await until(async () => (await status(b, key)) === 200);
    redis.pause();
    await revoke(a, 'one');
    expect(await status(a, key)).toBe(401);
    expect(await status(b, key)).toBe(200);
    redis.resume();
    await until(async () => (await status(b, key)) === 401);
  });

  test('what somebody wrote by hand makes no key', async () => {
    const redis = await redisFor();
    const a = await podFor(redis.url);
    const client = new Redis(redis.url);
    onTestFinished(() => client.disconnect());
    for (const text of ['{', '{}', '{"id":"x","digest":"00","body":"{}","createdMs":1,"revokedMs":null}']) {
      const version = await client.incr('sidegate:1:{0}:keys:version');
      await client.hset('sidegate:1:{0}:keys:rows', `x${version}`, text);
      await client.zadd('sidegate:1:{0}:keys:order', version, `x${version}`);
    }
    const key = await make(a, 'one');
    const b = await podFor(redis.url);
    await until(async () => (await status(b, key)) === 200);
    expect(await status(a, key)).toBe(200);
  });
});
