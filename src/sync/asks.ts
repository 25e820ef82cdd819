/** Requests that wait for Redis, since their limit is too small to be sliced: for 10 ms at most. */
import { askTimeoutMs } from '../exchange/lease.ts';
import { afterIdle } from './within.ts';

/** Requests that wait at once; more are decided by the fair share. */
export const asksMax = 1000;
/** Once an ask was not answered in time, none is made for this long. */
const askPauseMs = 1000;

/** Requests that wait for Redis, by the meter they ask for. */
export interface Asks {
  /** Null: too many wait, or Redis was too slow a moment ago. */
  add(id: number, cost: number): Promise<boolean> | null;
  /** Takes all that wait; each is told whether it was answered. */
  take(): { readonly costs: ReadonlyMap<number, number>; done(answered: boolean): void };
  readonly size: number;
}

/** @param clock monotonic ms */
export function createAsks(clock: () => number): Asks {
  let costs = new Map<number, number>();
  let waiting: ((answered: boolean) => void)[] = [];
  let pauseUntilMs = Number.NEGATIVE_INFINITY;
  return {
    add(id, cost) {
      if (clock() < pauseUntilMs || waiting.length >= asksMax) return null;
      costs.set(id, (costs.get(id) ?? 0) + cost);
      return new Promise((resolve) => {
        const cancel = afterIdle(askTimeoutMs, () => {
          pauseUntilMs = clock() + askPauseMs;
          resolve(false);
        });
        waiting.push((answered) => {
          cancel();
          resolve(answered);
        });
      });
    },
    take() {
      const taken = { costs, waiting };
      costs = new Map();
      waiting = [];
      return {
        costs: taken.costs,
        done(answered) {
          for (const resolve of taken.waiting) resolve(answered);
        },
      };
    },
    get size() {
      return costs.size;
    },
  };
}
