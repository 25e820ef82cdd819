/**
 * Lines gathered as bytes until they are passed on. What is written for every request is put together here piece by
 * piece: text that is joined first and encoded then takes three times as long, and leaves as much garbage.
 */

/** Gathers lines. Whoever puts pieces says first how long they are at most, together. */
export interface LineBytes {
  /** Makes room for so many bytes, and passes on what is there if need be. */
  reserve(most: number): void;
  /** Takes back what was put since room was made, and still is there. */
  undo(): void;
  /** Any text; makes room itself. */
  text(text: string): void;
  /** What is known as bytes. */
  piece(bytes: Uint8Array): void;
  /** A short text of ASCII. */
  ascii(text: string): void;
  /** A whole number. */
  whole(value: number): void;
  /** With three decimals, such as ms to the µs. */
  thousandths(value: number): void;
  /** Nano-dollars as dollars with nine decimals. */
  dollars(nanoUsd: number): void;
  /** Passes on what is there. */
  flush(): void;
}

/** From so many bytes on, to have V8 copy them is cheaper than a loop. */
const setMinBytes = 32;
const zero = 48;
const point = 46;
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
const unitMaxBytes = 3;

/**
 * @param maxBytes gathered at most, unless room was made for more
 * @param pass takes them, and the buffer they are in: whole lines, where room was made for each
 * @param again a buffer of `maxBytes` that nobody needs any more
 */
export function createLineBytes(
  maxBytes: number,
  pass: (lines: Buffer) => void,
  again: () => Buffer | undefined = () => undefined,
): LineBytes {
  const next = (): Buffer => again() ?? Buffer.allocUnsafeSlow(maxBytes);
  let bytes = next();
  let length = 0;
  let begun = 0;

  const flush = (): void => {
    if (length === 0) return;
    pass(bytes.subarray(0, length));
    bytes = next();
    length = 0;
    begun = 0;
  };

  const makeRoom = (most: number): void => {
    if (length + most > bytes.length) flush();
    if (most > bytes.length) bytes = Buffer.allocUnsafeSlow(most);
  };

  const ascii = (text: string): void => {
    const to = bytes;
    const from = length;
    const count = text.length;
    for (let at = 0; at < count; at++) to[from + at] = text.charCodeAt(at);
    length = from + count;
  };

  /** The last `count` digits of a whole number below 10⁹. */
  const digits = (value: number, count: number): void => {
    const to = bytes;
    const from = length;
    let rest = value;
    for (let at = from + count - 1; at >= from; at--) {
      const next = (rest / 10) | 0;
      to[at] = zero + rest - next * 10;
      rest = next;
    }
    length = from + count;
  };

  /** A whole number below 2⁵³, without zeros before it. */
  const plain = (value: number): void => {
    if (value >= 1e9) {
      const billions = Math.floor(value / 1e9);
      plain(billions);
      return digits(value - billions * 1e9, 9);
    }
    let count = 1;
    for (let limit = 10; value >= limit; limit *= 10) count++;
    digits(value, count);
  };

  const isPlain = (value: number): boolean => value >= 0 && value <= Number.MAX_SAFE_INTEGER;

  return {
    reserve(most) {
      makeRoom(most);
      begun = length;
    },
    undo() {
      length = begun;
    },
    text(text) {
      makeRoom(text.length * unitMaxBytes);
      length += bytes.write(text, length);
    },
    piece(piece) {
      const count = piece.length;
      if (count > setMinBytes) {
        bytes.set(piece, length);
        length += count;
      } else {
        const to = bytes;
        const from = length;
        for (let at = 0; at < count; at++) to[from + at] = piece[at] as number;
        length = from + count;
      }
    },
    ascii,
    whole(value) {
      const whole = Math.round(value);
      if (isPlain(whole)) plain(whole);
      else ascii(value.toFixed(0));
    },
    thousandths(value) {
      const thousandths = Math.round(value * 1000);
      if (!isPlain(thousandths)) return ascii(value.toFixed(3));
      const whole = Math.floor(thousandths / 1000);
      plain(whole);
      bytes[length++] = point;
      digits(thousandths - whole * 1000, 3);
    },
    dollars(nanoUsd) {
      const nano = Math.round(nanoUsd);
      if (!isPlain(nano)) return ascii((nanoUsd / 1e9).toFixed(9));
      const whole = Math.floor(nano / 1e9);
      plain(whole);
      bytes[length++] = point;
      digits(nano - whole * 1e9, 9);
    },
    flush,
  };
}
