/** A bounded store of replies in the native core: least recently used out first, each with an end of life. */
import type { StoredReply } from '../exchange/reply.ts';
import { type StoreEntry, store } from '../native/store.ts';

export interface ReplyStore {
  get(key: string, nowMs: number): NotedReply | null;
  /** @param note the owner's own, given back with the reply */
  put(key: string, reply: StoredReply, nowMs: number, note?: string): void;
  resize(bounds: StoreBounds): void;
  readonly size: number;
  readonly bytes: number;
}

export interface NotedReply extends StoredReply {
  readonly note: string;
}

export interface StoreBounds {
  /** 0: keeps nothing. */
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly ttlMs: number;
}

export function createReplyStore(bounds: StoreBounds): ReplyStore {
  const id = store.open(bounds.entriesMax, bounds.bytesMax, bounds.ttlMs);
  return {
    get(key, nowMs) {
      const found = store.get(id, key, nowMs);
      return found === null ? null : readEntry(found);
    },
    put(key, reply, nowMs, note = '') {
      const headLength = writeHead(reply, note);
      if (headLength > 0) store.put(id, key, head, headLength, reply.body, nowMs);
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

// What an entry's head holds: the numbers, as they lie in memory, then the texts one after the other. JSON would cost
// more than all the rest of a look-up.
const numbers = new Float64Array(6);
const numbersBytes = Buffer.from(numbers.buffer);
const numbersLength = numbersBytes.length;
/** Texts beyond it are no header's any more: such a reply is not kept. */
const head = Buffer.allocUnsafeSlow(64 * 1024);

/** Fills `head`; gives its length, 0 if it has no room. */
function writeHead(reply: StoredReply, note: string): number {
  const { contentType, target, dropped = '' } = reply;
  const text = contentType + target + dropped + note;
  if (numbersLength + text.length * 3 > head.length) return 0;
  numbers[0] = reply.status;
  numbers[1] = reply.stream ? 1 : 0;
  numbers[2] = reply.costNanoUsd;
  numbers[3] = contentType.length;
  numbers[4] = target.length;
  numbers[5] = dropped.length;
  numbersBytes.copy(head);
  return numbersLength + head.write(text, numbersLength);
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
  };
  return droppedEnd === targetEnd ? reply : { ...reply, dropped: text.slice(targetEnd, droppedEnd) };
}
