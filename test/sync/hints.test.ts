/** Hints between peers over a real Redis: what they change, what they never do, and that nobody waits for them. */
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { connectPeers } from '../../src/sync/peers.ts';
import { metricIn, staysOpen } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { type RedisProcess, startRedis } from '../support/redis.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { loopMs } from '../support/time.ts';
import { until } from '../support/until.ts';
import { answers, refuses, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const good = answers(wire, 'good');
const fails = refuses(wire.error(500, 'broken'));
const label = 'own/any';

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

/** A sidecar before a provider with two keys and a spare one. */
async function pod(
  redisUrl: string,
  own: Upstream,
  spare: Upstream,
  sync: NonNullable<ConfigInput['sync']> = {},
): Promise<TestSidecar> {
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: {
      own: { dialect: 'openai', baseUrl: own.baseUrl, apiKeys: ['key-a', 'key-b'] },
      spare: { dialect: 'openai', baseUrl: spare.baseUrl },
    },
    routes: [{ model: 'any', targets: [{ provider: 'own' }, { provider: 'spare' }] }],
    attempt: { retriesMax: 0, breaker: { failures: 5, ...staysOpen } },
    sync: { redis: redisUrl, ...sync },
  });
  onTestFinished(() => sidecar.stop());
  return sidecar;
}

const post = (to: TestSidecar) => ask(to.url, wire.path, { body: { ...wire.request('hi'), model: 'any' } });
const metric = async (of: TestSidecar, name: string, labels = {}) =>
  metricIn(await of.metrics(), name, labels);
const isUp = async (of: TestSidecar) => (await metric(of, 'sidegate_peers_up')) === 1;
const received = (of: TestSidecar) => metric(of, 'sidegate_peer_hints_total', { outcome: 'received' });
const state = (of: TestSidecar) => metric(of, 'sidegate_breaker_state', { target: label });
const linesOf = (of: TestSidecar) =>
  of
    .logText()
    .split('\n')
    .filter((line) => line.includes('over Redis'))
    .map((line) => JSON.parse(line).msg.includes('cannot'));

describe('hints', () => {
  test('one failure is enough after a peer’s breaker opened; the hint alone opens nothing', async () => {
    const redis = await redisFor();
    const [own, spare] = [await upstreamFor(fails), await upstreamFor(good)];
    const [a, b] = [await pod(redis.url, own, spare), await pod(redis.url, own, spare)];
    await until(async () => (await isUp(a)) && (await isUp(b)));
    for (let i = 0; i < 5; i++) await post(a);
    expect(await state(a)).toBe(1);
    await until(async () => (await received(b)) === 1);
    expect(await state(b)).toBe(0);
    await post(b);
    expect(await state(b)).toBe(1);
  });

  test('a hint about a provider with the same name but another address is ignored', async () => {
    const redis = await redisFor();
    const [own, other, spare] = [await upstreamFor(fails), await upstreamFor(fails), await upstreamFor(good)];
    const pods = [
      await pod(redis.url, own, spare),
      await pod(redis.url, other, spare),
      await pod(redis.url, own, spare),
    ];
    const [a, elsewhere, same] = pods as [TestSidecar, TestSidecar, TestSidecar];
    await until(async () => (await Promise.all(pods.map(isUp))).every(Boolean));
    for (let i = 0; i < 5; i++) await post(a);
    await until(async () => (await received(same)) === 1);
    expect(await received(elsewhere)).toBe(0);
    await post(elsewhere);
    expect(await state(elsewhere)).toBe(0);
  });

  test('a key that is rate limited at a peer is used last, but still used', async () => {
    const redis = await redisFor();
    const limitsA: Script = (call) =>
      call.headers.authorization === 'Bearer key-a'
        ? refuses(wire.error(429, 'slow down'), { 'retry-after': '30' })(call)
        : good(call);
    const [own, spare] = [await upstreamFor(limitsA), await upstreamFor(good)];
    const [a, b] = [await pod(redis.url, own, spare), await pod(redis.url, own, spare)];
    await until(async () => (await isUp(a)) && (await isUp(b)));
    await post(a);
    await until(async () => (await received(b)) === 1);
    own.answer(good);
    const before = own.calls.length;
    for (let i = 0; i < 3; i++) await post(b);
    expect(own.calls.slice(before).map(({ headers }) => headers.authorization)).toEqual(
      Array(3).fill('Bearer key-b'),
    );
    own.answer((call) =>
      call.headers.authorization === 'Bearer key-b'
        ? refuses(wire.error(429, 'x'), { 'retry-after': '30' })(call)
        : good(call),
    );
    expect((await post(b)).headers['x-sidegate-target']).toBe(label);
    expect(own.calls.at(-1)?.headers.authorization).toBe('Bearer key-a');
  });

  test('foreign messages are ignored', async () => {
    const redis = await redisFor();
    const [own, spare] = [await upstreamFor(good), await upstreamFor(good)];
    const a = await pod(redis.url, own, spare);
    await until(() => isUp(a));
    const client = new Redis(redis.url);
    const base = {
      from: 'x',
      kind: 'down',
      subject: 'target',
      name: label,
      provider: 'own',
      place: 'elsewhere',
    };
    const odd = [
      '',
      '{',
      'null',
      '[]',
      '{}',
      JSON.stringify({ ...base, kind: 'shut' }),
      JSON.stringify({ ...base, restMs: -1 }),
      'x'.repeat(1_000_000),
      JSON.stringify({ ...base, name: 'no/such' }),
      JSON.stringify(base),
    ];
    for (const text of odd) expect(await client.publish('sidegate:hints:1', text)).toBe(1);
    client.disconnect();
    expect((await post(a)).status).toBe(200);
    expect([await received(a), await state(a)]).toEqual([0, 0]);
    expect(a.logText()).not.toContain('"level":50');
  });
});

describe('row 17: Redis', () => {
  /** Redis is given up after a second. */
  const waitMaxMs = 100;
  /** Requests through a sidecar; gives the longest of them, in ms of the event loop. */
  async function slowest(of: TestSidecar, count = 20): Promise<number> {
    let longestMs = 0;
    for (let i = 0; i < count; i++) {
      const reply = post(of);
      longestMs = Math.max(longestMs, await loopMs(reply));
      expect((await reply).status).toBe(200);
    }
    return longestMs;
  }

  test('absent: every request is served, and one log line says so', async () => {
    const redis = await startRedis();
    await redis.stop();
    const [own, spare] = [await upstreamFor(fails), await upstreamFor(good)];
    const a = await pod(redis.url, own, spare);
    // Breakers open meanwhile: hints that can't be sent are dropped, and counted.
    expect(await slowest(a)).toBeLessThan(waitMaxMs);
    expect(await state(a)).toBe(1);
    expect(await metric(a, 'sidegate_peer_hints_total', { outcome: 'dropped' })).toBe(1);
    await until(async () => linesOf(a).length === 1);
    expect([linesOf(a), await isUp(a)]).toEqual([[true], false]);
  });

  test('hung, and back: no request waits, and each change is one log line', async () => {
    const redis = await redisFor();
    const [own, spare] = [await upstreamFor(good), await upstreamFor(good)];
    const a = await pod(redis.url, own, spare);
    await until(() => isUp(a));
    redis.pause();
    expect(await slowest(a)).toBeLessThan(waitMaxMs);
    await until(async () => !(await isUp(a)));
    expect(await slowest(a)).toBeLessThan(waitMaxMs);
    redis.resume();
    await until(() => isUp(a));
    expect(await slowest(a)).toBeLessThan(waitMaxMs);
    expect(linesOf(a)).toEqual([false, true, false]);
  });

  test('down: every request is served', async () => {
    const redis = await redisFor();
    const [own, spare] = [await upstreamFor(good), await upstreamFor(good)];
    const a = await pod(redis.url, own, spare);
    await until(() => isUp(a));
    await redis.stop();
    expect(await slowest(a)).toBeLessThan(waitMaxMs);
    await until(async () => !(await isUp(a)));
    expect(linesOf(a)).toEqual([false, true]);
  });

  test('a cluster carries hints too, under the prefix of the configuration', async () => {
    const redis = await startRedis('redis-server', [
      '--cluster-enabled',
      'yes',
      '--cluster-announce-ip',
      '127.0.0.1',
    ]);
    onTestFinished(() => redis.stop());
    const client = new Redis(redis.url);
    onTestFinished(() => client.disconnect());
    await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    const [own, spare] = [await upstreamFor(fails), await upstreamFor(good)];
    const sync = { mode: 'cluster', prefix: 'mine' } as const;
    const [a, b] = [await pod(redis.url, own, spare, sync), await pod(redis.url, own, spare, sync)];
    await until(async () => (await isUp(a)) && (await isUp(b)));
    expect(await client.call('PUBSUB', 'CHANNELS')).toEqual(['mine:hints:1']);
    for (let i = 0; i < 5; i++) await post(a);
    await until(async () => ((await received(b)) ?? 0) >= 1);
  });

  test('hung: pending messages are limited, and others dropped at once', async () => {
    const redis = await redisFor();
    const seen = { up: false, dropped: 0 };
    const peers = connectPeers({ ...configSchema.parse({}).sync, redis: redis.url }, 'test', Math.random, {
      onMessage: () => {},
      onState: (up) => {
        seen.up = up;
      },
      onDropped: () => {
        seen.dropped += 1;
      },
    });
    onTestFinished(() => peers.close());
    await until(async () => seen.up);
    redis.pause();
    for (let i = 0; i < 5000; i++) peers.publish('x');
    expect(seen.dropped).toBe(4000);
    await until(async () => !seen.up && seen.dropped === 5000);
    redis.resume();
  });
});
