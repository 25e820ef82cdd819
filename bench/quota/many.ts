/**
 * `npm run bench:quota -- --many`: 200 simulated pods with 500 limits each on one Redis. Shows what Redis' CPU goes to,
 * and that what all admit stays within the bound.
 */
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { algorithms } from '../../src/exchange/algorithm.ts';
import { createSharedMeters } from '../../src/limit/shared.ts';
import { leaseEntry } from '../../src/native/leases.ts';
import { AskEntries, meter, meterAsk } from '../../src/native/meters.ts';
import { adoptAnswer, type Births, createClocks, packCalls } from '../../src/sync/lease-call.ts';
import { leaseScript } from '../../src/sync/lease-script.ts';
import { rhythmOf } from '../../src/sync/leases.ts';
import { startRedis } from './processes.ts';

/** Requests per pod, limit and second, and what each limit refills: half of what is asked for. */
const perSecond = 0.5;
const capacity = 2000;

const rhythm = rhythmOf(1);

/** What it came to. */
export interface Many {
  readonly pods: number;
  readonly limits: number;
  readonly seconds: number;
  readonly calls: number;
  /** Of one core. */
  readonly redisCpuShare: number;
  /** µs of Redis per call, and per limit in a call. */
  readonly usPerCall: number;
  readonly usPerLimit: number;
  readonly admitted: number;
  readonly bound: number;
}

/** CPU time of a process so far, in s. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Runs it: in virtual ticks, each pod once in each, as fast as Redis answers. */
export async function runMany(podCount: number, limitCount: number, seconds: number): Promise<Many> {
  const server = await startRedis();
  const redis = new Redis(server.port, '127.0.0.1');
  const sha = String(await redis.script('LOAD', clocked(leaseScript)));
  const refill = (podCount * perSecond) / 2;
  const reports = new Float64Array(limitCount * leaseEntry.report);
  const asks = new AskEntries();
  let atMs = 0;
  const pods = Array.from({ length: podCount }, (_, number) => {
    const table = meter.openTable();
    const shared = createSharedMeters(table, podCount);
    shared.alone(false);
    shared.pods(podCount);
    const ids = Array.from({ length: limitCount }, (__, limit) => {
      const id = meter.open(table, algorithms.token_bucket.meter, capacity, refill, 1, 0);
      const rule = {
        id: `${limit}`,
        name: `limit-${limit}`,
        shape: '',
        algorithm: algorithms.token_bucket,
        calendar: null,
        capacity,
        rate: refill,
      };
      shared.open({ id, rule, place: { key: '', label: '' } }, 0);
      return id;
    });
    return { number, table, shared, ids, births: new Map() as Births, clocks: createClocks(() => atMs) };
  });
  let [admitted, calls] = [0, 0];
  const before = cpuSeconds(server.pid);
  for (let tick = 1; tick <= seconds; tick++) {
    for (const pod of pods) {
      atMs = tick * rhythm.tickMs + (pod.number * rhythm.tickMs) / podCount;
      const nowMs = atMs;
      pod.ids.forEach((id, limit) => {
        // Each asks every other second.
        if ((limit + tick + pod.number) % 2 !== 0) return;
        asks.clear();
        asks.ask(id, 1, meterAsk.spent, 0, 0);
        if (asks.admit(pod.table, 0, nowMs) >= 0) admitted += 1;
      });
      const count = pod.shared.report(reports, rhythm.horizonMs, nowMs);
      const packed = packCalls(pod.shared, reports, count, {
        ...rhythm,
        greets: true,
        prefix: 'many',
        shards: 1,
        births: pod.births,
        clockOf: pod.clocks.of,
      });
      for (const call of packed) {
        calls += 1;
        const answer = await redis.callBuffer(
          'EVALSHA',
          sha,
          call.keys.length,
          ...call.keys,
          `pod${pod.number}`,
          call.blob,
          String(1e12 + nowMs),
        );
        const told = adoptAnswer(pod.shared, reports, call, answer, pod.births, rhythm, nowMs, nowMs);
        if (told === null) throw new Error('not an answer');
        pod.clocks.told(0, { sentMs: nowMs, cameMs: nowMs, clockMs: told.clockMs });
      }
    }
  }
  const cpu = cpuSeconds(server.pid) - before;
  for (const { table } of pods) meter.closeTable(table);
  redis.disconnect();
  await server.stop();
  const held = Math.max(0.1 * capacity, podCount);
  return {
    pods: podCount,
    limits: limitCount,
    seconds,
    calls,
    redisCpuShare: cpu / seconds,
    usPerCall: (cpu / calls) * 1e6,
    usPerLimit: (cpu / (podCount * limitCount * seconds)) * 1e6,
    admitted,
    bound: limitCount * (capacity + refill * seconds + held),
  };
}

/** The script with Redis' clock passed in, so that ticks need not be waited for. */
const clocked = (script: string): string =>
  script.replace("redis.call('TIME')", '{ math.floor(ARGV[3] / 1000), (ARGV[3] % 1000) * 1000 }');
