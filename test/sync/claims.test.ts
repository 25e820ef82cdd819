/** Idempotency keys that pods share over a real Redis. */
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createClaims } from '../../src/sync/claims.ts';
import { metricIn } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { type RedisProcess, startRedis } from '../support/redis.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import {
  answers,
  echoes,
  hangs,
  refuses,
  type Script,
  startUpstream,
  type Upstream,
} from '../support/upstream.ts';

async function redisFor(): Promise<RedisProcess> {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  return redis;
}

async function upstreamFor(script: Script): Promise<Upstream> {
  const upstream = await startUpstream(script);
  onTestFinished(() => upstream.close());
  return upstream;
}

async function pod(redis: string, own: Upstream, scrub: ConfigInput['scrub'] = {}): Promise<TestSidecar> {
  const sidecar = await startTestSidecar({
    scrub,
    cache: { enabled: false },
    providers: { own: { dialect: 'openai', baseUrl: own.baseUrl } },
    routes: [{ model: 'any', targets: [{ provider: 'own' }] }],
    attempt: { retriesMax: 0 },
    replay: { scope: 'shared' },
    sync: { redis },
  });
  onTestFinished(() => sidecar.stop());
  return sidecar;
}

const post = (to: TestSidecar, key: string, text = 'hi') =>
  ask(to.url, wire.path, {
    body: { ...wire.request(text), model: 'any' },
    headers: { 'idempotency-key': key },
  });
const results = async (of: TestSidecar, result: string) =>
  metricIn(await of.metrics(), 'sidegate_replay_shared_total', { result }) ?? 0;

/** Repeats a request under new keys until Redis has decided on one within 10 ms, which a busy machine may not do. */
async function claimed(of: TestSidecar): Promise<string> {
  for (let n = 0; ; n++) {
    const before = await results(of, 'mine');
    await post(of, `key-${n}`);
    if ((await results(of, 'mine')) > before) return `key-${n}`;
    await wait(50);
  }
}

/** Asks until Redis has answered within 10 ms. */
async function decided(of: TestSidecar, key: string, text?: string) {
  for (;;) {
    const before = await results(of, 'alone');
    const reply = await post(of, key, text);
    if ((await results(of, 'alone')) === before) return reply;
    await wait(50);
  }
}

describe('an idempotency key that pods share', () => {
  test('gets the stored reply in another pod, with one call to the provider', async () => {
    const redis = await redisFor();
    const own = await upstreamFor(answers(wire, 'good'));
    const [a, b] = [await pod(redis.url, own), await pod(redis.url, own)];
    const key = await claimed(a);
    const calls = own.calls.length;
    const reply = await decided(b, key);
    expect(reply.status).toBe(200);
    expect(reply.headers['idempotent-replayed']).toBe('true');
    expect(own.calls).toHaveLength(calls);
    // From now on it is there without asking.
    await redis.stop();
    expect((await post(b, key)).headers['idempotent-replayed']).toBe('true');
    expect(own.calls).toHaveLength(calls);
  });

  test.each([
    ['one secret', { secret: 'placeholders of all pods' }, 1],
    ['secrets of their own', {}, 2],
  ])('gives each repeat its own values, where pods have %s', async (_, scrub, times) => {
    const redis = await redisFor();
    const own = await upstreamFor(echoes(wire, (token) => [`Written to ${token}.`]));
    const [a, b] = [await pod(redis.url, own, scrub), await pod(redis.url, own, scrub)];
    const text = 'Write to jane.doe@example.com';
    for (let n = 0; ; n++) {
      const [key, before, calls] = [`key-${n}`, await results(a, 'mine'), own.calls.length];
      await post(a, key, text);
      if ((await results(a, 'mine')) === before) continue;
      const reply = await decided(b, key, text);
      expect(reply.text).toContain('Written to jane.doe@example.com.');
      expect(own.calls.length - calls).toBe(times);
      break;
    }
  });

  test('is refused with another body', async () => {
    const redis = await redisFor();
    const own = await upstreamFor(answers(wire, 'good'));
    const [a, b] = [await pod(redis.url, own), await pod(redis.url, own)];
    const key = await claimed(a);
    expect((await decided(b, key, 'something else')).status).toBe(422);
  });

  test('is free again once its request has failed', async () => {
    const redis = await redisFor();
    const bad = await upstreamFor(refuses(wire.error(500, 'broken')));
    const own = await upstreamFor(answers(wire, 'good'));
    const [a, b] = [await pod(redis.url, bad), await pod(redis.url, own)];
    const key = await claimed(a);
    const client = new Redis(redis.url);
    onTestFinished(() => client.disconnect());
    await until(async () => (await client.keys('sidegate:1:*:i:*')).length === 0);
    expect((await post(b, key)).status).toBe(200);
  });

  test('that is in flight elsewhere is to be repeated later', async () => {
    const redis = await redisFor();
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const late = await upstreamFor(async (call) => {
      await opened;
      return answers(wire, 'late')(call);
    });
    const own = await upstreamFor(answers(wire, 'good'));
    const [a, b] = [await pod(redis.url, late), await pod(redis.url, own)];
    const first = post(a, 'slow');
    await late.call(0);
    // If Redis did not decide on the first in time, there is nothing to find.
    if ((await results(a, 'mine')) === 1) {
      const second = await decided(b, 'slow');
      expect(second.status).toBe(409);
      expect(second.headers['retry-after']).toBe('1');
    }
    open();
    expect((await first).status).toBe(200);
  });

  test('is held for a repeat that takes over when the first request is late', async () => {
    const redis = await redisFor();
    const client = new Redis(redis.url);
    onTestFinished(() => client.disconnect());
    const never = await upstreamFor(hangs);
    const a = await pod(redis.url, never);
    const key = { 'idempotency-key': 'late' };
    const body = { ...wire.request('hi'), model: 'any' };
    const first = ask(a.url, wire.path, { body, headers: { ...key, 'x-sidegate-timeout': '2000' } });
    await never.call(0);
    const second = post(a, 'late').catch(() => null);
    expect((await first).status).toBe(504);
    await never.call(1);
    // If Redis did not decide on the first in time, there is nothing to hold.
    if ((await results(a, 'mine')) === 1) {
      const leftMs = async () => {
        const [name = ''] = await client.keys('sidegate:1:*:i:*');
        return name === '' ? 0 : client.pttl(name);
      };
      await until(async () => (await leftMs()) > 100_000);
    }
    await never.close();
    await second;
  });

  test('is not claimed by who went on without it, as Redis was late', async () => {
    const redis = await redisFor();
    const client = new Redis(redis.url);
    onTestFinished(() => client.disconnect());
    let nowMs = 0;
    const claims = createClaims({ clock: () => nowMs, random: () => 0, telemetry: { claim: () => {} } });
    onTestFinished(() => claims.close());
    claims.update(configSchema.parse({ sync: { redis: redis.url } }).sync, true);
    await until(async () => {
      nowMs += 2000;
      const told = await claims.claim('first', 'one', 600_000);
      if (told.kind === 'mine') claims.finish('first', told.token, 'one', null, 1);
      return told.kind === 'mine';
    });
    redis.pause();
    expect(await claims.claim('second', 'one', 600_000)).toEqual({ kind: 'alone' });
    redis.resume();
    const written = async () =>
      Number(/cmdstat_set:calls=(\d+)/.exec(await client.info('commandstats'))?.[1]);
    await until(async () => (await written()) >= 2);
    await until(async () => (await client.keys('*')).length === 0);
  });

  test('holds in its own pod without Redis, at once', async () => {
    const redis = await redisFor();
    const own = await upstreamFor(answers(wire, 'good'));
    const a = await pod(redis.url, own);
    await claimed(a);
    redis.pause();
    onTestFinished(() => redis.resume());
    const calls = own.calls.length;
    expect((await post(a, 'alone')).status).toBe(200);
    expect((await post(a, 'alone')).headers['idempotent-replayed']).toBe('true');
    expect(own.calls).toHaveLength(calls + 1);
    expect(await results(a, 'alone')).toBeGreaterThan(0);
  });
});
