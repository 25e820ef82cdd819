/** The interface for telling peer sidecars about the state of providers. Implemented by `sync/hints.ts`. */
import type { Subject } from './health.ts';
import type { Credential, Target } from './target.ts';

/** Announces what this sidecar has learned about providers. */
export interface PeerHints {
  /** A breaker opened or closed here: the target's, or its provider's. */
  breaker(subject: Subject, target: Target, open: boolean): void;
  /** A credential is cooling down at a target after a 429, for `cooldownMs` ms. */
  rest(target: Target, credential: Credential, cooldownMs: number): void;
}
