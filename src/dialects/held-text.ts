/**
 * Text that comes in small pieces and is read once it is complete. Added up as one string, V8 would keep each piece, which
 * takes ten times the memory of the text where the pieces are tokens.
 */

/** Pieces that are joined at a time. */
const joinedAt = 256;

/** Such a text. */
export class HeldText {
  readonly #joined: string[] = [];
  #pieces: string[] = [];
  #length = 0;

  /** Its length so far. */
  get length(): number {
    return this.#length;
  }

  add(piece: string): void {
    this.#length += piece.length;
    this.#pieces.push(piece);
    if (this.#pieces.length < joinedAt) return;
    this.#joined.push(this.#pieces.join(''));
    this.#pieces = [];
  }

  toString(): string {
    return this.#joined.join('') + this.#pieces.join('');
  }
}
