/** Counts the bytes that one call holds of its reply, in the room that all replies share. */
import type { ReplyRoom } from './result.ts';

/** What one call holds. */
export class Holding {
  readonly #room: ReplyRoom;
  #bytes = 0;

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
