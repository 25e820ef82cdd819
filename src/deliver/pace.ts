/** What is kept is delivered in turns of the event loop: all of it is here at once, and others would wait for the whole. */
import { setImmediate as turn } from 'node:timers/promises';

/** Bytes that are worked on in one turn: values restored and events rewritten take up to 5 ms for so many. */
export const turnBytes = 64 * 1024;

/** The pace of one delivery. */
export class Pace {
  #bytes = 0;

  /** Counts what was worked on; to be waited for if that is enough for one turn. */
  after(bytes: number): Promise<void> | null {
    this.#bytes += bytes;
    if (this.#bytes < turnBytes) return null;
    this.#bytes = 0;
    return turn();
  }
}
