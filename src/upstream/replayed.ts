/** A connection that is handed on with its request sent, and a part of the reply read. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** A connection whose request was sent already, and whose reply begins again with what was read of it. */
export class Replayed extends Duplex {
  readonly #socket: Socket;
  readonly #onGone: () => void;
  /** What was read before the request was written here; null: it was. A reply to no request would be refused. */
  #early: Buffer[] | null = [];
  #closed = false;

  constructor(socket: Socket, onGone: () => void) {
    super();
    // It may break before anybody has taken it; whoever takes it finds it destroyed.
    this.on('error', () => {});
    this.#socket = socket;
    this.#onGone = onGone;
  }

  /** Gives on what was read. @param bytes may be overwritten afterwards */
  give(bytes: Buffer): void {
    const copy = Buffer.from(bytes);
    if (this.#early !== null) this.#early.push(copy);
    else if (!this.push(copy)) this.#socket.pause();
  }

  /** The provider sends no more. */
  close(): void {
    this.#closed = true;
    if (this.#early === null) this.push(null);
  }

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
    setImmediate(() => this.#begin());
  }

  #begin(): void {
    for (const each of this.#early ?? []) this.push(each);
    this.#early = null;
    if (this.#closed) this.push(null);
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#onGone();
    done(error);
  }
}
