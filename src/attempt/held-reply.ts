/** Holds a whole reply as it arrives, within the bounds of one reply and of all together. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Waits } from '../base/aside.ts';
import { Gather } from '../base/gather.ts';
import type { Arrived, ReplyReading } from '../dialects/reading.ts';
import { justPrompt } from './arrival.ts';
import { Holding } from './holding.ts';
import type { CallFailure, CallResult, ReplyRoom, Terms } from './result.ts';
import { encodingOf, readWhole, unpack } from './whole.ts';

/** Bytes of an error reply that are read. */
const errorMaxBytes = 1024 * 1024;
const none = Buffer.alloc(0);

/** One reply. */
export class HeldReply {
  readonly #status: number;
  readonly #headers: IncomingHttpHeaders;
  readonly #isError: boolean;
  /** By its head; 0: unknown. */
  readonly #announced: number;
  readonly #encoding: string | null;
  readonly #maxBytes: number;
  readonly #holding: Holding;
  /** The reply, as long as it is one chunk. */
  #first: Buffer | null = null;
  #gathered: Gather | null = null;
  /** All of it, decompressed. */
  #whole: Buffer | null = null;
  /** Nobody waits for it. */
  #left = false;
  #arrivedBytes = 0;

  /** @param maxBytes largest answer */
  constructor(status: number, headers: IncomingHttpHeaders, maxBytes: number, room: ReplyRoom) {
    this.#status = status;
    this.#headers = headers;
    this.#isError = status >= 300;
    this.#announced = this.#isError ? 0 : Number(headers['content-length'] ?? 0);
    this.#encoding = encodingOf(headers);
    this.#maxBytes = maxBytes;
    this.#holding = new Holding(room);
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
    if (!this.#holding.add(chunk.length)) return 'no_room';
    if (this.#holding.bytes === chunk.length) this.#first = chunk;
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

  /** What is billed of it, though it is cut off or can't be read; null: nothing. */
  arrived(reading: ReplyReading, failure: CallFailure): Arrived | null {
    if (this.#isError) return null;
    // What failed by a defect would fail again.
    if (failure === 'defect') return justPrompt;
    const bytes = this.#whole ?? (this.#encoding === null ? this.#take() : null);
    const arrived = bytes === null ? null : reading.arrived(bytes);
    return arrived ?? (failure === 'too_large' ? justPrompt : null);
  }

  #take(): Buffer {
    return this.#gathered?.take() ?? this.#first ?? none;
  }

  /** Reads all of it: an answer, a refusal, or why it is neither. Throws or rejects by a defect of ours. */
  read(
    reading: ReplyReading,
    terms: Pick<Terms, 'wantsStream' | 'aside'>,
    waits: Waits,
  ): CallResult | CallFailure | Promise<CallResult | CallFailure> {
    const judged = (body: Buffer | CallFailure): ReturnType<typeof readWhole> =>
      typeof body === 'string' ? body : readWhole(this.#status, this.#headers, body, reading, terms, waits);
    const all = this.finish();
    return all instanceof Promise ? all.then(judged) : judged(all);
  }

  /** All of it, decompressed, or why it is no answer. Never rejects. */
  finish(): Buffer | Promise<Buffer | CallFailure> {
    const body = this.#take();
    if (this.#encoding === null) {
      this.#whole = body;
      return body;
    }
    return this.#unpack(body, this.#encoding);
  }

  /** What is packed may be a thousand times as long, so it is counted as it is unpacked. */
  async #unpack(body: Buffer, encoding: string): Promise<Buffer | CallFailure> {
    const plain = new Gather(this.#maxBytes);
    let failure: CallFailure | null = null;
    const take = (piece: Buffer): boolean => {
      if (this.#left) failure = 'cancelled';
      else if (plain.length + piece.length > this.#maxBytes) failure = 'too_large';
      else if (!this.#holding.add(piece.length)) failure = 'no_room';
      if (failure !== null) return false;
      plain.push(piece);
      return true;
    };
    try {
      await unpack(body, encoding, take);
    } catch {
      // A body that can't be decompressed is no answer, but an error status still is a refusal.
      failure = this.#isError ? null : 'malformed';
      plain.free();
    }
    if (failure !== null || this.#left) {
      plain.free();
      return failure ?? 'cancelled';
    }
    this.#holding.add(plain.length - this.#holding.bytes);
    this.#whole = plain.take();
    return this.#whole;
  }

  /** It is no longer needed. */
  giveUp(): void {
    this.#left = true;
    this.#holding.free();
    this.#gathered?.free();
  }
}
