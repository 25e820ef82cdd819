/**
 * A timeout that doesn't blame others for this process's own stalls: while the event loop is blocked, nothing is read or
 * sent, so the timeout is extended by that time, but at most doubled: a process that stalls in each turn would never end
 * a wait.
 */

/** A timer that fires this much late, in ms, indicates a stall rather than rounding. */
const stallMs = 50;

const check = (patience: Patience): void => patience.check();

/** Calls back once after `waitMs` without `refresh`. A class, since each call to a provider makes one. */
export class Patience {
  readonly #waitMs: number;
  readonly #onLate: () => void;
  readonly #clock: () => number;
  #dueMs: number;
  /** Given back for stalls since the wait began. */
  #givenMs = 0;
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

  /** Something arrived: restarts the wait. The timer isn't moved for each event of a stream: it looks again when it fires. */
  refresh(): void {
    this.#dueMs = this.#clock() + this.#waitMs;
    this.#givenMs = 0;
    if (this.#verdict === null) return;
    clearImmediate(this.#verdict);
    this.#verdict = null;
    this.#again(this.#waitMs);
  }

  /** Ends the wait without calling back. */
  cancel(): void {
    clearTimeout(this.#timer);
    if (this.#verdict !== null) clearImmediate(this.#verdict);
    // A refresh that follows begins nothing.
    this.#verdict = null;
  }

  /** Called by the timer only. */
  check(): void {
    const lateMs = this.#clock() - this.#dueMs;
    if (lateMs < -1) return this.#again(-lateMs);
    const moreMs = Math.min(lateMs, this.#waitMs - this.#givenMs);
    if (lateMs > stallMs && moreMs > 0) {
      this.#givenMs += moreMs;
      return this.#again(moreMs);
    }
    // Timers run before sockets are read: what has arrived by now must still count.
    this.#verdict = setImmediate(this.#onLate);
  }

  #again(moreMs: number): void {
    this.#dueMs = this.#clock() + moreMs;
    this.#timer = setTimeout(check, moreMs, this);
  }
}
