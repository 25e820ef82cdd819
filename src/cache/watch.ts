/**
 * How often similar questions are looked for where none is served, only judged. Looking takes more CPU time than all else of
 * a request, and a part of the questions tells as well as all of them how often the answers are right.
 */

/** Takes from the looks of a second. */
export interface Watch {
  /** False: there are none left. @param nowMs monotonic ms */
  take(nowMs: number): boolean;
}

/** At most so many a second, as `perSecond` says now; as many may come at once. */
export function createWatch(perSecond: () => number): Watch {
  let left = Number.POSITIVE_INFINITY;
  let lastMs = 0;
  return {
    take(nowMs) {
      const rate = perSecond();
      left = Math.min(rate, left + (Math.max(0, nowMs - lastMs) / 1000) * rate);
      lastMs = Math.max(lastMs, nowMs);
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}
