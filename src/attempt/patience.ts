/**
 * A timeout that does not blame others for this process's own stalls: while the event loop stands still, what has
 * arrived lies unread and what should be sent is not, so that time is given back.
 */

export interface Patience {
  /** Something came: waits anew. */
  refresh(): void;
  /** Ends it; `onLate` isn't called any more. */
  cancel(): void;
}

/** A timer that fires so much late, in ms, tells of a stall rather than of rounding. */
const stallMs = 50;

/** Calls `onLate` once after `waitMs` without `refresh`. @param clock monotonic ms */
export function createPatience(waitMs: number, onLate: () => void, clock: () => number): Patience {
  let dueMs = clock() + waitMs;
  let verdict: NodeJS.Immediate | null = null;
  const check = (): void => {
    const lateMs = clock() - dueMs;
    // After a stall the timer is a shorter one, and `refresh` winds up the same.
    if (lateMs < -1) return again(-lateMs);
    if (lateMs > stallMs) return again(Math.min(lateMs, waitMs));
    // Timers run before sockets are read: what has come by now counts.
    verdict = setImmediate(onLate);
  };
  const again = (moreMs: number): void => {
    dueMs = clock() + moreMs;
    timer = setTimeout(check, moreMs);
  };
  let timer = setTimeout(check, waitMs);
  return {
    refresh() {
      dueMs = clock() + waitMs;
      if (verdict === null) timer.refresh();
      else {
        clearImmediate(verdict);
        verdict = null;
        again(waitMs);
      }
    },
    cancel() {
      clearTimeout(timer);
      if (verdict !== null) clearImmediate(verdict);
    },
  };
}
