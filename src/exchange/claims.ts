/**
 * Idempotency keys that pods share: what stage `replay` asks of the others, and `sync` finds out. Both know this file
 * alone; the sidecar joins them.
 */
import type { StoredReply } from './reply.ts';

/** What became of a claim. `fingerprint`: of the request that had the key first. */
export type Claimed =
  /** This pod has the key until the deadline; `token` proves it. */
  | { readonly kind: 'mine'; readonly token: string }
  /** Another pod has it, and no reply yet. */
  | { readonly kind: 'running'; readonly fingerprint: string }
  | { readonly kind: 'stored'; readonly fingerprint: string; readonly reply: StoredReply }
  /** Redis did not answer in time: the key holds in this pod only. */
  | { readonly kind: 'alone' };

/** Claims of keys among all pods. */
export interface SharedClaims {
  /**
   * Claims a key. Resolves within `askTimeoutMs` of lease.ts.
   * @param key names it among those of all callers @param forMs until the claim ends by itself, if the pod is gone
   */
  claim(key: string, fingerprint: string, forMs: number): Promise<Claimed>;
  /** Claims a key for longer, as another request of this pod goes on with it. Nobody waits for it. */
  renew(key: string, token: string, fingerprint: string, forMs: number): void;
  /** Ends a claim: others get the reply for so long, or may claim the key (null). Nobody waits for it. */
  finish(key: string, token: string, fingerprint: string, reply: StoredReply | null, ttlMs: number): void;
}
