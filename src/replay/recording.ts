/** A stream while it is gathered for its idempotency key: whoever joins follows it from its first byte. */
import type { Cancellation } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import type { StoredReply } from '../exchange/reply.ts';

/** What is known of a stream when it begins. */
export type StreamHead = Pick<StoredReply, 'status' | 'contentType' | 'target' | 'dropped'>;

/** Memory that all recordings share with the replies that are kept. */
export interface Room {
  /** False: there is none left for so many bytes more in a recording that holds `held`. */
  take(bytes: number, held: number): boolean;
  give(bytes: number): void;
}

/** What a follower gets at the end of a stream. */
export interface Followed {
  /** Why it broke off; null: it was complete. */
  readonly refusal: Refusal | null;
  readonly costNanoUsd: number;
}

export class Recording {
  readonly head: StreamHead;
  readonly #room: Room;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #end: Followed | null = null;
  #overflowed = false;
  #waiting: (() => void)[] = [];

  constructor(head: StreamHead, room: Room) {
    this.head = head;
    this.#room = room;
  }

  /** The first request's stream has grown. */
  push(chunk: Buffer): void {
    if (this.#end !== null) return;
    if (this.#room.take(chunk.length, this.#bytes)) {
      this.#bytes += chunk.length;
      this.#chunks.push(chunk);
      return this.#wake();
    }
    this.#overflowed = true;
    const words = 'The reply to the first request with this Idempotency-Key is too large to be shared.';
    this.#finish({ refusal: new Refusal('stream_cut', words), costNanoUsd: 0 });
    this.#release();
  }

  /** All of it; null: it was too large to be gathered. */
  body(): Buffer | null {
    return this.#overflowed ? null : Buffer.concat(this.#chunks);
  }

  /** It can't be followed from its first byte any more. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  /** The first request is over. @param kept its reply, null when it broke off */
  end(kept: StoredReply | null): void {
    if (this.#end !== null) return;
    const cut = new Refusal(
      'stream_cut',
      'The stream of the first request with this Idempotency-Key broke off.',
    );
    this.#finish({ refusal: kept === null ? cut : null, costNanoUsd: kept?.costNanoUsd ?? 0 });
    // Those who follow have their own hold on the chunks until they are through.
    this.#room.give(this.#bytes);
    this.#bytes = 0;
  }

  /** The bytes from the first one on, as they come. Ends early, as its return value says, when nobody listens. */
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
    this.#room.give(this.#bytes);
    this.#bytes = 0;
    this.#chunks = [];
  }

  #wake(): void {
    for (const done of this.#waiting.splice(0)) done();
  }
}
