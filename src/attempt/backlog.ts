/** Chunks between a provider that sends and whoever reads at another pace. */
import type { TakeChunk } from '../exchange/chunks.ts';

/** What nobody has read yet, and who waits for more. */
export class Backlog {
  /** Bytes that nobody has read. */
  bytes = 0;
  #chunks: Buffer[] = [];
  #wake: TakeChunk | null = null;
  #wakes = false;
  readonly #onTaken: () => void;

  /** @param onTaken called when all was taken */
  constructor(onTaken: () => void) {
    this.#onTaken = onTaken;
  }

  /** Whether somebody waits and is about to take what is here. */
  get wakes(): boolean {
    return this.#wakes;
  }

  /** Adds a chunk. Whoever waits gets it once all that came with it is here: one read may hold thousands of small ones. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
    if (this.#wake === null || this.#wakes) return;
    this.#wakes = true;
    queueMicrotask(this.#give);
  }

  readonly #give = (): void => {
    this.#wakes = false;
    const wake = this.#wake;
    if (wake === null) return;
    this.#wake = null;
    wake(this.take());
  };

  /** Takes all that is there; null: nothing. */
  take(): Buffer | null {
    const [first] = this.#chunks;
    if (first === undefined) return null;
    const all = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.bytes = 0;
    this.#onTaken();
    return all;
  }

  /** Waits for what is to come; null: `close` was first. One at a time, and only if there is nothing. */
  wait(take: TakeChunk): void {
    this.#wake = take;
  }

  /** Nothing more comes. */
  close(): void {
    if (!this.#wakes) this.#give();
  }
}
