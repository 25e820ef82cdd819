/**
 * What pods tell each other of their caches: stage `cache` says and hears it, and `sync` carries it. Both know this file
 * alone; the sidecar joins them.
 */
import type { StoredReply } from './reply.ts';

/** The question of an entry. */
export interface ToldQuestion {
  /** As an entry's key, of all but the question. */
  readonly scope: string;
  readonly text: string;
  /** Name of what makes its vector: a pod with another embedder has no use for it. */
  readonly embedder: string;
  /** Null: whoever hears it makes it by itself, or there is none. */
  readonly vector: Int8Array | null;
}

/** News of a cache. `route`: its `model`. */
export type CacheNews =
  /** A reply was stored. */
  | {
      readonly kind: 'entry';
      readonly tenant: string;
      readonly route: string;
      /** Names the request and its scope. */
      readonly key: string;
      /** Null: nothing but the request itself leads to it. */
      readonly question: ToldQuestion | null;
      /** The request's tags. */
      readonly tags: readonly string[];
      /** Since its request came, in ms. */
      readonly ageMs: number;
      /** It is kept no longer than that, in ms; Infinity: as long as others. */
      readonly maxAgeMs: number;
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
  | {
      readonly kind: 'judged';
      readonly tenant: string;
      readonly route: string;
      readonly right: boolean;
      /** The number of the question whose reply is forgotten, as a caller said that it was wrong; undefined: none is. */
      readonly forgotten?: number;
    };

/** The other pods. */
export interface CachePeers {
  /** Tells them, later, if they can be reached; never waits. */
  tell(news: CacheNews): void;
}
