/** A bounded store of replies: least recently used out first, each with an end of life. */
import { LRUCache } from 'lru-cache';
import type { StoredReply } from '../exchange.ts';

export interface ReplyStore<T extends StoredReply> {
  get(key: string, nowMs: number): T | null;
  put(key: string, reply: T, nowMs: number): void;
  resize(bounds: StoreBounds): void;
  /** Drops the reply used longest ago. */
  dropOldest(): void;
  readonly size: number;
  readonly bytes: number;
}

export interface StoreBounds {
  /** 0: keeps nothing. */
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly ttlMs: number;
}

interface Entry<T> {
  readonly reply: T;
  readonly expiresMs: number;
}

/** What an entry costs besides its body: key, objects, map slot. */
const entryOverheadBytes = 512;

export function createReplyStore<T extends StoredReply = StoredReply>(bounds: StoreBounds): ReplyStore<T> {
  const open = ({ entriesMax, bytesMax }: StoreBounds): LRUCache<string, Entry<T>> =>
    new LRUCache({
      // The library takes no 0; a single entry of no size is as good.
      max: Math.max(1, entriesMax),
      maxSize: entriesMax === 0 ? 1 : bytesMax,
      sizeCalculation: ({ reply }, key) => reply.body.length + key.length + entryOverheadBytes,
    });
  let { ttlMs } = bounds;
  let entries = open(bounds);

  return {
    get(key, nowMs) {
      const entry = entries.get(key);
      if (entry === undefined) return null;
      if (entry.expiresMs > nowMs) return entry.reply;
      entries.delete(key);
      return null;
    },
    put(key, reply, nowMs) {
      entries.set(key, { reply, expiresMs: nowMs + ttlMs });
    },
    resize(next) {
      ({ ttlMs } = next);
      const before = entries;
      entries = open(next);
      // The one used longest ago first, so that it goes first.
      for (const [key, entry] of [...before.entries()].reverse()) entries.set(key, entry);
    },
    dropOldest: () => void entries.pop(),
    get size() {
      return entries.size;
    },
    get bytes() {
      return entries.calculatedSize;
    },
  };
}
