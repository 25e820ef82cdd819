/** A stream being recorded while it is sent; requests that share it follow it from its first byte. */
import type { Cancellation } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import type { StoredReply } from '../exchange/reply.ts';

/** What is known of a stream when it begins. */
export type StreamHead = Pick<StoredReply, 'status' | 'contentType' | 'target' | 'dropped'>;

/** The memory that all recordings share with stored replies. */
export interface RecordingMemory {
  /** Takes `bytes` for a recording that already holds `held` bytes; false: there isn't enough. */
  take(bytes: number, held: number): boolean;
  /** Returns bytes. */
  give(bytes: number): void;
}

/** What a follower gets at the end of a stream. */
export interface Followed {
  /** Why it was cut off; null: it is complete. */
  readonly refusal: Refusal | null;
  readonly costNanoUsd: number;
}

/** A request that follows a recording. */
interface Follower {
  /** Number of the next chunk that it gets. */
  at: number;
  /** It fell too far behind. */
  cut: boolean;
}

const brokeOff = (): Refusal =>
  new Refusal('stream_cut', 'The stream that this request shares with an earlier, identical one broke off.');

const tooSlow = (): Refusal =>
  new Refusal(
    'stream_cut',
    'The reply that this request shares with an earlier one is too large to be kept for a client that reads so slowly.',
  );

/** One stream, recorded while it is sent to the first client. */
export class Recording {
  readonly head: StreamHead;
  readonly #memory: RecordingMemory;
  #chunks: Buffer[] = [];
  /** Number of the first of them: earlier ones are forgotten. */
  #from = 0;
  #bytes = 0;
  #end: Followed | null = null;
  #overflowed = false;
  readonly #followers = new Set<Follower>();
  #waiting: (() => void)[] = [];

  constructor(head: StreamHead, memory: RecordingMemory) {
    this.head = head;
    this.#memory = memory;
  }

  /** Appends a chunk of the first request's stream. */
  push(chunk: Buffer): void {
    if (this.#end !== null || !this.#makeRoom(chunk.length)) return;
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    this.#wake();
  }

  /** The whole stream; null: it was too large to be recorded. */
  body(): Buffer | null {
    return this.#overflowed ? null : Buffer.concat(this.#chunks);
  }

  /** It was too large, so it can't be followed from its first byte any more. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  /** The first request has ended. @param costNanoUsd of its reply; null: it broke off */
  end(costNanoUsd: number | null): void {
    if (this.#end !== null) return;
    this.#end = { refusal: costNanoUsd === null ? brokeOff() : null, costNanoUsd: costNanoUsd ?? 0 };
    this.#wake();
    // Followers keep the chunks alive until they have sent them.
    this.#memory.give(this.#bytes);
    this.#bytes = 0;
  }

  /** All chunks from the first one, as they arrive. Ends early when cancelled; the return value says so. */
  async *follow(cancellation: Cancellation): AsyncGenerator<Buffer, Followed> {
    const own: Follower = { at: 0, cut: this.#from > 0 };
    this.#followers.add(own);
    try {
      for (;;) {
        const { reason } = cancellation;
        if (reason !== null) return { refusal: reason instanceof Refusal ? reason : null, costNanoUsd: 0 };
        if (own.cut) return { refusal: tooSlow(), costNanoUsd: 0 };
        const chunk = this.#chunks[own.at - this.#from];
        if (chunk !== undefined) {
          own.at += 1;
          yield chunk;
        } else if (this.#end !== null) {
          return this.#end;
        } else {
          await this.#news(cancellation);
        }
      }
    } finally {
      this.#followers.delete(own);
    }
  }

  /**
   * Takes memory for a chunk; false: nobody needs it. Where there is none left, what all followers have got is
   * forgotten, then those farthest behind are cut off.
   */
  #makeRoom(bytes: number): boolean {
    while (!this.#memory.take(bytes, this.#bytes)) {
      this.#overflowed = true;
      let lowest = this.#from + this.#chunks.length;
      for (const { at } of this.#followers) lowest = Math.min(lowest, at);
      if (lowest > this.#from) {
        const forgotten = this.#chunks.splice(0, lowest - this.#from);
        this.#from = lowest;
        this.#give(forgotten.reduce((sum, { length }) => sum + length, 0));
      } else if (!this.#cutOff(lowest)) {
        // The chunk counts as seen, so that nobody who joined in between gets a stream with a gap.
        this.#from += 1;
        return false;
      }
    }
    return true;
  }

  /** Cuts off the followers that stand at a chunk; false: there are none. */
  #cutOff(at: number): boolean {
    let found = false;
    for (const follower of this.#followers) {
      if (follower.at !== at) continue;
      follower.cut = true;
      this.#followers.delete(follower);
      found = true;
    }
    this.#wake();
    return found;
  }

  #give(bytes: number): void {
    this.#memory.give(bytes);
    this.#bytes -= bytes;
  }

  /** Resolves with the next chunk, at the end of the stream, or when cancelled. */
  #news(cancellation: Cancellation): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancellation.off(done);
        const at = this.#waiting.indexOf(done);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve();
      };
      this.#waiting.push(done);
      cancellation.onCancel(done);
    });
  }

  #wake(): void {
    for (const done of this.#waiting.splice(0)) done();
  }
}
