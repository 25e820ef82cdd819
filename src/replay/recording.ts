/** A stream being recorded for its idempotency key; repeated requests follow it from its first byte. */
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

/** One stream, recorded while it is sent to the first client. */
export class Recording {
  readonly head: StreamHead;
  readonly #memory: RecordingMemory;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #end: Followed | null = null;
  #overflowed = false;
  #waiting: (() => void)[] = [];

  constructor(head: StreamHead, memory: RecordingMemory) {
    this.head = head;
    this.#memory = memory;
  }

  /** Appends a chunk of the first request's stream. */
  push(chunk: Buffer): void {
    if (this.#end !== null) return;
    if (this.#memory.take(chunk.length, this.#bytes)) {
      this.#bytes += chunk.length;
      this.#chunks.push(chunk);
      return this.#wake();
    }
    this.#overflowed = true;
    const message = 'The reply to the first request with this Idempotency-Key is too large to be shared.';
    this.#finish({ refusal: new Refusal('stream_cut', message), costNanoUsd: 0 });
    this.#release();
  }

  /** The whole stream; null: it was too large to be recorded. */
  body(): Buffer | null {
    return this.#overflowed ? null : Buffer.concat(this.#chunks);
  }

  /** It was too large, so it can't be followed from its first byte any more. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  /** The first request has ended. @param kept its reply; null: it broke off */
  end(kept: StoredReply | null): void {
    if (this.#end !== null) return;
    const cut = new Refusal(
      'stream_cut',
      'The stream of the first request with this Idempotency-Key broke off.',
    );
    this.#finish({ refusal: kept === null ? cut : null, costNanoUsd: kept?.costNanoUsd ?? 0 });
    // Followers keep the chunks alive until they have sent them.
    this.#memory.give(this.#bytes);
    this.#bytes = 0;
  }

  /** All chunks from the first one, as they arrive. Ends early when cancelled; the return value says so. */
  async *follow(cancellation: Cancellation): AsyncGenerator<Buffer, Followed> {
    for (let at = 0; ; ) {
      const chunk = this.#chunks[at];
      const { reason } = cancellation;
      if (reason !== null) return { refusal: reason instanceof Refusal ? reason : null, costNanoUsd: 0 };
      if (chunk !== undefined) {
        at += 1;
        yield chunk;
      } else if (this.#end !== null) {
        return this.#end;
      } else {
        await this.#news(cancellation);
      }
    }
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

  #finish(end: Followed): void {
    this.#end = end;
    this.#wake();
  }

  #release(): void {
    this.#memory.give(this.#bytes);
    this.#bytes = 0;
    this.#chunks = [];
  }

  #wake(): void {
    for (const done of this.#waiting.splice(0)) done();
  }
}
