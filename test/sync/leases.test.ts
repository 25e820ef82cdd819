/** Limits that pods share over a real Redis. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { LimitView } from '../../src/limit/view.ts';
import { metricIn } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { type RedisProcess, startRedis } from '../support/redis.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { runCommand } from '../support/run-command.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
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
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopping ??= sidecar.stop();
    return stopping;
  };
  onTestFinished(stop);
  return { ...sidecar, stop };
}

const post = (to: TestSidecar) => ask(to.url, wire.path, { body: { ...wire.request('hi'), model: 'any' } });
const adminToken = 'admin-token-of-this-test';

/** Pods that share limits and know of each other, with the provider they ask. */
async function podsSharing(count: number, limits: readonly object[]) {
  const redis = await redisFor();
  const own = await startUpstream(answers(wire, 'good'));
  onTestFinished(() => own.close());
  const pods = await Promise.all(
    Array.from({ length: count }, () => pod(redis.url, own, { limits, admin: { token: adminToken } })),
  );
  for (const to of pods)
    await until(async () => metricIn(await to.metrics(), 'sidegate_lease_pods', {}) === count);
  return { own, pods };
}

/** Calls to Redis that were given up: on a busy machine a pod may then have used its share for a moment. */
async function givenUp(pods: readonly TestSidecar[]): Promise<number> {
  const texts = await Promise.all(pods.map((of) => of.metrics()));
  const counts = texts.flatMap((text) => [
    metricIn(text, 'sidegate_lease_calls_total', { outcome: 'failed' }) ?? 0,
    metricIn(text, 'sidegate_lease_asks_total', { outcome: 'late' }) ?? 0,
  ]);
  return counts.reduce((sum, count) => sum + count, 0);
}

describe('shared limits', () => {
  test('a bucket that is too small to slice holds for all pods together', async () => {
    const limits = [{ name: 'few', per: [], capacity: 5, refillPerSecond: 0.001 }];
    const { own, pods } = await podsSharing(3, limits);
    // Where Redis is not asked in time the fair share decides, which may refuse: that is tried again.
    while (own.calls.length < 5) for (const to of pods) await post(to);
    for (let i = 0; i < 5; i++) for (const to of pods) await post(to);
    // Those that are not asked for are admitted before Redis knows: one for each pod, and again after an outage.
    expect(own.calls.length).toBeLessThanOrEqual((await givenUp(pods)) === 0 ? 5 : 5 + 3 + 5);
  });

  test('a large bucket is leased in slices', async () => {
    const limits = [{ name: 'many', per: [], capacity: 100, refillPerSecond: 0.001 }];
    const { own, pods } = await podsSharing(2, limits);
    for (let i = 0; own.calls.length < 100; i++)
      if ((await post(pods[i % 2] as TestSidecar)).status !== 200) await wait(20);
    for (let i = 0; i < 10; i++) for (const to of pods) await post(to);
    expect(own.calls.length).toBeLessThanOrEqual((await givenUp(pods)) === 0 ? 110 : 210);
  });

  test('its figures are those of all pods, for people and programs', async () => {
    const limits = [
      { name: 'window', per: [], capacity: 100, algorithm: 'sliding_window', windowSeconds: 3600 },
      { name: 'own', per: [], capacity: 50, algorithm: 'sliding_window', windowSeconds: 3600, scope: 'pod' },
    ];
    const { pods } = await podsSharing(2, limits);
    const [one, other] = pods as [TestSidecar, TestSidecar];
    for (const to of [one, one, one, other, other]) expect((await post(to)).status).toBe(200);
    const view = async (of: TestSidecar, name: string) => {
      const reply = await fetch(`${of.adminUrl}/limits`, {
        headers: { authorization: `Bearer ${adminToken}` },
      });
      const { limits: views } = (await reply.json()) as { limits: LimitView[] };
      return views.find(({ limit }) => limit === name);
    };
    // A pod hears of what others used when it next reports.
    await until(async () => {
      await post(one);
      const seen = await view(one, 'window');
      return seen !== undefined && seen.used >= 6 && (seen.leasedAll ?? 0) > 0;
    });
    const seen = await view(one, 'window');
    expect(seen).toMatchObject({ counts: 'shared', capacity: 100 });
    expect(seen?.leasedAll).toBeGreaterThanOrEqual(0);
    expect(seen?.left).toBeLessThanOrEqual(100 - (seen?.used ?? 0));
    expect(Date.parse(seen?.freesAt ?? '') - Date.now()).toBeGreaterThan(3_000_000);
    expect(await view(other, 'own')).toMatchObject({ counts: 'pod', used: 2, left: 48, leasedHere: null });
    const { code, out } = await runCommand(['limits', '--admin', one.adminUrl], {
      SIDEGATE_ADMIN_TOKEN: adminToken,
    });
    expect(code).toBe(0);
    expect(out).toContain('Shared limits are leased over Redis');
    expect(out).toMatch(/LIMIT +SCOPE +COUNTS +CAPACITY +USED +LEFT +LEASED HERE +LEASED IN ALL +FREES AT/);
    expect(out).toMatch(/window +\(all\) +shared +100 +\d+ +[\d.]+ +[\d.]+ +[\d.]+ +20\d\d-/);
    expect(out).toMatch(/own +\(all\) +pod +50 +\d+ +[\d.]+ +- +- +-/);
  });

  test('one that is too small to slice ends a stream when it is used up, not when its reserve is', async () => {
    const redis = await redisFor();
    const piece = 'word '.repeat(50);
    // It goes on until it is stopped.
    const own = await startUpstream(async (call) => {
      let open = true;
      void call.closed.then(() => {
        open = false;
      });
      call.streamHead();
      for (call.write(wire.opening); open; await wait(2)) call.write(wire.text(piece));
    });
    onTestFinished(() => own.close());
    const few = { name: 'few', per: [], unit: 'tokens', capacity: 12_000, refillPerSecond: 0.001 };
    const to = await pod(redis.url, own, { limits: [{ ...few, onHardEnd: 'stop' }] });
    await until(async () => metricIn(await to.metrics(), 'sidegate_leases_up', {}) === 1);
    const { text } = await ask(to.url, wire.path, {
      body: { ...wire.request('hi', { stream: true }), model: 'any' },
    });
    expect(text).toContain('"finish_reason":"length"');
    // 4,096 tokens were reserved for it.
    expect(wire.textOf(text).length / 4).toBeGreaterThan(8000);
  });

  test('what a budget spent outlives its pods, and a Redis that is lost', async () => {
    const redis = await redisFor();
    const own = await startUpstream(answers(wire, 'good'));
    onTestFinished(() => own.close());
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-budget-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const config = (file: string | null) => ({
      budgets: [{ name: 'month', per: [], usd: 1000, window: 'month' }],
      catalog: {
        models: [{ provider: 'own', model: 'any', inputUsdPerMTok: 10_000, outputUsdPerMTok: 10_000 }],
      },
      admin: { token: adminToken },
      ...(file === null ? {} : { store: { path: join(folder, file), flushMs: 100 } }),
    });
    const started = async (file: string | null): Promise<TestSidecar> => {
      const to = await pod(redis.url, own, config(file));
      await until(async () => metricIn(await to.metrics(), 'sidegate_leases_up', {}) === 1);
      return to;
    };
    const spentOf = (of: TestSidecar) => async (): Promise<number> =>
      metricIn(await of.metrics(), 'sidegate_budget_spent_usd', { budget: 'month' }) ?? 0;

    const first = await started('first.db');
    await until(async () => (await post(first)).status === 200);
    const spent = await spentOf(first)();
    expect(spent).toBeGreaterThan(0);
    await first.stop();

    // A pod without a volume starts with the truth, once it has asked.
    const second = await started(null);
    await post(second);
    await until(async () => (await spentOf(second)()) >= 2 * spent - 1e-9);
    await second.stop();

    // Redis is lost: the pod that kept its figure refills it.
    const client = new Redis(redis.url);
    onTestFinished(() => client.disconnect());
    await client.flushall();
    const again = await started('first.db');
    await post(again);
    // The larger figure counts, so it is to be there before others add theirs.
    await until(async () => (await client.keys('sidegate:1:{0}:m:*')).length > 0);
    const third = await started(null);
    await post(third);
    await until(async () => (await spentOf(third)()) >= 3 * spent - 1e-9);
  });
});
