/**
 * `npm run bench:quota -- --hung` and `-- --cost`: what requests feel of shared limits, in alternating rounds, so that a
 * busy machine is as busy for both. `--hung`: latency with a Redis that hangs against one that answers. `--cost`: CPU of
 * a sidecar per request with three limits shared against the same limits per pod.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { startDemand } from './load.ts';
import { cli, type Pod, startPod, startRedis } from './processes.ts';
import type { Oracle } from './upstream.ts';

const rounds = 8;
const roundMs = 6000;
const settleMs = 3000;
/** Requests per second: for latency a few, for CPU as many as a busy sidecar has. */
const perSecond = { hung: 100, cost: 400 };

/** A limit that nobody reaches, thrice: in requests, in tokens, and in flight. */
const limits = [
  { name: 'requests', per: [], capacity: 100_000, refillPerSecond: 10_000 },
  { name: 'tokens', per: [], unit: 'tokens', capacity: 10_000_000, refillPerSecond: 1_000_000 },
  { name: 'at-once', per: [], unit: 'concurrency', capacity: 10_000 },
];

const configOf = (oracle: Oracle, redis: string, scope: 'shared' | 'pod'): object => ({
  authenticate: { anonymousTenant: 'bench' },
  cache: { enabled: false },
  providers: {
    own: { dialect: 'openai', baseUrl: `http://127.0.0.1:${oracle.port}/v1`, apiKey: 'sk-bench' },
  },
  routes: [{ model: 'bench', targets: [{ provider: 'own' }] }],
  attempt: { retriesMax: 0 },
  limits: limits.map((limit) => ({ ...limit, scope })),
  sync: { redis },
  observe: { log: 'silent' },
});

/** A round of requests to a pod: latencies, and how many were answered and refused. */
async function round(
  pod: Pod,
  rate: number,
): Promise<{ latencies: readonly number[]; answered: number; failed: number }> {
  const demand = startDemand({ port: pod.port, pod: 0, perSecond: rate, streaming: false, maxTokens: 10 });
  await wait(roundMs);
  await demand.stop();
  const { latencies, admitted, refused, failed } = demand.sent;
  const others = [...failed.values()].reduce((sum, count) => sum + count, 0);
  return { latencies, answered: admitted, failed: refused + others };
}

const quantile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0;

/** What it came to. */
export interface Hung {
  readonly p50Ms: { readonly healthy: number; readonly hung: number };
  readonly p99Ms: { readonly healthy: number; readonly hung: number };
  readonly ratio: number;
  /** Requests that were refused or failed. */
  readonly failed: number;
}

/** Latency with Redis hung, against Redis answering. */
export async function runHung(oracle: Oracle): Promise<Hung> {
  const redis = await startRedis();
  const pod = await startPod(0, configOf(oracle, `redis://127.0.0.1:${redis.port}`, 'shared'));
  const all = { healthy: [] as number[], hung: [] as number[] };
  let failed = 0;
  try {
    await wait(settleMs);
    // A first round warms everything up.
    await round(pod, perSecond.hung);
    for (let n = 0; n < rounds; n++) {
      for (const kind of n % 2 === 0 ? (['healthy', 'hung'] as const) : (['hung', 'healthy'] as const)) {
        if (kind === 'hung') await cli(redis.port, 'client', 'pause', String(roundMs), 'all');
        const sent = await round(pod, perSecond.hung);
        all[kind].push(...sent.latencies);
        failed += sent.failed;
        if (kind === 'hung') await wait(settleMs);
      }
    }
  } finally {
    await pod.stop();
    await redis.stop();
  }
  const of = (part: number) => ({ healthy: quantile(all.healthy, part), hung: quantile(all.hung, part) });
  const [p50Ms, p99Ms] = [of(0.5), of(0.99)];
  return { p50Ms, p99Ms, ratio: p99Ms.hung / p99Ms.healthy, failed };
}

/** CPU time of all threads of a process, in ms. */
function cpuMs(pid: number): number {
  const of = (task: string): number =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => sum + of(task), 0);
}

/** What it came to. */
export interface Cost {
  /** CPU of a request, µs. */
  readonly sharedUs: number;
  readonly podUs: number;
  readonly ratio: number;
}

/** CPU of a request with three limits shared, against the same limits per pod: the medians of alternating rounds. */
export async function runCost(oracle: Oracle): Promise<Cost> {
  const redis = await startRedis();
  const url = `redis://127.0.0.1:${redis.port}`;
  const pods = {
    shared: await startPod(0, configOf(oracle, url, 'shared')),
    pod: await startPod(1, configOf(oracle, url, 'pod')),
  };
  const costs = { shared: [] as number[], pod: [] as number[] };
  try {
    await wait(settleMs);
    for (const pod of Object.values(pods)) await round(pod, perSecond.hung);
    for (let n = 0; n < rounds; n++) {
      for (const kind of n % 2 === 0 ? (['shared', 'pod'] as const) : (['pod', 'shared'] as const)) {
        const before = cpuMs(pods[kind].pid);
        const { answered } = await round(pods[kind], perSecond.cost);
        costs[kind].push(((cpuMs(pods[kind].pid) - before) * 1000) / answered);
      }
    }
  } finally {
    for (const pod of Object.values(pods)) await pod.stop();
    await redis.stop();
  }
  const [sharedUs, podUs] = [quantile(costs.shared, 0.5), quantile(costs.pod, 0.5)];
  return { sharedUs, podUs, ratio: sharedUs / podUs };
}
