/** Gathers bytes that arrive in pieces into one buffer. */

const usualFirstBytes = 16 * 1024;

/**
 * A buffer that grows as bytes arrive, up to a bound. Its memory is proportional to what has arrived, not to what was
 * announced, there is no second copy at the end, and it can be given back at once, without waiting for the collector.
 */
export class Gather {
  #bytes: Buffer = none;
  #length = 0;
  readonly #expected: number;
  readonly #first: number;

  /**
   * @param expectedBytes the whole length if it is known; otherwise the most it can be
   * @param firstBytes that it begins with
   */
  constructor(expectedBytes: number, firstBytes = usualFirstBytes) {
    this.#expected = expectedBytes;
    this.#first = firstBytes;
  }

  /** Bytes gathered so far. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of memory that it will take once so many more have come. */
  capacityWith(moreBytes: number): number {
    const length = this.#length + moreBytes;
    if (length <= this.#bytes.length) return this.#bytes.length;
    // Doubled: each byte is copied twice at most, on average.
    return Math.max(length, Math.min(this.#expected, Math.max(this.#first, this.#bytes.length * 2)));
  }

  push(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(this.capacityWith(chunk.length));
      this.#bytes.copy(grown, 0, 0, this.#length);
      release(this.#bytes);
      this.#bytes = grown;
    }
    chunk.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  /** All bytes, which are the caller's from now on. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#bytes = none;
    this.#length = 0;
    return bytes;
  }

  /** Gives the memory back to the system. */
  free(): void {
    release(this.#bytes);
    this.#bytes = none;
    this.#length = 0;
  }
}

const none = Buffer.alloc(0);

/** Frees a buffer's memory now: nobody else has seen it. */
function release(bytes: Buffer): void {
  if (bytes.length > 0) (bytes.buffer as ArrayBuffer).transfer(0);
}

/** Smaller pieces aren't worth it. */
const pieceMinBytes = 4096;

/**
 * Frees a piece that a socket gave and that was copied: nobody must use it, or another part of what it is a part of, from
 * now on. Memory outside of V8's heap makes it collect garbage the more often, the more of it there is: with requests of
 * 100 KB, that took a third of all CPU time.
 */
export function releasePiece(piece: Buffer): void {
  // Part of something larger: others may have the rest.
  if (piece.length >= pieceMinBytes && piece.length === piece.buffer.byteLength) release(piece);
}
