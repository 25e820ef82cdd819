/** Chunks between a provider that sends and whoever reads at another pace. */
import type { TakeChunk } from '../exchange/chunks.ts';

/** What nobody has read yet, and who waits for more. */
export class Backlog {
  /** Bytes that nobody has read. */
  bytes = 0;
  #chunks: Buffer[] = [];
  #wake: TakeChunk | null = null;

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

  /** Waits for the next chunk to come; null: `close` was first. One at a time. */
  wait(take: TakeChunk): void {
    this.#wake = take;
  }

  /** Nothing more comes. */
  close(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.(null);
  }
}
