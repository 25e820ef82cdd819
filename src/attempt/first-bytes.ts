/** Keeps the first bytes of a stream, in which its provider may refuse. */

const keptMaxBytes = 64 * 1024;

/** The first bytes of one stream. */
export class FirstBytes {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  /** Takes the next chunk; ignores it if enough is kept. */
  push(chunk: Buffer): void {
    if (this.#bytes >= keptMaxBytes) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** What is kept, joined. */
  take(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}
