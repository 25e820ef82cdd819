/**
 * What pods tell each other of their caches: stage `cache` says and hears it, and `sync` carries it. Both know this file
 * alone; the sidecar joins them.
 */
import type { StoredReply } from './reply.ts';

/** News of a cache. `route`: its `model`. */
export type CacheNews =
  /** A reply was stored. */
  | {
      readonly kind: 'entry';
      readonly tenant: string;
      readonly route: string;
      /** Names the request and its scope. */
      readonly key: string;
      /** Null: nothing but the request itself leads to it. `scope`: as `key`, of all but the question. */
      readonly question: { readonly scope: string; readonly text: string } | null;
      /** The request's tags. */
      readonly tags: readonly string[];
      /** Since its request came, in ms. */
      readonly ageMs: number;
      readonly reply: StoredReply;
    }
  /** Entries were made unreachable; null: of every tenant, route or tag. */
  | {
      readonly kind: 'purge';
      readonly tenant: string | null;
      readonly route: string | null;
      readonly tag: string | null;
      /** Only those asked for so long ago, in ms. */
      readonly olderThanMs: number;
    }
  /** A would-be hit was judged. */
  | { readonly kind: 'judged'; readonly tenant: string; readonly route: string; readonly right: boolean };

/** The other pods. */
export interface CachePeers {
  /** Tells them, later, if they can be reached; never waits. */
  tell(news: CacheNews): void;
}
