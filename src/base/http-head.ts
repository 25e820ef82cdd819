/**
 * Finds the headers in the head of a plain HTTP/1.1 message. It accepts less than HTTP/1.1 allows (RFC 9112), and
 * nothing that Node's parser would refuse: whatever is unusual is left to a complete parser.
 */

/** A message with more headers is unusual. */
export const headersMax = 64;
/** Longest head, in bytes: Node's own limit. */
export const headMaxBytes = 16 * 1024;
const [tab, lineFeed, carriageReturn, space, colon] = [9, 10, 13, 32, 58];
const lower = 'abcdefghijklmnopqrstuvwxyz';
/** Letters and digits. */
export const letters = `${lower}${lower.toUpperCase()}0123456789`;

/** A table that has 1 at the code of each of these characters. */
export function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

/** Characters of a header's name (RFC 9110, section 5.6.2). */
const inName = tableOf(`${letters}!#$%&'*+-.^_\`|~`);

/** Whether a byte may stand in a header's name. */
export const isTokenByte = (byte: number): boolean => inName[byte] === 1;

/** Whether a byte is a tab or a printable character of ASCII. */
export const isTabOrText = (byte: number): boolean => (byte >= 0x20 && byte < 0x7f) || byte === tab;

/** Of the head found last, start and end of each header's name and value; the last element is where the body begins. */
export const offsets = new Int32Array(headersMax * 4 + 1);

/** Whether the bytes at this place begin like this. */
export function startsWith(bytes: Buffer, at: number, start: Buffer): boolean {
  for (let i = 0; i < start.length; i++) if (bytes[at + i] !== start[i]) return false;
  return true;
}

/** What `findHeaders` says instead of a number. */
export const [unusual, partial] = [-1, -2];

/**
 * Finds the headers up to the empty line and fills `offsets`.
 * @returns their number, which may be 0; `unusual`; or `partial`: plain so far, but not complete
 */
export function findHeaders(bytes: Buffer, start: number): number {
  const end = Math.min(bytes.length, headMaxBytes);
  let at = start;
  for (let count = 0; count <= headersMax; count++) {
    if (bytes[at] === carriageReturn) {
      if (bytes[at + 1] !== lineFeed || at + 2 > end) return stoppedAt(at + 1, bytes);
      offsets[headersMax * 4] = at + 2;
      return count;
    }
    if (count === headersMax) return unusual;
    const nameStart = at;
    while (inName[bytes[at] ?? 0] === 1) at += 1;
    const nameEnd = at;
    if (nameEnd === nameStart || bytes[at] !== colon) return stoppedAt(at, bytes);
    at += 1;
    while (bytes[at] === space || bytes[at] === tab) at += 1;
    const valueStart = at;
    let byte = bytes[at] ?? 0;
    while (isTabOrText(byte)) {
      at += 1;
      byte = bytes[at] ?? 0;
    }
    if (byte !== carriageReturn || at >= end) return stoppedAt(at, bytes);
    if (bytes[at + 1] !== lineFeed) return stoppedAt(at + 1, bytes);
    let valueEnd = at;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === space || bytes[valueEnd - 1] === tab))
      valueEnd -= 1;
    offsets[count * 4] = nameStart;
    offsets[count * 4 + 1] = nameEnd;
    offsets[count * 4 + 2] = valueStart;
    offsets[count * 4 + 3] = valueEnd;
    at += 2;
  }
  return unusual;
}

/** What a head is whose bytes are as they must be up to this place. */
export const stoppedAt = (at: number, bytes: Buffer): number =>
  at >= bytes.length && bytes.length < headMaxBytes ? partial : unusual;

/** Names of headers, one per place: whoever sends heads writes their headers in the same order each time. */
export class NameMemory<Name extends { readonly written: string }> {
  readonly #names: Name[] = [];
  readonly #make: (written: string) => Name;

  /** @param make what to keep of a name as it was written */
  constructor(make: (written: string) => Name) {
    this.#make = make;
  }

  /** The name of a header of the head found last. @param text the head */
  at(i: number, bytes: Buffer, text: string): Name {
    const start = offsets[i * 4] as number;
    const end = offsets[i * 4 + 1] as number;
    let known = this.#names[i];
    if (known?.written.length !== end - start || !text.startsWith(known.written, start)) {
      known = this.#make(bytes.toString('latin1', start, end));
      this.#names[i] = known;
    }
    return known;
  }
}
