/**
 * Stored keys that pods share: what stage `authenticate` keeps of them, and `sync` carries. Both know this file alone;
 * the sidecar joins them.
 */

/** A stored key as pods tell each other: its digest, never the key itself. */
export interface KeyRow {
  readonly id: string;
  /** SHA-256, hex. */
  readonly digest: string;
  /** What it may do, as JSON. */
  readonly body: string;
  /** Ms since 1970. */
  readonly createdMs: number;
  /** Ms since 1970; null: it isn't revoked. */
  readonly revokedMs: number | null;
}

/** How far this pod has read what Redis has, and which Redis: another one begins anew. */
export interface KeyPlace {
  readonly born: string;
  readonly version: number;
}

/** The keys of this pod's store. Each method throws if the store can't be used now. */
export interface KeyBook {
  readonly place: KeyPlace;
  /** Keys made or revoked here that Redis doesn't know of yet. */
  unsent(max: number): KeyRow[];
  /** Adopts keys of other pods: a revocation is never undone, and the key that Redis has first keeps its id. */
  adopt(rows: readonly KeyRow[], place: KeyPlace): void;
  /** Redis has these now. */
  sent(rows: readonly KeyRow[]): void;
  /** Redis has lost what it had: everything is to be sent again. */
  resend(): void;
}
