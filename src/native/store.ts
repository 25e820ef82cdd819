/** Bounded key-value stores in the native core. */
import { native } from './load.ts';

/** Entries up to this size are copied out by one call. */
const storeScratch = Buffer.allocUnsafeSlow(64 * 1024);

/** An entry that is larger than there was room for is read again: meanwhile another thread may have put a larger one. */
const readsMax = 8;

const storeLengths = new Uint32Array(2);

/** Keys are passed to the core as bytes: as strings they would be measured and copied once more. */
let keyScratch = Buffer.allocUnsafeSlow(4 * 1024);

/** Writes a key into `keyScratch`. @returns its length in bytes */
function writeKey(key: string): number {
  if (key.length * 3 > keyScratch.length) keyScratch = Buffer.allocUnsafeSlow(key.length * 3);
  return keyScratch.write(key);
}

/** An entry of a store, valid until the next one is read. */
export interface StoreEntry {
  readonly bytes: Buffer;
  readonly headLength: number;
  /** Length of head and body together. */
  readonly length: number;
}

/**
 * Bounded key-value stores by id, outside the JavaScript heap; times are monotonic ms. Each owner, a whole number below
 * 2 ** 32, has its own keys, and the one that holds most makes room. See `native/core/src/shared/store.rs`.
 */
export const store = {
  open: native.storeOpen,
  set: native.storeSet,
  /** Makes room for what a user of the store, by its number, keeps of the same memory elsewhere. */
  makeRoom: native.storeMakeRoom,
  size: native.storeSize,
  bytes: native.storeBytes,
  /** Takes entries out as records, until these have so many bytes; empty if none are left. */
  drain: native.storeDrain,
  /** Stores records that were drained; false: they aren't that. @param shiftMs is added to their times */
  fill: native.storeFill,
  /** Stores an entry. @param head only its first `headLength` bytes are stored */
  put(
    id: number,
    owner: number,
    key: string,
    head: Buffer,
    headLength: number,
    body: Buffer,
    nowMs: number,
  ): void {
    const keyLength = writeKey(key);
    native.storePut(id, owner, keyScratch, keyLength, head, headLength, body, nowMs);
  },
  /** Reads an entry; null: the key has none, or others replace it all the time. */
  get(id: number, owner: number, key: string, nowMs: number): StoreEntry | null {
    const keyLength = writeKey(key);
    let bytes = storeScratch;
    for (let reads = 0; reads < readsMax; reads++) {
      if (!native.storeGet(id, owner, keyScratch, keyLength, nowMs, storeLengths, bytes)) return null;
      const headLength = storeLengths[0] ?? 0;
      const length = headLength + (storeLengths[1] ?? 0);
      if (length <= bytes.length) return { bytes, headLength, length };
      bytes = Buffer.allocUnsafeSlow(length);
    }
    return null;
  },
};
