/**
 * How fast the batch queue drains: how many of its requests may be in flight, and how long a new one would take. Pure
 * state; every time is passed in.
 */

/** How a request ended, for the pace. `overloaded`: the providers had no capacity. */
export type PaceOutcome = 'ok' | 'overloaded' | 'other';

/** Weight of the newest request in the mean time in flight. */
const newest = 1 / 8;
/** Deviations added to the mean, so that an estimate is too long rather than too short. */
const deviations = 2;
/** Time constant of the share of the limit that is actually used, ms. */
const usedMs = 5_000;
/** A measurement this old says nothing of now, ms. */
const staleMs = 60_000;
/** Lower bound of that share: an estimate should be minutes, not infinity. */
const usedMin = 0.01;

/** The concurrency limit of batch requests and the estimate of their waiting time. */
export class Pace {
  #limit: number;
  #limitMax: number;
  #meanMs: number | null = null;
  #deviationMs = 0;
  #used = 1;
  #seenMs: number;
  #cutMs = Number.NEGATIVE_INFINITY;
  #measuredMs = Number.NEGATIVE_INFINITY;

  /** @param limitMax most requests in flight. @param nowMs monotonic ms */
  constructor(limitMax: number, nowMs: number) {
    this.#limitMax = limitMax;
    this.#limit = limitMax;
    this.#seenMs = nowMs;
  }

  /** Most requests in flight. */
  set limitMax(limitMax: number) {
    // Successes would raise it by one per round only, as after an overload.
    const free = this.#limit >= this.#limitMax;
    this.#limitMax = limitMax;
    this.#limit = free ? limitMax : Math.min(this.#limit, limitMax);
  }

  /** Requests that may be in flight now: halved when providers are overloaded, else raised by one per round. */
  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  /** Estimated time a request is in flight, ms, too long rather than too short; null: none has ended yet. */
  get serviceMs(): number | null {
    return this.#meanMs === null ? null : this.#meanMs + deviations * this.#deviationMs;
  }

  /** Requests that leave the queue per ms; null: not known yet. */
  get perMs(): number | null {
    if (this.#meanMs === null) return null;
    return (this.limit * Math.max(usedMin, this.#used)) / Math.max(0.01, this.#meanMs);
  }

  /** Estimated ms until a request with `ahead` requests before it is answered; null: not known yet. */
  answeredInMs(ahead: number): number | null {
    const { perMs, serviceMs } = this;
    return perMs === null || serviceMs === null ? null : ahead / perMs + serviceMs;
  }

  /** Call before `running` changes: reports the state that has lasted since the previous call. */
  observe(nowMs: number, running: number, backlogged: boolean): void {
    const spentMs = Math.max(0, nowMs - this.#seenMs);
    this.#seenMs = nowMs;
    // Without a backlog the limit need not be used up.
    if (!backlogged) this.#used = 1;
    else this.#used += (1 - Math.exp(-spentMs / usedMs)) * (Math.min(1, running / this.limit) - this.#used);
  }

  /**
   * Forgets how long requests take if that was measured long ago; false: it wasn't. Without it, requests that are refused
   * for what was slow once would be refused for ever, since only a request that is made measures anew.
   */
  forget(nowMs: number): boolean {
    if (nowMs - this.#measuredMs < staleMs) return false;
    this.#meanMs = null;
    this.#deviationMs = 0;
    return true;
  }

  /** A request ended. @param inFlightMs ms it was in flight */
  ended(nowMs: number, inFlightMs: number, outcome: PaceOutcome): void {
    if (outcome === 'overloaded') {
      // Requests sent together fail together: that is one signal, not many.
      if (nowMs - this.#cutMs < Math.max(this.#meanMs ?? 0, inFlightMs)) return;
      this.#cutMs = nowMs;
      this.#limit = Math.max(1, this.#limit / 2);
      return;
    }
    if (outcome === 'other') return;
    this.#limit = Math.min(this.#limitMax, this.#limit + 1 / this.#limit);
    this.#measuredMs = nowMs;
    const meanMs = this.#meanMs ?? inFlightMs;
    this.#deviationMs += newest * (Math.abs(inFlightMs - meanMs) - this.#deviationMs);
    this.#meanMs = meanMs + newest * (inFlightMs - meanMs);
  }
}
