/**
 * Limits that pods share: what stage `limit` tells of them, and what `sync` does with it. Both know this file alone;
 * the sidecar joins them.
 */

import type { MeterAlgorithm } from '../native/meters.ts';

/** A shared limit, as all pods know it. */
export interface SharedMeter {
  /** Names it among all limits of all pods, without saying whose it is. */
  readonly name: string;
  readonly algorithm: MeterAlgorithm;
  /** Of all pods together, in the meter's measure. */
  readonly capacity: number;
  /** Refill or drain per second, or the length of a window in ms; 0: none. */
  readonly rate: number;
  /** For how long it is worth remembering once nobody asks for it. */
  readonly ttlMs: number;
}

/** The leases of this process: what they report, and what becomes of the answers. */
export interface LeaseBook {
  /**
   * Reads what is to be reported, as `lease.report` of `native/leases.ts`; gives the number of reports.
   * @param horizonMs for how long a lease should last
   */
  report(entries: Float64Array, horizonMs: number, nowMs: number): number;
  /** The report of one meter with a cost that waits for the answer; false: it is gone. */
  reportOne(id: number, cost: number, entry: Float64Array, horizonMs: number, nowMs: number): boolean;
  /** The limit behind a meter. @param window of the calendar; 0: none. Null: it is gone. */
  meter(id: number, window: number): SharedMeter | null;
  /** Adopts answers, as `lease.grant` takes them. */
  grant(entries: Float64Array, count: number, nowMs: number): void;
  /** Has a meter go on at the pod's share until its next grant: Redis has something else under its key. */
  detach(id: number): void;
  /** Redis is gone (true), so that each pod goes on at its share, or is back. */
  alone(alone: boolean): void;
  /** How many pods there are, this one included. */
  pods(count: number): void;
  /** Whether a lease would rather report before its turn, since this was last asked. */
  urgent(): boolean;
}

/** What stage `limit` wants of Redis. */
export interface Leases {
  /**
   * Told of each request that limits apply to, so that a lease that runs low is renewed ahead of its turn. Costs a
   * comparison, mostly. @param nowMs monotonic
   */
  used(nowMs: number): void;
  /**
   * Asks for a cost of one meter, where a limit is too small to be sliced. Resolves, within `askTimeoutMs`, or twice that
   * in a worker whose first one is held up, to true once the answer is adopted; false: there was none in time, and the
   * pod's fair share decides.
   */
  ask(id: number, cost: number): Promise<boolean>;
}

/** The longest a request waits for Redis. */
export const askTimeoutMs = 10;

/** Without Redis nobody is asked. */
export const noLeases: Leases = { used: () => {}, ask: () => Promise.resolve(false) };
