/** A bounded store of replies: least recently used out first, each with an end of life. */
import type { StoredReply } from '../exchange.ts';

export interface ReplyStore<T extends StoredReply> {
  get(key: string, nowMs: number): T | null;
  /** When an entry ends, monotonic ms; null: not there. */
  expiresMs(key: string): number | null;
  put(key: string, reply: T, nowMs: number): void;
  delete(key: string): void;
  resize(bounds: StoreBounds): void;
  readonly size: number;
  readonly bytes: number;
}

export interface StoreBounds {
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly ttlMs: number;
}

/** What an entry costs besides its body: key, objects, map slot. */
const entryOverheadBytes = 512;

export function createReplyStore<T extends StoredReply = StoredReply>(bounds: StoreBounds): ReplyStore<T> {
  let { entriesMax, bytesMax, ttlMs } = bounds;
  // A Map keeps insertion order, so the first entry is the one used longest ago.
  const entries = new Map<string, { readonly reply: T; readonly expiresMs: number }>();
  let bytes = 0;

  const sizeOf = (key: string, reply: StoredReply): number =>
    reply.body.length + key.length + entryOverheadBytes;
  const drop = (key: string): void => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    bytes -= sizeOf(key, entry.reply);
  };
  const shrink = (): void => {
    for (const key of entries.keys()) {
      if (entries.size <= entriesMax && bytes <= bytesMax) return;
      drop(key);
    }
  };

  return {
    get(key, nowMs) {
      const entry = entries.get(key);
      if (entry === undefined) return null;
      if (entry.expiresMs <= nowMs) {
        drop(key);
        return null;
      }
      entries.delete(key);
      entries.set(key, entry);
      return entry.reply;
    },
    expiresMs: (key) => entries.get(key)?.expiresMs ?? null,
    put(key, reply, nowMs) {
      drop(key);
      if (sizeOf(key, reply) > bytesMax) return;
      entries.set(key, { reply, expiresMs: nowMs + ttlMs });
      bytes += sizeOf(key, reply);
      shrink();
    },
    delete: drop,
    resize(next) {
      ({ entriesMax, bytesMax, ttlMs } = next);
      shrink();
    },
    get size() {
      return entries.size;
    },
    get bytes() {
      return bytes;
    },
  };
}
