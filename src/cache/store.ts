/** A bounded store of replies in the native core: least recently used out first, each with an end of life. */
import type { StoredReply } from '../exchange.ts';
import { store } from '../native.ts';

export interface ReplyStore<T extends StoredReply> {
  get(key: string, nowMs: number): T | null;
  put(key: string, reply: T, nowMs: number): void;
  resize(bounds: StoreBounds): void;
  readonly size: number;
  readonly bytes: number;
}

export interface StoreBounds {
  /** 0: keeps nothing. */
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly ttlMs: number;
}

export function createReplyStore<T extends StoredReply = StoredReply>(bounds: StoreBounds): ReplyStore<T> {
  const id = store.open(bounds.entriesMax, bounds.bytesMax, bounds.ttlMs);
  return {
    get(key, nowMs) {
      const found = store.get(id, key, nowMs);
      return found === null
        ? null
        : ({ ...(JSON.parse(found.head) as Omit<T, 'body'>), body: found.body } as T);
    },
    put(key, reply, nowMs) {
      const { body, ...rest } = reply;
      store.put(id, key, JSON.stringify(rest), body, nowMs);
    },
    resize: ({ entriesMax, bytesMax, ttlMs }) => store.set(id, entriesMax, bytesMax, ttlMs),
    get size() {
      return store.size(id);
    },
    get bytes() {
      return store.bytes(id);
    },
  };
}
