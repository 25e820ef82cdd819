/**
 * How fast the batch queue drains: how many of its requests may be at work at once, and how long one that comes now
 * would take. Pure state; every time is passed in.
 */

/** A request's end, as the pace sees it. `overloaded`: the providers had no room. */
export type PaceOutcome = 'ok' | 'overloaded' | 'other';

/** Weight of the newest request in the mean time at work. */
const newest = 1 / 8;
/** Deviations added to the mean, so that an estimate is rather too long than too short. */
const deviations = 2;
/** Time constant of the share of the limit that is really used, ms. */
const usedMs = 5_000;
/** The share is never taken for less: an estimate should say minutes, not for ever. */
const usedMin = 0.01;

export class Pace {
  #limit: number;
  #limitMax: number;
  #meanMs: number | null = null;
  #deviationMs = 0;
  #used = 1;
  #seenMs: number;
  #cutMs = Number.NEGATIVE_INFINITY;

  /** @param limitMax requests at work at once, at most */
  constructor(limitMax: number, nowMs: number) {
    this.#limitMax = limitMax;
    this.#limit = limitMax;
    this.#seenMs = nowMs;
  }

  set limitMax(limitMax: number) {
    this.#limitMax = limitMax;
    this.#limit = Math.min(this.#limit, limitMax);
  }

  /** Requests that may be at work at once now: halved when providers have no room, and one more a round when they do. */
  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  /** Time a request is at work, ms, rather too long than too short; null: none has ended yet. */
  get serviceMs(): number | null {
    return this.#meanMs === null ? null : this.#meanMs + deviations * this.#deviationMs;
  }

  /** Requests that leave the queue in a ms; null: not known yet. */
  get perMs(): number | null {
    if (this.#meanMs === null) return null;
    return (this.limit * Math.max(usedMin, this.#used)) / Math.max(0.01, this.#meanMs);
  }

  /** When a request with so many before it would be answered, ms from now; null: not known yet. */
  answeredInMs(ahead: number): number | null {
    const { perMs, serviceMs } = this;
    return perMs === null || serviceMs === null ? null : ahead / perMs + serviceMs;
  }

  /** Call before `running` changes: what has been so since the last call. */
  observe(nowMs: number, running: number, backlogged: boolean): void {
    const spentMs = Math.max(0, nowMs - this.#seenMs);
    this.#seenMs = nowMs;
    // Without a backlog the limit isn't meant to be used up.
    if (!backlogged) this.#used = 1;
    else this.#used += (1 - Math.exp(-spentMs / usedMs)) * (Math.min(1, running / this.limit) - this.#used);
  }

  ended(nowMs: number, workedMs: number, outcome: PaceOutcome): void {
    if (outcome === 'overloaded') {
      // Those that were sent together fail together: that is one sign, not many.
      if (nowMs - this.#cutMs < (this.#meanMs ?? 0)) return;
      this.#cutMs = nowMs;
      this.#limit = Math.max(1, this.#limit / 2);
      return;
    }
    if (outcome === 'other') return;
    this.#limit = Math.min(this.#limitMax, this.#limit + 1 / this.#limit);
    const meanMs = this.#meanMs ?? workedMs;
    this.#deviationMs += newest * (Math.abs(workedMs - meanMs) - this.#deviationMs);
    this.#meanMs = meanMs + newest * (workedMs - meanMs);
  }
}
