/** Holds a whole reply as it arrives, within the bounds of one reply and of all together. */
import type { IncomingHttpHeaders } from 'node:http';
import { Gather } from '../base/gather.ts';
import type { Arrived, ReplyReading } from '../dialects/reading.ts';
import type { CallFailure, ReplyRoom } from './result.ts';
import { encodingOf, unpack } from './whole.ts';

/** Bytes of an error reply that are read. */
const errorMaxBytes = 1024 * 1024;
const none = Buffer.alloc(0);

/** One reply. */
export class HeldReply {
  readonly #isError: boolean;
  /** By its head; 0: unknown. */
  readonly #announced: number;
  readonly #encoding: string | null;
  readonly #maxBytes: number;
  readonly #room: ReplyRoom;
  /** The reply, as long as it is one chunk. */
  #first: Buffer | null = null;
  #gathered: Gather | null = null;
  /** All of it, decompressed. */
  #whole: Buffer | null = null;
  #arrivedBytes = 0;
  #heldBytes = 0;

  /** @param maxBytes largest answer */
  constructor(status: number, headers: IncomingHttpHeaders, maxBytes: number, room: ReplyRoom) {
    this.#isError = status >= 300;
    this.#announced = this.#isError ? 0 : Number(headers['content-length'] ?? 0);
    this.#encoding = encodingOf(headers);
    this.#maxBytes = maxBytes;
    this.#room = room;
  }

  /** It is said to be too large before any of it has come. */
  get tooLarge(): boolean {
    return this.#announced > this.#maxBytes;
  }

  /** Takes the next bytes. Returns why it can't be held; null: it can. */
  push(chunk: Buffer): CallFailure | null {
    this.#arrivedBytes += chunk.length;
    if (this.#isError && this.#arrivedBytes > errorMaxBytes) return null;
    if (this.#arrivedBytes > this.#maxBytes) return 'too_large';
    if (!this.#room.holdReply(chunk.length)) return 'no_room';
    this.#heldBytes += chunk.length;
    if (this.#heldBytes === chunk.length) this.#first = chunk;
    else this.#gather(chunk);
    return null;
  }

  /** Chunks that are joined at the end would take twice the memory. */
  #gather(chunk: Buffer): void {
    if (this.#gathered === null) {
      this.#gathered = new Gather(this.#announced || this.#maxBytes);
      this.#gathered.push(this.#first ?? none);
      this.#first = null;
    }
    this.#gathered.push(chunk);
  }

  /** What is billed of it, though it is cut off; null: nothing. */
  arrived(reading: ReplyReading): Arrived | null {
    if (this.#isError) return null;
    if (this.#whole !== null) return reading.arrived(this.#whole);
    return this.#encoding === null ? reading.arrived(this.#take()) : null;
  }

  #take(): Buffer {
    return this.#gathered?.take() ?? this.#first ?? none;
  }

  /** All of it, decompressed, or why it is no answer. Never rejects. */
  finish(): Buffer | Promise<Buffer | CallFailure> {
    const body = this.#take();
    if (this.#encoding === null) {
      this.#whole = body;
      return body;
    }
    return unpack(body, this.#encoding, this.#maxBytes).then(
      (plain) => {
        if (!this.#room.holdReply(plain.length - this.#heldBytes)) return 'no_room';
        this.#heldBytes = plain.length;
        this.#whole = plain;
        return plain;
      },
      // A body that can't be decompressed is no answer, but an error status still is a refusal.
      () => (this.#isError ? none : 'malformed'),
    );
  }

  /** It is no longer needed. */
  giveUp(): void {
    this.#room.holdReply(-this.#heldBytes);
    this.#heldBytes = 0;
    this.#gathered?.free();
  }
}
