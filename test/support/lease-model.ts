/**
 * Random schedules of shared limits: pods of the native core, the lease script in a real Redis, and time passed in, so
 * that thousands of schedules run side by side. One counter that drains at the limit's rate is the model.
 */
import type { Redis } from 'ioredis';
import { type Algorithm, algorithms } from '../../src/exchange/algorithm.ts';
import { createSharedMeters, type SharedMeters } from '../../src/limit/shared.ts';
import { leaseEntry } from '../../src/native/leases.ts';
import { AskEntries, meter, SettleEntries } from '../../src/native/meters.ts';
import {
  adoptAnswer,
  type Births,
  createClocks,
  type LeaseCall,
  packCalls,
} from '../../src/sync/lease-call.ts';
import { leaseScript } from '../../src/sync/lease-script.ts';
import { rhythmOf } from '../../src/sync/leases.ts';

/** The script with Redis' clock passed in as its third argument, in ms. */
export function timedScript(change: (script: string) => string = (script) => script): string {
  const clock = "redis.call('TIME')";
  if (!leaseScript.includes(clock)) throw new Error('the script no longer asks for the time');
  return change(leaseScript).replace(clock, '{ math.floor(ARGV[3] / 1000), (ARGV[3] % 1000) * 1000 }');
}

/** Deterministic randomness (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Pod {
  name: string;
  table: number;
  shared: SharedMeters;
  id: number;
  births: Births;
  clocks: ReturnType<typeof createClocks>;
  stoppedUntilMs: number;
  held: { reserved: number; used: number }[];
  /** Costs of a request that waits for Redis, as the limit is too small to be sliced; 0: none does. */
  asking: number;
}

/** What may go wrong in a schedule. */
export interface Faults {
  readonly losses: boolean;
  readonly crashes: boolean;
  readonly clockSteps: boolean;
  readonly outages: boolean;
}

/** One schedule while it runs. */
export interface Schedule {
  /** What is to be sent to Redis in this step; null: nothing. */
  step(): PendingCall | null;
  /** What Redis answered. */
  answered(answer: Buffer | Error): void;
  readonly counter: Counter;
  close(): void;
}

/** The model: what all pods admitted, less what the limit gives back. */
interface Counter {
  add(used: number, nowMs: number): void;
  /** What was in flight has ended. */
  free(held: number): void;
  pass(ms: number, nowMs: number): void;
  /** Raises the bound, by what is published for a fault. */
  allow(more: number): void;
  /** How far it was above the bound at most; above 0: the bound is broken. */
  readonly excess: number;
  /** The counter and the bound at that time. */
  readonly worst: string;
  readonly admitted: number;
}

function createCounter(
  kind: (typeof kinds)[number],
  capacity: number,
  rate: number,
  held: number,
  name: string,
): Counter {
  let level = 0;
  let bound = capacity + held;
  let inWindow: { atMs: number; used: number }[] = [];
  const seen = { excess: Number.NEGATIVE_INFINITY, worst: '', admitted: 0 };
  return {
    add(used, nowMs) {
      seen.admitted += used;
      level += used;
      if (kind === 'sliding_window') inWindow.push({ atMs: nowMs, used });
      if (level - bound <= seen.excess) return;
      seen.excess = level - bound;
      seen.worst = `${name} ${kind}: ${level} against ${bound}, of which the limit is ${capacity}`;
    },
    free(used) {
      if (kind === 'concurrency') level -= used;
    },
    pass(ms, nowMs) {
      if (kind === 'token_bucket') level = Math.max(0, level - (rate * ms) / 1000);
      if (kind !== 'sliding_window') return;
      inWindow = inWindow.filter(({ atMs }) => atMs > nowMs - rate);
      level = inWindow.reduce((sum, { used }) => sum + used, 0);
    },
    allow(more) {
      bound += more;
    },
    get excess() {
      return seen.excess;
    },
    get worst() {
      return seen.worst;
    },
    get admitted() {
      return seen.admitted;
    },
  };
}

export interface PendingCall {
  readonly keys: readonly string[];
  readonly args: readonly (string | Buffer)[];
}

const rhythm = rhythmOf(1);
const asks = new AskEntries();
const settles = new SettleEntries();

const kinds = ['token_bucket', 'sliding_window', 'budget', 'concurrency'] as const;

/** What all its limits have in common. */
const named = { id: 'r', name: 'r', shape: '', calendar: null };

/** Starts a pod that is in contact with Redis, as it has outages of its own. */
function openPod(
  name: string,
  rule: typeof named & { algorithm: Algorithm; capacity: number; rate: number },
  podCount: number,
  clock: () => number,
): Pod {
  const table = meter.openTable();
  const shared = createSharedMeters(table, podCount);
  const id = meter.open(table, rule.algorithm.meter, rule.capacity, rule.rate, 1, clock());
  shared.open({ id, rule, place: { key: '', label: '' } }, clock());
  shared.alone(false);
  shared.pods(podCount);
  const clocks = createClocks(clock);
  return { name, table, shared, id, clocks, births: new Map(), stoppedUntilMs: 0, held: [], asking: 0 };
}

/** Starts a schedule. @param seed which one */
export function startSchedule(seed: number, faults: Faults): Schedule {
  const random = seeded(seed);
  const pick = (n: number): number => Math.floor(random() * n);
  const kind = kinds[seed % 8 < 5 ? 0 : (seed % 8) - 4] ?? 'token_bucket';
  const capacity = [10, 40, 200, 1000][pick(4)] as number;
  const costMax = random() < 0.5 ? 1 : Math.max(1, Math.floor(capacity / (random() < 0.5 ? 20 : 8)));
  const windowMs = 6000;
  const rate = kind === 'token_bucket' ? capacity / (5 + pick(60)) : kind === 'sliding_window' ? windowMs : 0;
  const podCount = 2 + pick(3);
  const eager = Array.from({ length: podCount }, () => 0.05 + random() ** 3);
  const prefix = `p${seed}`;
  const reports = new Float64Array(8 * leaseEntry.report);
  let nowMs = 1e6 + pick(1e6);
  let redisOffsetMs = 1e12 + pick(1e6);
  let pods = 0;
  let outageUntilMs = 0;
  let stepped = false;
  let waiting: { pod: Pod; call: LeaseCall; sentMs: number; asked: number; lose: boolean } | null = null;

  const slice = Math.max((0.1 * capacity) / podCount, costMax);
  // Every pod may have admitted a slice that Redis doesn't know of yet.
  const counter = createCounter(kind, capacity, rate, podCount * slice, `seed ${seed}`);
  const open = (): Pod => {
    pods += 1;
    const rule = { ...named, algorithm: algorithms[kind], capacity, rate };
    return openPod(`pod${pods}`, rule, podCount, () => nowMs);
  };
  const all = Array.from({ length: podCount }, open);

  const pass = (ms: number): void => {
    nowMs += ms;
    counter.pass(ms, nowMs);
  };
  const settle = (pod: Pod, at: number): void => {
    const [hold] = pod.held.splice(at, 1);
    if (hold === undefined) return;
    settles.clear();
    settles.settle(pod.id, hold.reserved, hold.used, 1);
    settles.end(pod.table, nowMs);
    counter.free(hold.reserved);
  };
  const request = (pod: Pod, reserved = 1 + pick(costMax)): void => {
    asks.clear();
    asks.ask(pod.id, reserved, 0, 1, 1e9);
    if (asks.admit(pod.table, 1e9, nowMs) < 0) {
      if (pod.asking === 0 && pod.shared.asks(pod.id, reserved, nowMs)) pod.asking = reserved;
      return;
    }
    const used = kind === 'concurrency' ? reserved : random() < 0.3 ? pick(reserved + 1) : reserved;
    counter.add(used, nowMs);
    pod.held.push({ reserved, used });
    if (pod.held.length > 3 || random() < 0.6) settle(pod, pick(pod.held.length));
  };
  const crash = (at: number): void => {
    const pod = all[at] as Pod;
    for (const hold of pod.held) counter.free(hold.reserved);
    meter.closeTable(pod.table);
    all[at] = open();
    // The pod that is gone may have used a slice that Redis never heard of.
    counter.allow(slice);
  };
  const outage = (): void => {
    const ms = 500 + pick(8000);
    outageUntilMs = nowMs + ms;
    // Published: B + r·D; and a request may be larger than the share.
    counter.allow(capacity + (kind === 'token_bucket' ? (rate * ms) / 1000 : 0) + podCount * costMax);
    for (const pod of all) pod.shared.alone(true);
  };

  return {
    step() {
      pass(pick(400));
      const event = random();
      if (faults.crashes && event < 0.01) crash(pick(podCount));
      else if (faults.clockSteps && event < 0.03) {
        redisOffsetMs += (random() < 0.5 ? -1 : 1) * 3_600_000;
        stepped = true;
      } else if (faults.outages && event < 0.04 && outageUntilMs < nowMs) outage();
      else if (event < 0.06) (all[pick(podCount)] as Pod).stoppedUntilMs = nowMs + pick(10_000);
      all.forEach((pod, i) => {
        if (pod.stoppedUntilMs > nowMs) return;
        for (let n = 0; n < 12; n++) if (random() < (eager[i] as number)) request(pod);
      });
      const pod = all[pick(podCount)] as Pod;
      if (pod.stoppedUntilMs > nowMs || outageUntilMs > nowMs) return null;
      const asked = pod.asking;
      pod.asking = 0;
      const count =
        asked > 0
          ? Number(pod.shared.reportOne(pod.id, asked, reports, rhythm.horizonMs, nowMs))
          : pod.shared.report(reports, rhythm.horizonMs, nowMs);
      const [call] = packCalls(pod.shared, reports, count, {
        ...rhythm,
        greets: true,
        prefix,
        shards: 1,
        births: pod.births,
        clockOf: pod.clocks.of,
      });
      if (call === undefined) return null;
      // Redis' clock can't be checked against a newcomer's: it then goes on by a tick.
      if (stepped && pod.clocks.of(0).passedMs < 0)
        counter.allow(kind === 'token_bucket' ? rate : capacity / 4);
      const fate = faults.losses ? random() : 1;
      // Lost on the way there.
      if (fate < 0.1) return null;
      waiting = { pod, call, sentMs: nowMs, asked, lose: fate < 0.2 };
      return { keys: call.keys, args: [pod.name, call.blob, String(nowMs + redisOffsetMs)] };
    },
    answered(answer) {
      if (waiting === null) return;
      const { pod, call, sentMs, asked, lose } = waiting;
      waiting = null;
      if (answer instanceof Error) throw answer;
      // Between question and answer requests come and go.
      pass(pick(20));
      if (random() < 0.5) request(pod);
      if (lose) return;
      const adopted = adoptAnswer(pod.shared, reports, call, answer, pod.births, rhythm, sentMs, nowMs);
      if (adopted === null) throw new Error('not an answer');
      pod.clocks.told(0, { sentMs, cameMs: nowMs, clockMs: adopted.clockMs });
      pod.shared.alone(false);
      if (asked > 0) request(pod, asked);
    },
    counter,
    close() {
      for (const { table } of all) meter.closeTable(table);
    },
  };
}

/**
 * Runs schedules side by side.
 * @param script of `timedScript`
 * @returns the worst of them, and what all admitted
 */
export async function runSchedules(
  redis: Redis,
  script: string,
  seeds: readonly number[],
  steps: number,
  faults: Faults,
): Promise<{ readonly excess: number; readonly worst: string; readonly admitted: number }> {
  const sha = String(await redis.script('LOAD', script));
  const schedules = seeds.map((seed) => startSchedule(seed, faults));
  for (let step = 0; step < steps; step++) {
    const calls = schedules.map((schedule) => schedule.step());
    const pipeline = redis.pipeline();
    for (const call of calls)
      if (call !== null) pipeline.callBuffer('EVALSHA', sha, call.keys.length, ...call.keys, ...call.args);
    const answers = (await pipeline.exec()) ?? [];
    let next = 0;
    calls.forEach((call, i) => {
      if (call === null) return;
      const [error, answer] = answers[next++] ?? [new Error('no answer'), null];
      schedules[i]?.answered(error ?? (answer as Buffer));
    });
  }
  let [excess, worst, admitted] = [Number.NEGATIVE_INFINITY, '', 0];
  for (const { counter, close } of schedules) {
    admitted += counter.admitted;
    if (counter.excess > excess) [excess, worst] = [counter.excess, counter.worst];
    close();
  }
  await redis.flushall();
  return { excess, worst, admitted };
}
