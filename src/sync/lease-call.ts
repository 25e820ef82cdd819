/** A call of the lease script: reports of meters packed for Redis, and its answers unpacked into grants. */
import { createHash } from 'node:crypto';
import type { LeaseBook } from '../exchange/lease.ts';
import { leaseEntry, reportAt } from '../native/leases.ts';
import { MeterAlgorithm } from '../native/meters.ts';

/** Version of what is kept in Redis: another one has other keys, so that both can share a Redis. */
export const schemaVersion = 1;

/** Limits in one call: it takes Redis a few milliseconds. */
export const itemsMax = 500;

const headSize = 4;
const itemSize = 15;
const answerHeadSize = 4;
const answerSize = 9;

type Numbers = [number, number, number, number, number, number, number, number, number];

/** How long leases last, and how often they are renewed. */
export interface LeaseTimes {
  readonly leaseMs: number;
  readonly tickMs: number;
}

/** One call, ready to be sent. */
export interface LeaseCall {
  readonly shard: number;
  readonly keys: readonly string[];
  /** Names of the limits in it. */
  readonly names: readonly string[];
  readonly blob: Buffer;
  /** The reports it is made of, by number. */
  readonly reports: readonly number[];
}

/** A meter's grant is of this state of it in Redis: another one means that Redis lost it. */
export type Births = Map<string, number>;

/** Births remembered: without one, Redis is not told what it may have forgotten. */
const birthsMax = 200_000;

/** The slot of a cluster that keeps a limit: keys with the same tag are in one slot. */
export function shardOf(name: string, shards: number): number {
  return shards === 1 ? 0 : createHash('sha256').update(name).digest().readUInt16BE(0) % shards;
}

const keyOf = (prefix: string, shard: number, name: string): string =>
  `${prefix}:${schemaVersion}:{${shard}}:${name}`;

/** Where the version of the stored keys is, which each call reads. */
export const keysVersionName = (prefix: string, shard: number): string =>
  keyOf(prefix, shard, 'keys:version');

/** What a pod knows of a shard's clock. */
export interface ShardClock {
  /** Since the pod's last call that was answered was sent; below 0: none was. */
  readonly passedMs: number;
  /** What Redis' clock for leases must show by now; 0: unknown. */
  readonly atLeastMs: number;
}

/** A shard's last answer: when it was asked for, when it came, and the time it told. */
interface Told {
  readonly sentMs: number;
  readonly cameMs: number;
  readonly clockMs: number;
}

/** Remembers what the clock of each shard showed. @param clock monotonic ms */
export function createClocks(clock: () => number) {
  const shards = new Map<number, Told>();
  return {
    told: (shard: number, told: Told): void => void shards.set(shard, told),
    of(shard: number): ShardClock {
      const last = shards.get(shard);
      if (last === undefined) return { passedMs: -1, atLeastMs: 0 };
      const nowMs = clock();
      return { passedMs: nowMs - last.sentMs, atLeastMs: last.clockMs + nowMs - last.cameMs };
    },
  };
}

/** Packs reports into calls, one for each shard and `itemsMax` limits. */
export function packCalls(
  book: LeaseBook,
  reports: Float64Array,
  count: number,
  options: LeaseTimes & {
    readonly prefix: string;
    readonly shards: number;
    readonly births: Births;
    clockOf(shard: number): ShardClock;
    /** Whether there is a call though there is nothing to report, so that Redis knows of this pod. */
    readonly greets: boolean;
  },
): LeaseCall[] {
  const { prefix, shards, births, leaseMs, tickMs } = options;
  const byShard = new Map<number, { names: string[]; items: number[][]; reports: number[] }[]>();
  for (let i = 0; i < count; i++) {
    const at = i * leaseEntry.report;
    const number = (field: keyof typeof reportAt): number => reports[at + reportAt[field]] as number;
    const meter = book.meter(number('id'), number('window'));
    if (meter === null) continue;
    const shard = shardOf(meter.name, shards);
    const groups = byShard.get(shard) ?? [];
    byShard.set(shard, groups);
    let group = groups.at(-1);
    if (group === undefined || group.names.length >= itemsMax) {
      group = { names: [], items: [], reports: [] };
      groups.push(group);
    }
    group.names.push(meter.name);
    group.reports.push(i);
    group.items.push([
      meter.algorithm,
      meter.capacity,
      meter.rate,
      meter.ttlMs,
      number('id'),
      number('used'),
      number('acked'),
      number('reserved'),
      number('keep'),
      number('want'),
      number('demand'),
      number('largest'),
      number('known'),
      number('outage'),
      births.get(meter.name) ?? 0,
    ]);
  }
  if (options.greets && !byShard.has(0)) byShard.set(0, [{ names: [], items: [], reports: [] }]);
  const calls: LeaseCall[] = [];
  for (const [shard, groups] of byShard) {
    for (const { names, items, reports: of } of groups) {
      const numbers = new Float64Array(headSize + items.length * itemSize);
      const { passedMs, atLeastMs } = options.clockOf(shard);
      numbers.set([passedMs, atLeastMs, leaseMs, tickMs]);
      items.forEach((item, i) => {
        numbers.set(item, headSize + i * itemSize);
      });
      calls.push({
        shard,
        keys: [
          keyOf(prefix, shard, 'clock'),
          keyOf(prefix, shard, 'pods'),
          keysVersionName(prefix, shard),
          ...names.map((name) => keyOf(prefix, shard, `m:${name}`)),
        ],
        names,
        blob: Buffer.from(numbers.buffer),
        reports: of,
      });
    }
  }
  return calls;
}

/** What Redis said beside the grants. */
export interface LeaseAnswer {
  /** Pods that call, this one included. */
  readonly pods: number;
  /** Version of the stored keys; 0: there are none. */
  readonly keysVersion: number;
  /** Redis' clock for leases, ms. */
  readonly clockMs: number;
  /** Keys that hold something else: their limits go on at this pod's share. */
  readonly foreign: readonly string[];
}

/**
 * Unpacks an answer, and has the book adopt its grants. Null: it is no answer to this call.
 * @param sentMs when the call was sent, monotonic: leases expire counted from then
 */
export function adoptAnswer(
  book: LeaseBook,
  reports: Float64Array,
  call: LeaseCall,
  answer: unknown,
  births: Births,
  times: LeaseTimes,
  sentMs: number,
  nowMs: number,
): LeaseAnswer | null {
  const count = call.reports.length;
  if (!Buffer.isBuffer(answer) || answer.length !== (answerHeadSize + count * answerSize) * 8) return null;
  const number = (index: number): number => answer.readDoubleLE(index * 8);
  const pods = Math.max(1, number(2));
  const grants = new Float64Array(count * leaseEntry.grant);
  const foreign: string[] = [];
  let written = 0;
  call.reports.forEach((report, i) => {
    const numbers = Array.from({ length: answerSize }, (_, n) => number(answerHeadSize + i * answerSize + n));
    const [status, hold, pool, used, leased, frees, share, podsThere, born] = numbers as Numbers;
    const at = report * leaseEntry.report;
    const window = reports[at + reportAt.window] as number;
    const id = reports[at + reportAt.id] as number;
    const meter = book.meter(id, window);
    if (meter === null) return;
    // A value written by hand may be no number.
    if (status !== 0 || !numbers.every(Number.isFinite)) {
      foreign.push(meter.name);
      book.detach(id);
      return;
    }
    if (births.size >= birthsMax) births.clear();
    births.set(meter.name, born);
    // Of a budget what is left is sliced: it has no more.
    const whole =
      meter.algorithm === MeterAlgorithm.Budget ? Math.max(0, meter.capacity - used) : meter.capacity;
    const fair = whole / podsThere;
    const wanted = reports[at + reportAt.want] as number;
    const untilMs = sentMs + times.leaseMs;
    const freesMs = frees > 0 ? nowMs + frees : 0;
    const confirmed = reports[at + reportAt.used] as number;
    grants.set(
      [
        id,
        window,
        confirmed,
        hold,
        untilMs,
        pool,
        used,
        leased,
        freesMs,
        share,
        fair,
        fair * advancePart,
        wanted,
      ],
      written * leaseEntry.grant,
    );
    written += 1;
  });
  book.grant(grants, written, nowMs);
  return { pods, clockMs: number(1), keysVersion: number(3), foreign };
}

/** Part of a pod's fair share that it may admit before its first grant of a limit is here. */
export const advancePart = 0.1;
