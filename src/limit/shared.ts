/** The limits that pods share, as `sync` knows them: which meters have leases, and under which name each is kept. */
import { createHash } from 'node:crypto';
import { secondsFor } from '../exchange/algorithm.ts';
import type { LeaseBook, SharedMeter } from '../exchange/lease.ts';
import { lease, leaseEntry } from '../native/leases.ts';
import { meterAsk } from '../native/meters.ts';
import type { MeterValues, Rule } from './rule.ts';

/** A meter in use, as `Scope` of scopes.ts. */
interface Scope {
  readonly id: number;
  readonly rule: Pick<Rule, 'id' | 'name' | 'shape' | 'algorithm' | 'capacity' | 'rate' | 'calendar'>;
  readonly place: MeterValues;
}

/** Opens leases beside meters, and is the book of them. */
export interface SharedMeters extends LeaseBook {
  /** Has pods share the limit of a meter that was just opened, unless another worker did when it opened it. */
  open(scope: Scope, nowMs: number): void;
  /** Goes on with a meter whose rule may have changed. */
  keep(scope: Scope): void;
  closed(id: number): void;
  /** What all pods have spent, as far as this one knows. */
  spent(id: number, nowMs: number): number;
  /** Whether Redis is to be asked for a cost: the limit can't be sliced for it, and it was not refused just now. */
  asks(id: number, cost: number, nowMs: number): boolean;
  /** Decides as if Redis were gone: a request that asked was not answered in time. */
  byShare<T>(decide: () => T): T;
  /** Flags of `meterAsk` that each entry has: those of `byShare`, while that decides. */
  readonly askFlags: number;
  /**
   * Flags of a limit that is only observed. Nobody waits for it, so the share decides where Redis would have to be asked.
   */
  observedFlags(id: number, rule: Pick<Rule, 'shared'>, cost: number, nowMs: number): number;
}

/** Longest time a meter is remembered in Redis, and shortest. */
const ttlMaxMs = 64 * 86_400_000;
const ttlMinMs = 600_000;

/**
 * @param table of `meter.openTable`
 * @param podsExpected until Redis has said how many there are
 * @param leads false: another worker says whether Redis is there, for all that have the table
 */
export function createSharedMeters(table: number, podsExpected: number, leads = true): SharedMeters {
  const scopes = new Map<number, Named>();
  const seen = new Float64Array(leaseEntry.view);
  let pods: number | null = null;
  let askFlags = 0;
  const asks = (id: number, cost: number, nowMs: number): boolean =>
    askFlags === 0 && lease.asks(table, id, cost, nowMs);
  if (leads) lease.alone(table, true);
  return {
    open(scope, nowMs) {
      const { id, rule } = scope;
      // What others use of a limit is unknown before its first grant: half of an equal part is surely free.
      const equal = 1 / (pods ?? podsExpected);
      const share = pods === null ? equal : equal / 2;
      lease.open(table, id, share, equal, rule.capacity * equal * advancePart, nowMs);
      scopes.set(id, { scope, window: Number.NaN, meter: null });
    },
    keep: (scope) => void scopes.set(scope.id, { scope, window: Number.NaN, meter: null }),
    spent: (id, nowMs) => (lease.view(table, id, seen, nowMs) ? (seen[0] ?? 0) : 0),
    closed: (id) => void scopes.delete(id),
    asks,
    byShare(decide) {
      askFlags = meterAsk.alone;
      try {
        return decide();
      } finally {
        askFlags = 0;
      }
    },
    get askFlags() {
      return askFlags;
    },
    observedFlags: (id, { shared }, cost, nowMs) =>
      meterAsk.observed | (shared && asks(id, cost, nowMs) ? meterAsk.alone : askFlags),
    report: (entries, horizonMs, nowMs) => lease.report(table, entries, horizonMs, nowMs),
    reportOne: (id, cost, entry, horizonMs, nowMs) =>
      lease.reportOne(table, id, cost, entry, horizonMs, nowMs),
    meter(id, window) {
      const named = scopes.get(id);
      if (named === undefined) return null;
      if (named.meter === null || named.window !== window) {
        named.meter = meterOf(named.scope, window);
        named.window = window;
      }
      return named.meter;
    },
    grant: (entries, count, nowMs) => lease.grant(table, entries, count, nowMs),
    detach: (id) => lease.detach(table, id),
    alone: (alone) => lease.alone(table, alone),
    pods(count) {
      pods = count;
    },
    urgent: () => lease.urgent(table),
  };
}

/** Part of a pod's fair share that may be admitted before the first grant is here. */
const advancePart = 0.1;

interface Named {
  readonly scope: Scope;
  window: number;
  meter: SharedMeter | null;
}

/** The name holds a digest, since users come from headers; the limit's own name is there for people who look. */
function meterOf({ rule, place }: Scope, window: number): SharedMeter {
  const { name, algorithm, capacity, rate, calendar } = rule;
  const digest = createHash('sha256')
    .update(JSON.stringify([rule.id, rule.shape, place.key]))
    .digest('base64url')
    .slice(0, 22);
  const inWindow = calendar === null ? '' : `:${window}`;
  // A key that is asked for is renewed when half of its time is over: a budget's lasts until its window ends, and not for
  // months, as each window has a key of its own.
  const fullMs = calendar?.longestMs ?? (secondsFor(algorithm, capacity, rate) ?? 0) * 1000;
  const ttlMs = Math.min(ttlMaxMs, Math.max(ttlMinMs, 2 * fullMs));
  return { name: `${name}:${digest}${inWindow}`, algorithm: algorithm.meter, capacity, rate, ttlMs };
}
