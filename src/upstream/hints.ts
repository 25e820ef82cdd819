/** What a sidecar tells its peers of providers. Implemented by `sync/hints.ts`. */
import type { Subject } from './health.ts';
import type { Credential, Target } from './target.ts';

export interface PeerHints {
  /** A breaker opened or closed here: the target's, or its provider's. */
  breaker(subject: Subject, target: Target, open: boolean): void;
  /** A 429 keeps a credential from being used at a target. */
  rest(target: Target, credential: Credential, restMs: number): void;
}

/** For a sidecar without peers. */
export const noHints: PeerHints = { breaker: () => {}, rest: () => {} };
