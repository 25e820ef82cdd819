/** Pods with steady demand for one shared limit, in virtual time: what each gets of it, and how often Redis is called. */
import type { Redis } from 'ioredis';
import type { Algorithm } from '../../src/exchange/algorithm.ts';
import { createSharedMeters } from '../../src/limit/shared.ts';
import { leaseEntry } from '../../src/native/leases.ts';
import { AskEntries, meter } from '../../src/native/meters.ts';
import { adoptAnswer, type Births, packCalls } from '../../src/sync/lease-call.ts';
import { seeded, timedScript } from './lease-model.ts';

/** What is asked for. */
export interface Steady {
  readonly algorithm: Algorithm;
  readonly capacity: number;
  readonly rate: number;
  /** Requests per second of each pod, of cost 1, spent at once. */
  readonly demand: readonly number[];
  readonly seconds: number;
}

/** What came of it. */
export interface Outcome {
  readonly admitted: readonly number[];
  readonly asked: readonly number[];
  /** Calls to Redis per pod and second, after the first five seconds. */
  readonly calls: number;
}

const stepMs = 5;
const tickMs = 1000;
const urgentEveryMs = 50;
const spent = 2;

/** Runs it. Each pod ticks and looks for urgent leases as `createLeases` does. */
export async function runSteady(redis: Redis, steady: Steady, seed = 1): Promise<Outcome> {
  const { algorithm, capacity, rate, demand, seconds } = steady;
  const sha = String(await redis.script('LOAD', timedScript()));
  const random = seeded(seed);
  const reports = new Float64Array(leaseEntry.report);
  const asks = new AskEntries();
  const pods = demand.map((perSecond, i) => {
    const table = meter.openTable();
    const shared = createSharedMeters(table, demand.length);
    const id = meter.open(table, algorithm.meter, capacity, rate, 1, 0);
    const rule = { id: 'r', name: 'r', shape: '', algorithm, capacity, rate, calendar: null };
    shared.open({ id, rule, place: { key: '', label: '' } }, 0);
    shared.alone(false);
    shared.pods(demand.length);
    const phaseMs = Math.floor((random() * tickMs) / stepMs) * stepMs;
    return {
      i,
      perSecond,
      table,
      shared,
      id,
      phaseMs,
      births: new Map() as Births,
      answeredMs: -1e9,
      urgent: 10,
      calls: 0,
    };
  });
  const admitted = demand.map(() => 0);
  const asked = demand.map(() => 0);
  for (let nowMs = stepMs; nowMs <= seconds * 1000; nowMs += stepMs) {
    for (const pod of pods) {
      while ((asked[pod.i] ?? 0) < (pod.perSecond * nowMs) / 1000) {
        asked[pod.i] = (asked[pod.i] ?? 0) + 1;
        asks.clear();
        asks.ask(pod.id, 1, spent, 1, 1e9);
        if (asks.admit(pod.table, 0, nowMs) >= 0) admitted[pod.i] = (admitted[pod.i] ?? 0) + 1;
      }
      let due = nowMs % tickMs === pod.phaseMs;
      if (nowMs % urgentEveryMs === pod.phaseMs % urgentEveryMs) {
        pod.urgent = Math.min(10, pod.urgent + 0.04);
        if (!due && pod.urgent >= 1 && pod.shared.urgent()) {
          pod.urgent -= 1;
          due = true;
        }
      }
      if (!due) continue;
      if (nowMs > 5000) pod.calls += 1;
      const count = pod.shared.report(reports, 2 * tickMs, nowMs);
      const times = { leaseMs: 3000, tickMs };
      const [call] = packCalls(pod.shared, reports, count, {
        ...times,
        prefix: `steady${seed}`,
        shards: 1,
        births: pod.births,
        passedMs: () => nowMs - pod.answeredMs,
      });
      if (call === undefined) continue;
      const answer = await redis.callBuffer(
        'EVALSHA',
        sha,
        call.keys.length,
        ...call.keys,
        `pod${pod.i}`,
        call.blob,
        String(1e12 + nowMs),
      );
      adoptAnswer(pod.shared, reports, call, answer, pod.births, times, nowMs, nowMs);
      pod.answeredMs = nowMs;
    }
  }
  for (const { table } of pods) meter.closeTable(table);
  await redis.flushall();
  const calls = pods.reduce((sum, pod) => sum + pod.calls, 0) / pods.length / Math.max(1, seconds - 5);
  return { admitted, asked, calls };
}
