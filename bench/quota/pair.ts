/**
 * `npm run bench:quota -- --hung` and `-- --cost`: what requests feel of shared limits, in alternating rounds, so that a
 * busy machine is as busy for both. `--hung`: latency with a Redis that hangs against one that answers. `--cost`: CPU of
 * a request with three limits shared against the same limits per pod.
 */
import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { algorithms } from '../../src/exchange/algorithm.ts';
import { createSharedMeters } from '../../src/limit/shared.ts';
import { AskEntries, meter, SettleEntries } from '../../src/native/meters.ts';
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
  { name: 'at-once', per: [], unit: 'concurrency', capacity: 100_000 },
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
  /** CPU of a request, µs: the medians of all rounds. */
  readonly sharedUs: number;
  readonly podUs: number;
  /** CPU of a pod without requests, ms a second, with the limits shared and per pod. */
  readonly idleMs: { readonly shared: number; readonly pod: number };
  /** Of requests alone: the median of all pairs of rounds, and their quartiles. */
  readonly requestRatio: number;
  readonly quartiles: readonly [number, number];
  /** With what a pod does besides, at this many requests a second. */
  readonly ratio: number;
  readonly perSecond: number;
  readonly rounds: number;
  /** What the limits' part of a request takes in the core, µs. */
  readonly coreUs: { readonly shared: number; readonly pod: number };
}

type Scope = 'shared' | 'pod';
const scopes: readonly Scope[] = ['shared', 'pod'];
const keyOf = (scope: Scope): string => `sk-bench-${scope}-0000000000000000`;

/** Rounds of each kind, and their length: short, so that two that follow each other have the same machine. */
const costRounds = 60;
const costRoundMs = 1000;
const idleRounds = 6;

/** Limits of both kinds, each for the tenant of its name. */
const costConfig = (oracle: Oracle, redis: string, kinds: readonly Scope[]): object => ({
  ...configOf(oracle, redis, 'shared'),
  authenticate: {
    keys: kinds.map((scope) => ({ id: scope, sha256: hash('sha256', keyOf(scope)), tenant: scope })),
  },
  limits: kinds.flatMap((scope) =>
    limits.map((limit) => ({ ...limit, name: `${limit.name}-${scope}`, match: { tenant: scope }, scope })),
  ),
});

/**
 * CPU of a request with three limits shared, against the same limits per pod, by two tenants of one sidecar: two
 * processes differ by several percent of themselves, by luck with their memory and their compiler. A second sidecar
 * shares the limits and has requests of its own. What a sidecar does besides requests is measured without any, in
 * sidecars that have limits of one kind only.
 */
export async function runCost(oracle: Oracle): Promise<Cost> {
  const redis = await startRedis();
  const url = `redis://127.0.0.1:${redis.port}`;
  const us: Record<Scope, number[]> = { shared: [], pod: [] };
  try {
    const pod = await startPod(0, costConfig(oracle, url, scopes));
    const peer = await startPod(1, costConfig(oracle, url, scopes));
    const steady = { streaming: false, maxTokens: 10 };
    const others = startDemand({ ...steady, port: peer.port, pod: 1, perSecond: 20, key: keyOf('shared') });
    const measured = async (scope: Scope): Promise<number> => {
      const before = cpuMs(pod.pid);
      const order = { port: pod.port, pod: 0, perSecond: perSecond.cost, key: keyOf(scope) };
      const demand = startDemand({ ...steady, ...order });
      await wait(costRoundMs);
      await demand.stop();
      const { admitted, refused, failed } = demand.sent;
      if (refused + failed.size > 0) throw new Error(`requests failed: ${refused} ${[...failed.keys()]}`);
      return ((cpuMs(pod.pid) - before) * 1000) / admitted;
    };
    await wait(settleMs);
    for (let n = 0; n < 6; n++) for (const scope of scopes) await measured(scope);
    for (let n = 0; n < costRounds; n++)
      for (const scope of n % 2 === 0 ? scopes : scopes.toReversed()) us[scope].push(await measured(scope));
    await others.stop();
    for (const each of [pod, peer]) await each.stop();
    const idleMs = await idleCost((kinds) => costConfig(oracle, url, kinds));
    const ratios = us.shared.map((shared, n) => shared / (us.pod[n] ?? 0));
    const [sharedUs, podUs] = [quantile(us.shared, 0.5), quantile(us.pod, 0.5)];
    const besideUs = ((idleMs.shared - idleMs.pod) * 1000) / perSecond.cost;
    const requestRatio = quantile(ratios, 0.5);
    return {
      sharedUs,
      podUs,
      idleMs,
      requestRatio,
      quartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
      // Both kinds of rounds have the shared limits' part beside them: it is left out once.
      ratio: requestRatio + besideUs / (podUs - besideUs),
      perSecond: perSecond.cost,
      rounds: costRounds,
      coreUs: coreCost(),
    };
  } finally {
    await redis.stop();
  }
}

/** CPU of a sidecar that has no requests, ms a second, with limits of each kind: the medians of several seconds. */
async function idleCost(configured: (kinds: readonly Scope[]) => object): Promise<Cost['idleMs']> {
  const pods = await Promise.all(scopes.map((scope, n) => startPod(n, configured([scope]))));
  try {
    // What a start left behind is done by then.
    await wait(2 * settleMs);
    const all: number[][] = [[], []];
    for (let n = 0; n < idleRounds; n++) {
      const before = pods.map(({ pid }) => cpuMs(pid));
      await wait(settleMs);
      for (const [i, { pid }] of pods.entries())
        all[i]?.push(((cpuMs(pid) - (before[i] ?? 0)) * 1000) / settleMs);
    }
    const [shared = 0, pod = 0] = all.map((each) => quantile(each, 0.5));
    return { shared, pod };
  } finally {
    for (const pod of pods) await pod.stop();
  }
}

/** What deciding and settling three meters takes, with leases and without: the least of alternating rounds. */
function coreCost(): Cost['coreUs'] {
  const times = 50_000;
  const best = { shared: Number.POSITIVE_INFINITY, pod: Number.POSITIVE_INFINITY };
  for (let n = 0; n < 20; n++) {
    for (const kind of ['shared', 'pod'] as const) {
      const table = meter.openTable();
      const shared = createSharedMeters(table, 1);
      const algorithm = algorithms.token_bucket;
      const ids = limits.map(({ name, capacity }) => {
        const id = meter.open(table, algorithm.meter, capacity, capacity, 1, 0);
        const rule = { id: name, name, shape: '', algorithm, calendar: null, capacity, rate: capacity };
        if (kind === 'pod') return id;
        shared.open({ id, rule, place: { key: '', label: '' } }, 0);
        // All of the limit, for longer than it is measured: window, confirmed, hold, until, pool, used, leased, frees,
        // share, fair, advance, wanted.
        shared.grant(new Float64Array([id, 0, 0, 1e9, 1e9, 1e9, 0, 1e9, 0, 1, 1e9, 1, 1e9]), 1, 0);
        return id;
      });
      shared.alone(false);
      const asks = new AskEntries();
      const settles = new SettleEntries();
      const before = process.cpuUsage();
      for (let i = 0; i < times; i++) {
        asks.clear();
        for (const id of ids) asks.ask(id, 1, 0, 0, 0);
        if (asks.admit(table, 0, i) !== 0) throw new Error('refused');
        settles.clear();
        for (const id of ids) settles.settle(id, 1, 1, 0);
        settles.end(table, i);
      }
      best[kind] = Math.min(best[kind], process.cpuUsage(before).user / times);
      meter.closeTable(table);
    }
  }
  return best;
}
