/** Requests of which one goes upstream, whichever thread has it, in the native core. */
import { native } from './load.ts';

/** Claims by id, shared by the threads that open the same name. See `native/core/src/shared/claims.rs`. */
export const claims = {
  open: native.claimsOpen,
  /** Claims a key: `claimed.mine`, `claimed.other`, or the number of the thread that has it. */
  take: native.claimsTake,
  /** Gives a key back; a bit for each thread that waits for it. */
  give: native.claimsGive,
  close: native.claimsClose,
};

/** Results of `claims.take`. */
export const claimed = { mine: native.CLAIM_MINE, other: native.CLAIM_OTHER } as const;

/** Most threads that share claims. */
export const claimThreadsMax = native.CLAIM_THREADS;
