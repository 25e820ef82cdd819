/**
 * A timeout that does not blame others for this process's own stalls: while the event loop stands still, what has
 * arrived lies unread and what should be sent is not, so that time is given back.
 */

/** A timer that fires so much late, in ms, tells of a stall rather than of rounding. */
const stallMs = 50;

const check = (patience: Patience): void => patience.check();

/** Calls back once after some time without `refresh`. A class, since each call to a provider makes one. */
export class Patience {
  readonly #waitMs: number;
  readonly #onLate: () => void;
  readonly #clock: () => number;
  #dueMs: number;
  #timer: NodeJS.Timeout;
  #verdict: NodeJS.Immediate | null = null;

  /** @param clock monotonic ms */
  constructor(waitMs: number, onLate: () => void, clock: () => number, nowMs: number = clock()) {
    this.#waitMs = waitMs;
    this.#onLate = onLate;
    this.#clock = clock;
    this.#dueMs = nowMs + waitMs;
    this.#timer = setTimeout(check, waitMs, this);
  }

  /** Something came: waits anew. */
  refresh(): void {
    this.#dueMs = this.#clock() + this.#waitMs;
    if (this.#verdict === null) this.#timer.refresh();
    else {
      clearImmediate(this.#verdict);
      this.#verdict = null;
      this.#again(this.#waitMs);
    }
  }

  /** Ends it; nothing is called back any more. */
  cancel(): void {
    clearTimeout(this.#timer);
    if (this.#verdict !== null) clearImmediate(this.#verdict);
  }

  /** The timer's. */
  check(): void {
    const lateMs = this.#clock() - this.#dueMs;
    // After a stall the timer is a shorter one, and `refresh` winds up the same.
    if (lateMs < -1) return this.#again(-lateMs);
    if (lateMs > stallMs) return this.#again(Math.min(lateMs, this.#waitMs));
    // Timers run before sockets are read: what has come by now counts.
    this.#verdict = setImmediate(this.#onLate);
  }

  #again(moreMs: number): void {
    this.#dueMs = this.#clock() + moreMs;
    this.#timer = setTimeout(check, moreMs, this);
  }
}
