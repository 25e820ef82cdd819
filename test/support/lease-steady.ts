/** Pods with steady demand for one shared limit, in virtual time: what each gets of it, and how often Redis is called. */
import type { Redis } from 'ioredis';
import type { Algorithm } from '../../src/exchange/algorithm.ts';
import { createSharedMeters } from '../../src/limit/shared.ts';
import { leaseEntry } from '../../src/native/leases.ts';
import { AskEntries, meter, SettleEntries } from '../../src/native/meters.ts';
import {
  adoptAnswer,
  type Births,
  createClocks,
  type LeaseCall,
  packCalls,
} from '../../src/sync/lease-call.ts';
import { rhythmOf, urgency } from '../../src/sync/leases.ts';
import { seeded, timedScript } from './lease-model.ts';

/** What is asked for. */
export interface Steady {
  readonly algorithm: Algorithm;
  readonly capacity: number;
  readonly rate: number;
  /** Requests per second of each pod. */
  readonly demand: readonly number[];
  /** Of each request; 1 unless set. */
  readonly cost?: number;
  /** For how long each is in flight, ms, and then costs nothing; unless set it is over at once. */
  readonly heldMs?: number;
  readonly seconds: number;
  /** When each pod begins, s; 0 unless set. */
  readonly begins?: readonly number[];
  /** How busy the machine is; not at all unless set. */
  readonly busy?: Busy;
}

/** A busy machine: pods stall, and then find all that came meanwhile at once; Redis answers late. */
export interface Busy {
  /** Stalls of each pod per second, and how long they are at most, ms. */
  readonly stallsPerSecond: number;
  readonly stallMs: number;
  /** What an answer of Redis takes at most, ms. */
  readonly answerMs: number;
}

/** What came of it. */
export interface Outcome {
  readonly admitted: readonly number[];
  readonly asked: readonly number[];
  /** Calls to Redis per pod and second, after the first five seconds. */
  readonly calls: number;
}

interface Waiting {
  readonly call: LeaseCall;
  readonly answer: Buffer;
  readonly sentMs: number;
  readonly dueMs: number;
  /** Requests that are decided once it is adopted. */
  readonly asking: number;
}

const stepMs = 5;
const rhythm = rhythmOf(1);
const { tickMs } = rhythm;
const spent = 2;
const idle: Busy = { stallsPerSecond: 0, stallMs: 0, answerMs: 0 };

const ends = new SettleEntries();

/** Ends what is no longer in flight. */
function endDue(pod: { endsMs: number[]; id: number; table: number }, cost: number, nowMs: number): void {
  ends.clear();
  while ((pod.endsMs[0] ?? nowMs) < nowMs) {
    pod.endsMs.shift();
    ends.settle(pod.id, cost, 0, 1);
  }
  if (ends.length > 0) ends.end(pod.table, nowMs);
}

/** Runs it. Each pod ticks and looks for urgent leases as `createLeases` does. */
export async function runSteady(redis: Redis, steady: Steady, seed = 1): Promise<Outcome> {
  const { algorithm, capacity, rate, demand, seconds, begins = [], busy = idle } = steady;
  const { heldMs = 0, cost = 1 } = steady;
  const sha = String(await redis.script('LOAD', timedScript()));
  const random = seeded(seed);
  const asks = new AskEntries();
  let atMs = 0;
  const pods = demand.map((perSecond, i) => {
    const table = meter.openTable();
    const shared = createSharedMeters(table, demand.length);
    const id = meter.open(table, algorithm.meter, capacity, rate, 1, 0);
    const rule = { id: 'r', name: 'r', shape: '', algorithm, capacity, rate, calendar: null };
    shared.open({ id, rule, place: { key: '', label: '' } }, 0);
    shared.alone(false);
    shared.pods(demand.length);
    const beginMs = (begins[i] ?? 0) * 1000;
    return {
      i,
      perSecond,
      // Not all in the same moment.
      phase: (i * 0.37) % 1,
      table,
      shared,
      id,
      beginMs,
      reports: new Float64Array(leaseEntry.report),
      births: new Map() as Births,
      clocks: createClocks(() => atMs),
      tickDueMs: beginMs + Math.floor((random() * tickMs) / stepMs) * stepMs,
      lookDueMs: beginMs,
      stalledUntilMs: 0,
      urgent: urgency.max as number,
      /** Requests that wait for Redis, as the limit is too small to be sliced. */
      asking: 0,
      waiting: null as Waiting | null,
      /** When those in flight end, the first one first. */
      endsMs: [] as number[],
      calls: 0,
    };
  });
  type Pod = (typeof pods)[number];
  const admitted = demand.map(() => 0);
  const asked = demand.map(() => 0);

  const admits = (pod: Pod, nowMs: number): boolean => {
    asks.clear();
    asks.ask(pod.id, cost, heldMs === 0 ? spent : 0, 1, 1e9);
    if (asks.admit(pod.table, 0, nowMs) < 0) return false;
    if (heldMs > 0) pod.endsMs.push(nowMs + heldMs);
    admitted[pod.i] = (admitted[pod.i] ?? 0) + 1;
    return true;
  };
  const request = (pod: Pod, nowMs: number): void => {
    asked[pod.i] = (asked[pod.i] ?? 0) + 1;
    if (!admits(pod, nowMs) && pod.shared.asks(pod.id, cost, nowMs)) pod.asking += 1;
  };
  const report = async (pod: Pod, nowMs: number): Promise<void> => {
    if (nowMs > 5000) pod.calls += 1;
    const { asking } = pod;
    pod.asking = 0;
    if (asking > 0) pod.shared.reportOne(pod.id, asking * cost, pod.reports, rhythm.horizonMs, nowMs);
    const count = asking > 0 ? 1 : pod.shared.report(pod.reports, rhythm.horizonMs, nowMs);
    const [call] = packCalls(pod.shared, pod.reports, count, {
      ...rhythm,
      greets: true,
      prefix: `steady${seed}`,
      shards: 1,
      births: pod.births,
      clockOf: pod.clocks.of,
    });
    if (call === undefined) return;
    const answer = await redis.callBuffer(
      'EVALSHA',
      sha,
      call.keys.length,
      ...call.keys,
      `pod${pod.i}`,
      call.blob,
      String(1e12 + nowMs),
    );
    pod.waiting = {
      call,
      answer: answer as Buffer,
      sentMs: nowMs,
      dueMs: nowMs + random() * busy.answerMs,
      asking,
    };
  };
  const adopt = (pod: Pod, nowMs: number): void => {
    if (pod.waiting === null || pod.waiting.dueMs > nowMs) return;
    const { call, answer, sentMs, asking } = pod.waiting;
    pod.waiting = null;
    const told = adoptAnswer(pod.shared, pod.reports, call, answer, pod.births, rhythm, sentMs, nowMs);
    if (told === null) throw new Error('not an answer');
    pod.clocks.told(0, { sentMs, cameMs: nowMs, clockMs: told.clockMs });
    for (let i = 0; i < asking; i++) admits(pod, nowMs);
  };

  for (let nowMs = stepMs; nowMs <= seconds * 1000; nowMs += stepMs) {
    atMs = nowMs;
    for (const pod of pods) {
      if (nowMs < pod.beginMs || nowMs < pod.stalledUntilMs) continue;
      if (random() < (busy.stallsPerSecond * stepMs) / 1000) {
        pod.stalledUntilMs = nowMs + random() * busy.stallMs;
        continue;
      }
      // Timers come first, then what has arrived.
      let due = nowMs >= pod.tickDueMs;
      if (due) pod.tickDueMs = nowMs + tickMs;
      if (nowMs >= pod.lookDueMs) {
        pod.lookDueMs = nowMs + urgency.everyMs;
        pod.urgent = Math.min(urgency.max, pod.urgent + (rhythm.urgentPerSecond * urgency.everyMs) / 1000);
        if (!due && pod.waiting === null && pod.urgent >= 1 && pod.shared.urgent()) {
          pod.urgent -= 1;
          due = true;
        }
      }
      if (due && pod.waiting === null) await report(pod, nowMs);
      adopt(pod, nowMs);
      endDue(pod, cost, nowMs);
      const soFarMs = nowMs - pod.beginMs;
      while ((asked[pod.i] ?? 0) < (pod.perSecond * soFarMs) / 1000 - pod.phase) request(pod, nowMs);
      if (pod.asking > 0 && pod.waiting === null) {
        await report(pod, nowMs);
        adopt(pod, nowMs);
      }
    }
  }
  for (const { table } of pods) meter.closeTable(table);
  await redis.flushall();
  const calls = pods.reduce((sum, pod) => sum + pod.calls, 0) / pods.length / Math.max(1, seconds - 5);
  return { admitted, asked, calls };
}
