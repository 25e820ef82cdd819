/** The scenarios of the quota benchmark: what is limited, who asks for it, and what goes wrong meanwhile. */
import { setTimeout as wait } from 'node:timers/promises';
import {
  cli,
  type DelayingProxy,
  moveSlot,
  type Pod,
  type Process,
  startCluster,
  startProxy,
  startRedis,
  startSentinels,
  type WallClock,
  wallClock,
} from './processes.ts';

/** Demand of the pods, requests per second: 50 to 1. */
export const skewed = [100, 40, 20, 10, 8, 6, 4, 2] as const;

/** The Redis of a scenario. */
export interface Backend {
  /** Settings of `sync`. */
  readonly sync: object;
  readonly processes: Process[];
  readonly proxy?: DelayingProxy;
  readonly clock?: WallClock;
}

/** A scenario while it runs. */
export interface Stage {
  readonly pods: (Pod | null)[];
  readonly backend: Backend;
  /** How long demand goes on, ms. */
  readonly durationMs: number;
  /** Starts a pod and its demand. */
  join(pod: number): Promise<void>;
  /** Kills a pod, and with it whoever asks it. */
  leave(pod: number): Promise<void>;
}

/** One scenario. */
export interface Scenario {
  readonly name: string;
  /** Limit, or budget, of all pods: its capacity and what it refills per second, in the unit it counts. */
  readonly limit: { readonly capacity: number; readonly perSecond: number; readonly unit: Unit };
  /** Requests per second of each pod. */
  readonly demand: readonly number[];
  /** Pods that are there from the beginning; all unless set. */
  readonly first?: number;
  /** The pod that is stopped or killed: what it gets says nothing of fairness. */
  readonly harmed?: number;
  readonly streaming?: boolean;
  readonly maxTokens?: number;
  backend(): Promise<Backend>;
  /** What goes wrong. Gives the ms for which Redis was away, and whether it lost its state; null: it wasn't. */
  act?(stage: Stage): Promise<Outage | null>;
}

/** What a request costs in each unit is up to the oracle. */
export type Unit = 'requests' | 'tokens' | 'usd';

/** Redis was away. */
export interface Outage {
  readonly ms: number;
}

const urlOf = ({ port }: { readonly port: number }): string => `redis://127.0.0.1:${port}`;

/** One server; `proxied`: behind a proxy that can slow it down. */
const single = async (): Promise<Backend> => {
  const redis = await startRedis();
  return { sync: { redis: urlOf(redis) }, processes: [redis] };
};
const proxied = async (): Promise<Backend> => {
  const redis = await startRedis();
  const proxy = await startProxy(redis.port);
  return { sync: { redis: urlOf(proxy) }, processes: [redis], proxy };
};
const clocked = async (): Promise<Backend> => {
  const clock = wallClock();
  if (clock === null) throw new Error('install `faketime`');
  const redis = await startRedis([], 0, clock.env);
  return { sync: { redis: urlOf(redis) }, processes: [redis], clock };
};
const sentinel = async (): Promise<Backend> => {
  const { sentinels, all } = await startSentinels();
  const [first, ...more] = sentinels.map(urlOf);
  return { sync: { redis: first, nodes: more, mode: 'sentinel' }, processes: all };
};
const cluster = async (): Promise<Backend> => {
  const nodes = await startCluster();
  const [first, ...more] = nodes.map(urlOf);
  return { sync: { redis: first, nodes: more, mode: 'cluster', shards: 2 }, processes: nodes };
};

/** More than is asked for, and half of it. */
const roomy = { capacity: 500, perSecond: 230, unit: 'requests' } as const;
const scarce = { capacity: 200, perSecond: 95, unit: 'requests' } as const;

const redisOf = ({ backend }: Stage): Process => backend.processes[0] as Process;
const after = (stage: Stage, part: number): Promise<void> => wait(stage.durationMs * part);

/** Scenarios 1 of issue 15: token buckets under everything that goes wrong. */
const faults: readonly Scenario[] = [
  { name: 'healthy', limit: roomy, demand: skewed, backend: single },
  { name: 'healthy, demand above the limit', limit: scarce, demand: skewed, backend: single },
  ...[roomy, scarce].map((limit) => ({
    name: limit === roomy ? 'peers joining' : 'peers joining, demand above the limit',
    limit,
    demand: skewed,
    first: 3,
    backend: single,
    async act(stage: Stage) {
      for (let pod = 3; pod < skewed.length; pod++) {
        await after(stage, 0.12);
        await stage.join(pod);
      }
      return null;
    },
  })),
  {
    name: 'Redis killed and back',
    limit: scarce,
    demand: skewed,
    backend: single,
    async act(stage) {
      await after(stage, 0.3);
      const [redis] = stage.backend.processes;
      await redis?.stop();
      await after(stage, 0.3);
      stage.backend.processes.push(await startRedis([], redis?.port));
      return { ms: stage.durationMs * 0.3 };
    },
  },
  {
    name: 'Redis hung (CLIENT PAUSE)',
    limit: scarce,
    demand: skewed,
    backend: single,
    async act(stage) {
      await after(stage, 0.3);
      const ms = Math.round(stage.durationMs * 0.3);
      await cli(redisOf(stage).port, 'client', 'pause', String(ms), 'all');
      await wait(ms);
      return { ms };
    },
  },
  {
    name: 'Redis replies in 1 s',
    limit: scarce,
    demand: skewed,
    backend: proxied,
    async act(stage) {
      const { proxy } = stage.backend;
      await after(stage, 0.3);
      if (proxy !== undefined) proxy.delayMs = 1000;
      await after(stage, 0.3);
      if (proxy !== undefined) proxy.delayMs = 0;
      return { ms: stage.durationMs * 0.3 };
    },
  },
  {
    name: 'a peer stopped for 10 s and resumed',
    limit: scarce,
    demand: skewed,
    harmed: 0,
    backend: single,
    async act(stage) {
      await after(stage, 0.3);
      stage.pods[0]?.signal('SIGSTOP');
      await wait(Math.min(10_000, stage.durationMs / 2));
      stage.pods[0]?.signal('SIGCONT');
      return null;
    },
  },
  {
    name: 'a peer killed -9',
    limit: scarce,
    demand: skewed,
    harmed: 0,
    backend: single,
    async act(stage) {
      await after(stage, 0.4);
      await stage.leave(0);
      return null;
    },
  },
  {
    name: 'a Sentinel failover',
    limit: scarce,
    demand: skewed,
    backend: sentinel,
    async act(stage) {
      await after(stage, 0.3);
      const beganMs = performance.now();
      const [master, replica] = stage.backend.processes as [Process, Process];
      await master.stop();
      while (!(await cli(replica.port, 'role')).startsWith('master')) await wait(50);
      // Until the pods have found it.
      await wait(1500);
      return { ms: performance.now() - beganMs };
    },
  },
  {
    name: 'a Cluster slot moved',
    limit: scarce,
    demand: skewed,
    backend: cluster,
    async act(stage) {
      await after(stage, 0.3);
      const beganMs = performance.now();
      for (let shard = 0; shard < 2; shard++) {
        const slot = Number(await cli(redisOf(stage).port, 'cluster', 'keyslot', `{${shard}}`));
        await moveSlot(stage.backend.processes, slot);
      }
      return { ms: performance.now() - beganMs };
    },
  },
  {
    name: 'Redis flushed',
    limit: scarce,
    demand: skewed,
    backend: single,
    async act(stage) {
      await after(stage, 0.4);
      await cli(redisOf(stage).port, 'flushall');
      return { ms: 0 };
    },
  },
  {
    name: 'wall clocks ±1 h',
    limit: scarce,
    demand: skewed,
    backend: clocked,
    async act(stage) {
      for (const offset of ['+1h', '+0', '-1h', '+0']) {
        await after(stage, 0.18);
        stage.backend.clock?.set(offset);
      }
      return null;
    },
  },
  {
    name: "a long stream's reserve refunded late",
    limit: { capacity: 20_000, perSecond: 1000, unit: 'tokens' },
    demand: [5, 4, 3, 2, 2, 1, 1, 0.5],
    streaming: true,
    maxTokens: 200,
    backend: single,
  },
];

/** Scenarios 2: a limit too small to slice, and a budget that nearly ends. */
const small: readonly Scenario[] = [
  {
    name: 'too small to slice: 30 requests a minute',
    limit: { capacity: 30, perSecond: 0.5, unit: 'requests' },
    demand: [4, 2, 1, 0.5, 0.5, 0.3, 0.2, 0.1],
    backend: single,
  },
  {
    name: 'too small to slice, Redis killed and back',
    limit: { capacity: 30, perSecond: 0.5, unit: 'requests' },
    demand: [4, 2, 1, 0.5, 0.5, 0.3, 0.2, 0.1],
    backend: single,
    async act(stage) {
      await after(stage, 0.3);
      const [redis] = stage.backend.processes;
      await redis?.stop();
      await after(stage, 0.3);
      stage.backend.processes.push(await startRedis([], redis?.port));
      return { ms: stage.durationMs * 0.3 };
    },
  },
  {
    name: "a month's budget that nearly ends",
    // A request costs a tenth of a cent: there is money for about half of them.
    limit: { capacity: 0, perSecond: 0, unit: 'usd' },
    demand: skewed,
    maxTokens: 10,
    backend: single,
  },
];

export const scenarios: readonly Scenario[] = [...faults, ...small];
