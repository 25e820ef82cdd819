/** Limits that pods share over a real Redis. */
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { metricIn } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { type RedisProcess, startRedis } from '../support/redis.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream, type Upstream } from '../support/upstream.ts';

async function redisFor(): Promise<RedisProcess> {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  return redis;
}

async function pod(redisUrl: string, own: Upstream, config: object): Promise<TestSidecar> {
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: { own: { dialect: 'openai', baseUrl: own.baseUrl } },
    routes: [{ model: 'any', targets: [{ provider: 'own' }] }],
    attempt: { retriesMax: 0 },
    sync: { redis: redisUrl },
    ...config,
  });
  onTestFinished(() => sidecar.stop());
  return sidecar;
}

const post = (to: TestSidecar) => ask(to.url, wire.path, { body: { ...wire.request('hi'), model: 'any' } });
const isUp = async (of: TestSidecar) => metricIn(await of.metrics(), 'sidegate_leases_up', {}) === 1;
async function until(wanted: () => Promise<boolean>): Promise<void> {
  while (!(await wanted())) await wait(10);
}

const answered = async (of: TestSidecar): Promise<number> =>
  metricIn(await of.metrics(), 'sidegate_lease_calls_total', { outcome: 'answered' }) ?? 0;
/** Each pod knows how many there are: Redis has answered a call that it began when all were there. */
async function allKnown(pods: readonly TestSidecar[]): Promise<void> {
  await until(async () => (await Promise.all(pods.map(isUp))).every(Boolean));
  const before = await Promise.all(pods.map(answered));
  // The first of two may have been under way.
  for (const [i, pod] of pods.entries())
    await until(async () => (await answered(pod)) >= (before[i] ?? 0) + 2);
}

describe('shared limits', () => {
  test('a bucket that is too small to slice holds for all pods together', async () => {
    const redis = await redisFor();
    const own = await startUpstream(answers(wire, 'good'));
    onTestFinished(() => own.close());
    const limits = [{ name: 'few', per: [], capacity: 5, refillPerSecond: 0.001 }];
    const pods = await Promise.all([1, 2, 3].map(() => pod(redis.url, own, { limits })));
    await allKnown(pods);
    let admitted = 0;
    // Where Redis is not asked in time the fair share decides, which may refuse: that is tried again.
    while (admitted < 5) for (const to of pods) if ((await post(to)).status === 200) admitted += 1;
    for (let i = 0; i < 5; i++) for (const to of pods) expect((await post(to)).status).toBe(429);
    expect(own.calls).toHaveLength(5);
  });

  test('a large bucket is leased in slices', async () => {
    const redis = await redisFor();
    const own = await startUpstream(answers(wire, 'good'));
    onTestFinished(() => own.close());
    const limits = [{ name: 'many', per: [], capacity: 100, refillPerSecond: 0.001 }];
    const pods = await Promise.all([1, 2].map(() => pod(redis.url, own, { limits })));
    await allKnown(pods);
    let admitted = 0;
    for (let i = 0; admitted < 100; i++) {
      const { status } = await post(pods[i % 2] as TestSidecar);
      if (status === 200) admitted += 1;
      else await wait(20);
    }
    expect(admitted).toBe(100);
    for (let i = 0; i < 10; i++) for (const to of pods) expect((await post(to)).status).toBe(429);
  });
});
