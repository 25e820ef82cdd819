/** Counts the bytes that one call holds of its reply, in the room that all replies share. */
import type { CallBounds, ReplyRoom } from './result.ts';

/** What one call holds. */
export class Holding {
  readonly #room: ReplyRoom;
  #bytes = 0;
  /** Of them, what a stream holds back. */
  #back = 0;

  constructor(room: ReplyRoom) {
    this.#room = room;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts more bytes, or fewer if less than 0. False: there is no room for them. */
  add(bytes: number): boolean {
    if (!this.#room.holdReply(bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  /**
   * Counts what is held after a chunk of a stream. Null: there is room for it.
   * @param chunkBytes of a chunk that is held back with those before it; null: none is any more
   * @param keptBytes held for the stream's end, which is to be no larger than a whole reply
   */
  flow(
    chunkBytes: number | null,
    keptBytes: number,
    { replyMaxBytes }: Pick<CallBounds, 'replyMaxBytes'>,
  ): 'no_room' | 'too_large' | null {
    this.#back = chunkBytes === null ? 0 : this.#back + chunkBytes;
    if (keptBytes > replyMaxBytes) return 'too_large';
    return this.add(this.#back + keptBytes - this.#bytes) ? null : 'no_room';
  }

  /** Gives all of it back. */
  free(): void {
    this.add(-this.#bytes);
  }
}

/** Reads what has come of a reply. What it throws, or rejects with, is a defect of ours. */
export function guarded(read: () => Promise<void> | void, onDefect: (cause: unknown) => void): void {
  try {
    void read()?.catch(onDefect);
  } catch (cause) {
    onDefect(cause);
  }
}
