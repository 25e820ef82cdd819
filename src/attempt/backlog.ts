/** Chunks between a provider that sends and whoever reads at another pace. */
export class Backlog {
  /** Bytes that nobody has read. */
  bytes = 0;
  #chunks: Buffer[] = [];
  #wake: ((chunk: Buffer | null) => void) | null = null;

  /** Adds a chunk, or hands it to whoever waits for one. */
  push(chunk: Buffer): void {
    const wake = this.#wake;
    if (wake !== null) {
      this.#wake = null;
      return wake(chunk);
    }
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  /** Takes all that is there; null: nothing. */
  take(): Buffer | null {
    const [first] = this.#chunks;
    if (first === undefined) return null;
    const all = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.bytes = 0;
    return all;
  }

  /** The next chunk to come; null: `close` was first. One at a time. */
  next(): Promise<Buffer | null> {
    return new Promise((wake) => {
      this.#wake = wake;
    });
  }

  /** Nothing more comes. */
  close(): void {
    this.#wake?.(null);
    this.#wake = null;
  }
}
