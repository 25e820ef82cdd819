/**
 * Flights among workers: of the requests with one key, whichever worker has them, one goes upstream. The others wait
 * until its worker gives the key back, and find the reply in the store that all share.
 */
import type { Cancellation } from '../base/cancellation.ts';
import { claimed, claims } from '../native/claims.ts';

/** What workers tell each other of keys. `to`: a bit for each worker that it is for. */
export interface ClaimNews {
  /** The name of the claims. */
  readonly table: string;
  readonly key: string;
  /** The key was given back, or somebody waits for it. */
  readonly what: 'back' | 'wanted';
  readonly to: number;
}

/** What became of a claim. */
export type WorkerClaimed =
  /** It is this worker's, until it gives it back. */
  | { readonly kind: 'mine' }
  /** The reply was stored meanwhile. */
  | { readonly kind: 'stored' }
  /** The key was given back without a reply. */
  | { readonly kind: 'over' }
  /** Another request has the key. */
  | { readonly kind: 'other' }
  /** Nothing came in time, or the request was cancelled. */
  | { readonly kind: 'late' };

/** Keys of flights among all workers. */
export interface WorkerClaims {
  /**
   * Claims a key, or waits until it is given back, at most `waitMs`.
   * @param note what the request is: none with another one shares its key
   * @param isStored whether its reply is stored, so that none is needed
   */
  claim(
    key: string,
    note: string,
    waitMs: number,
    isStored: () => boolean,
    cancellation?: Cancellation,
  ): Promise<WorkerClaimed>;
  /** Gives a key back, once its reply is stored; nothing happens if it isn't this worker's. */
  giveBack(key: string): void;
  /** Another worker's news. */
  hear(news: ClaimNews): void;
}

/** What claims need. */
export interface WorkerClaimsDeps {
  /** Their name among all claims. */
  readonly table: string;
  /** The name of the table in the native core. */
  readonly name: string;
  /** Number of this worker, from 0. */
  readonly worker: number;
  tell(news: ClaimNews): void;
  /** Another worker wants the reply to the request that has this key. */
  onWanted(key: string): void;
}

/** Opens them. */
export function createWorkerClaims({ table, name, worker, tell, onWanted }: WorkerClaimsDeps): WorkerClaims {
  const id = claims.open(name);
  const self = 1 << worker;
  /** What ends the waits for a key. */
  const waiting = new Map<string, Set<() => void>>();
  const back = (key: string): void => {
    for (const end of waiting.get(key) ?? []) end();
  };

  const givenBack = (key: string, waitMs: number, cancellation?: Cancellation): Promise<boolean> =>
    new Promise((resolve) => {
      const end = (isBack: boolean): void => {
        clearTimeout(timer);
        cancellation?.off(late);
        ends.delete(came);
        if (ends.size === 0) waiting.delete(key);
        resolve(isBack);
      };
      const late = (): void => end(false);
      const came = (): void => end(true);
      const timer = setTimeout(late, Math.max(1, waitMs));
      const ends = waiting.get(key) ?? new Set();
      waiting.set(key, ends.add(came));
      if (cancellation === undefined) return;
      if (cancellation.reason === null) cancellation.onCancel(late);
      else late();
    });

  const giveBack = (key: string): void => {
    const to = claims.give(id, key, worker);
    if (to === 0) return;
    tell({ table, key, what: 'back', to });
    if ((to & self) !== 0) back(key);
  };

  return {
    async claim(key, note, waitMs, isStored, cancellation) {
      const by = claims.take(id, key, note, worker);
      if (by === claimed.other) return { kind: 'other' };
      if (by !== claimed.mine) {
        if (by === worker) onWanted(key);
        else tell({ table, key, what: 'wanted', to: 1 << by });
        if (!(await givenBack(key, waitMs, cancellation))) return { kind: 'late' };
        return { kind: isStored() ? 'stored' : 'over' };
      }
      // Whoever had it may have stored the reply after it was looked for.
      if (!isStored()) return { kind: 'mine' };
      giveBack(key);
      return { kind: 'stored' };
    },
    giveBack,
    hear({ key, what, to }) {
      if ((to & self) === 0) return;
      if (what === 'back') back(key);
      else onWanted(key);
    },
  };
}

/** Opens claims of this name; null: there is one worker. @param onWanted see `WorkerClaimsDeps` */
export type OpenClaims = (table: string, onWanted: (key: string) => void) => WorkerClaims | null;

/** There is one worker. */
export const noClaims: OpenClaims = () => null;
