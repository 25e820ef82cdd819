/**
 * Chunks of a stream, handed over by callbacks. With a generator and a promise at each step on their way, an event made
 * twice as much garbage.
 */

/** Takes the next chunk; null: there are no more. Never throws. */
export type TakeChunk = (chunk: Buffer | null) => void;

/** Chunks, one after the other. */
export interface Chunks {
  /** Hands over the next one, now or once it is here. Never throws. One call at a time, and none after the end. */
  next(take: TakeChunk): void;
  /** After the end: it broke off, and its format can't say so. The connection must be reset. */
  readonly cut: boolean;
}

/**
 * Chunks that a generator makes.
 * @param onDefect told what it threw, which cuts the stream
 * @param isCut asked at the end, see `Chunks.cut`
 */
export function generated(
  chunks: AsyncGenerator<Buffer>,
  onDefect: (cause: unknown) => void,
  isCut = (): boolean => false,
): Chunks {
  let cut = false;
  return {
    next(take) {
      const came = ({ done, value }: IteratorResult<Buffer>): void => {
        if (done === true) cut = isCut();
        take(done === true ? null : value);
      };
      chunks.next().then(came, (cause: unknown) => {
        onDefect(cause);
        cut = true;
        take(null);
      });
    },
    get cut() {
      return cut;
    },
  };
}

/** A first chunk, and those that are known once it was taken. @param begin never rejects */
export function following(first: Buffer, begin: () => Promise<Chunks>): Chunks {
  let begun = false;
  let rest: Chunks | null = null;
  return {
    next(take) {
      if (rest !== null) return rest.next(take);
      if (!begun) {
        begun = true;
        return take(first);
      }
      void begin().then((chunks) => {
        rest = chunks;
        chunks.next(take);
      });
    },
    get cut() {
      return rest?.cut === true;
    },
  };
}

/** One chunk that ends a stream. */
export async function* only(chunk: Buffer): AsyncGenerator<Buffer> {
  yield chunk;
}
