/** A bounded in-memory store of replies in the native core: evicts the least recently used, and expires each reply. */
import { setsBounds, unshared } from '../base/shared.ts';
import type { StoredReply } from '../exchange/reply.ts';
import { type StoreEntry, store } from '../native/store.ts';

/** Replies by key. */
export interface ReplyStore {
  /** Null: not stored, or expired. @param owner whose key it is, a whole number below 2 ** 32 @param nowMs monotonic ms */
  get(owner: number, key: string, nowMs: number): NotedReply | null;
  /**
   * Stores a copy; not if its headers are too large.
   * @param note any text, returned with the reply
   * @param askedMs when its request came, monotonic ms; `nowMs` unless it is said
   */
  put(owner: number, key: string, reply: StoredReply, nowMs: number, note?: string, askedMs?: number): void;
  /** Takes replies out as records, until these have so many bytes; empty if none are left. */
  drain(bytesMax: number): Buffer;
  /** Stores records that were drained; false: they aren't that. @param shiftMs is added to their times */
  fill(records: Buffer, shiftMs: number, nowMs: number): boolean;
  /** Changes the bounds, evicting as needed; those that the first worker sets hold for all. */
  resize(bounds: StoreBounds): void;
  /** Evicts, so that so many bytes that are kept elsewhere fit beside it into its bounds from now on. */
  makeRoom(bytes: number): void;
  readonly size: number;
  readonly bytes: number;
}

/** A stored reply, its note, and when its request came. */
export interface NotedReply extends StoredReply {
  readonly note: string;
  /** Monotonic ms. */
  readonly askedMs: number;
}

/** Bounds of a store. */
export interface StoreBounds {
  /** 0: stores nothing. */
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly ttlMs: number;
}

/** The owner of what isn't kept by owners. */
export const everyone = 0;

/** An empty store, or the one that other workers have opened. @param table its name among those they share */
export function createReplyStore(bounds: StoreBounds, shared = unshared, table = ''): ReplyStore {
  const id = store.open(bounds.entriesMax, bounds.bytesMax, bounds.ttlMs, shared.name(table));
  return {
    get(owner, key, nowMs) {
      const found = store.get(id, owner, key, nowMs);
      return found === null ? null : readEntry(found);
    },
    put(owner, key, reply, nowMs, note = '', askedMs = nowMs) {
      const headLength = writeHead(reply, note, askedMs);
      if (headLength > 0) store.put(id, owner, key, head, headLength, reply.body, nowMs);
    },
    drain: (bytesMax) => store.drain(id, bytesMax),
    fill(records, shiftMs, nowMs) {
      shiftAsked(records, shiftMs);
      return store.fill(id, records, shiftMs, nowMs);
    },
    resize({ entriesMax, bytesMax, ttlMs }) {
      if (setsBounds(shared)) store.set(id, entriesMax, bytesMax, ttlMs);
    },
    makeRoom: (bytes) => store.makeRoom(id, shared.worker, bytes),
    get size() {
      return store.size(id);
    },
    get bytes() {
      return store.bytes(id);
    },
  };
}

// An entry's head: the numbers in their binary form, then the texts concatenated. JSON would cost more than the whole
// rest of a look-up.
const numbers = new Float64Array(7);
const numbersBytes = Buffer.from(numbers.buffer);
const numbersLength = numbersBytes.length;
/** No sensible header is larger: such a reply is not stored. */
const head = Buffer.allocUnsafeSlow(64 * 1024);

/** Fills `head`; returns its length, 0 if the texts don't fit. */
function writeHead(reply: StoredReply, note: string, askedMs: number): number {
  const { contentType, target, dropped = '' } = reply;
  const text = contentType + target + dropped + note;
  if (numbersLength + text.length * 3 > head.length) return 0;
  numbers[0] = reply.status;
  numbers[1] = reply.stream ? 1 : 0;
  numbers[2] = reply.costNanoUsd;
  numbers[3] = contentType.length;
  numbers[4] = target.length;
  numbers[5] = dropped.length;
  numbers[6] = askedMs;
  numbersBytes.copy(head);
  return numbersLength + head.write(text, numbersLength);
}

/** Where a record's entry begins, after its length, owner, digest, time of expiry and length of the head. */
const recordHead = 4 + 4 + 32 + 8 + 4;
const askedAt = recordHead + 6 * 8;

/** Adds to the time at which the request of each record came. What isn't a record is left to the core to refuse. */
function shiftAsked(records: Buffer, shiftMs: number): void {
  for (let at = 0; at + askedAt + 8 <= records.length; at += 4 + records.readUInt32LE(at))
    records.writeDoubleLE(records.readDoubleLE(at + askedAt) + shiftMs, at + askedAt);
}

function readEntry({ bytes, headLength, length }: StoreEntry): NotedReply {
  bytes.copy(numbersBytes, 0, 0, numbersLength);
  const number = (at: number): number => numbers[at] as number;
  const text = bytes.toString('utf8', numbersLength, headLength);
  const typeEnd = number(3);
  const targetEnd = typeEnd + number(4);
  const droppedEnd = targetEnd + number(5);
  const body = Buffer.allocUnsafe(length - headLength);
  bytes.copy(body, 0, headLength, length);
  const reply: NotedReply = {
    status: number(0),
    contentType: text.slice(0, typeEnd),
    body,
    stream: number(1) === 1,
    target: text.slice(typeEnd, targetEnd),
    costNanoUsd: number(2),
    note: text.slice(droppedEnd),
    askedMs: number(6),
  };
  return droppedEnd === targetEnd ? reply : { ...reply, dropped: text.slice(targetEnd, droppedEnd) };
}
