/**
 * Strategy latency on real sockets, beside round-robin over the same kind of targets: three of them at 50, 100 and
 * 400 ms, of which the best one degrades to 2 s half-way. Real time is the subject; verdicts are by shares.
 * `npm run scenarios` runs it at full length.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';
import { startLoad, tableOf } from './load.ts';

const halfMs = 15_000;
/** After the change, until the degraded target should have been left. */
const settleMs = 5_000;
const perSecond = 100;
const degradedMs = 2_000;
const names = ['fast', 'middle', 'slow'] as const;
const usualMs = [50, 100, 400] as const;
const wire = openaiWire;

const quantile = (times: readonly number[], share: number): number =>
  [...times].sort((a, b) => a - b)[Math.ceil(times.length * share) - 1] ?? 0;

/** Three targets behind a sidecar; `modelOf` says which route the n-th request asks for. */
async function startSide(name: string, modelOf: (index: number) => string) {
  const good = answers(wire, 'Good');
  const delaysMs: number[] = [...usualMs];
  const upstreams = await Promise.all(
    names.map((_, index) =>
      startUpstream(async (call) => {
        await wait(delaysMs[index]);
        good(call);
      }),
    ),
  );
  const targets = names.map((provider) => ({ provider, model: 'm' }));
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: Object.fromEntries(
      upstreams.map(({ baseUrl }, index) => [names[index] ?? '', { dialect: 'openai' as const, baseUrl }]),
    ),
    routes: [
      { model: 'latency', strategy: 'latency', targets },
      ...targets.map((target, index) => ({ model: `robin-${index}`, targets: [target] })),
    ],
  });
  const times: number[] = [];
  let failed = 0;
  const load = startLoad(perSecond, async (index) => {
    const startMs = performance.now();
    const body = wire.request(`prompt ${index}`, { model: modelOf(index), stream: true });
    const reply = await ask(sidecar.url, wire.path, { body }).catch(() => null);
    times.push(performance.now() - startMs);
    if (reply?.status !== 200) failed += 1;
  });
  return {
    degrade: () => {
      delaysMs[0] = degradedMs;
    },
    sent: () => load.sent,
    reached: () => upstreams[0]?.calls.length ?? 0,
    async stop() {
      await load.stop();
      await sidecar.stop();
      await Promise.all(upstreams.map((upstream) => upstream.close()));
      return { name, times, failed };
    },
  };
}

test('the degraded target is left, and the slowest requests are far faster than round-robin’s', async () => {
  const sides = await Promise.all([
    startSide('latency', () => 'latency'),
    startSide('round-robin', (index) => `robin-${index % 3}`),
  ]);
  await wait(halfMs);
  for (const side of sides) side.degrade();
  await wait(settleMs);
  const before = sides.map((side) => ({ sent: side.sent(), reached: side.reached() }));
  await wait(halfMs - settleMs);
  const after = sides.map((side, i) => ({
    sent: side.sent() - (before[i]?.sent ?? 0),
    reached: side.reached() - (before[i]?.reached ?? 0),
  }));
  const results = await Promise.all(sides.map((side) => side.stop()));
  const rows = results.map(({ name, times, failed }, i) => ({
    strategy: name,
    requests: times.length,
    failed,
    'p50 ms': Math.round(quantile(times, 0.5)),
    'p95 ms': Math.round(quantile(times, 0.95)),
    'p99 ms': Math.round(quantile(times, 0.99)),
    'to the degraded one, settled': `${((100 * (after[i]?.reached ?? 0)) / (after[i]?.sent ?? 1)).toFixed(2)}%`,
  }));
  console.log(
    `50, 100 and 400 ms; the first at 2 s after ${halfMs / 1000} s; ${perSecond} rps each\n${tableOf(rows)}`,
  );
  const [latency, robin] = results;
  expect(results.map(({ failed }) => failed)).toEqual([0, 0]);
  expect(quantile(latency?.times ?? [], 0.95)).toBeLessThanOrEqual(0.3 * quantile(robin?.times ?? [], 0.95));
  expect(after[0]?.reached ?? 0).toBeLessThanOrEqual(0.02 * (after[0]?.sent ?? 0));
}, 120_000);
