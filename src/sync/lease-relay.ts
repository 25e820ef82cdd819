/** Leases of several workers: the first one talks to Redis, and the others ask it. The meters are the same for all. */
import { askTimeoutMs, type LeaseBook, type Leases } from '../exchange/lease.ts';
import { asksMax } from './asks.ts';
import { type LeaseSync, urgency } from './leases.ts';
import { afterIdle } from './within.ts';

/** What workers tell each other of leases. `worker`: the number of the one that asks; `ask`: of its ask. */
export type LeaseNews =
  /** Limits apply to requests in a worker beside the first one. */
  | { readonly what: 'used' }
  | {
      readonly what: 'ask';
      readonly worker: number;
      readonly ask: number;
      readonly id: number;
      readonly cost: number;
    }
  | { readonly what: 'told'; readonly worker: number; readonly ask: number; readonly answered: boolean }
  /** How many pods there are. */
  | { readonly what: 'pods'; readonly pods: number };

/** Has the first worker do what others want of its leases. @param clock monotonic ms */
export function answerWorkers(
  leases: Leases,
  clock: () => number,
  tell: (news: LeaseNews) => void,
): (news: LeaseNews) => void {
  return (news) => {
    if (news.what === 'used') leases.used(clock());
    if (news.what !== 'ask') return;
    const { worker, ask, id, cost } = news;
    void leases.ask(id, cost).then((answered) => tell({ what: 'told', worker, ask, answered }));
  };
}

/** The leases as a worker beside the first one has them. */
export interface LeaseRelay extends LeaseSync {
  hear(news: LeaseNews): void;
}

/** @param worker number of this worker, from 1 */
export function createLeaseRelay(
  worker: number,
  book: Pick<LeaseBook, 'pods'>,
  tell: (news: LeaseNews) => void,
): LeaseRelay {
  const waiting = new Map<number, (answered: boolean) => void>();
  let [configured, asks, toldMs] = [false, 0, Number.NEGATIVE_INFINITY];
  return {
    up: null,
    pods: 0,
    update({ redis }) {
      configured = redis !== undefined;
    },
    used(nowMs) {
      if (!configured || nowMs - toldMs < urgency.everyMs) return;
      toldMs = nowMs;
      tell({ what: 'used' });
    },
    ask(id, cost) {
      if (!configured || waiting.size >= asksMax) return Promise.resolve(false);
      const ask = ++asks;
      return new Promise((resolve) => {
        const end = (answered: boolean): void => {
          cancel();
          waiting.delete(ask);
          resolve(answered);
        };
        // The first worker gives up by itself after `askTimeoutMs`: this is for one that is held up.
        const cancel = afterIdle(2 * askTimeoutMs, () => end(false));
        waiting.set(ask, end);
        tell({ what: 'ask', worker, ask, id, cost });
      });
    },
    hear(news) {
      if (news.what === 'pods') book.pods(news.pods);
      else if (news.what === 'told' && news.worker === worker) waiting.get(news.ask)?.(news.answered);
    },
    close: async () => {},
  };
}
