/** Chunks between a provider that sends and whoever reads at another pace. */
import type { TakeChunk } from '../exchange/chunks.ts';

/** Never added to. */
const noMore: Buffer[] = [];

/** What nobody has read yet, and who waits for more. */
export class Backlog {
  /** Bytes that nobody has read. */
  bytes = 0;
  /** Usually one chunk waits at most. */
  #first: Buffer | null = null;
  #more: Buffer[] = noMore;
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
    if (this.#first === null) this.#first = chunk;
    else if (this.#more === noMore) this.#more = [chunk];
    else this.#more.push(chunk);
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
    const first = this.#first;
    if (first === null) return null;
    const all = this.#more === noMore ? first : Buffer.concat([first, ...this.#more]);
    this.#first = null;
    this.#more = noMore;
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
