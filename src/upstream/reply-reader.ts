/**
 * Reads the replies of one HTTP/1.1 connection (RFC 9112). Plain ones only, which is what nearly every provider sends:
 * it accepts less than HTTP/1.1 allows, and nothing that undici would refuse. Any other reply is left to undici.
 */
import type { IncomingHttpHeaders } from 'node:http';
import {
  findHeaders,
  headersMax,
  isTabOrText,
  isTokenByte,
  NameMemory,
  offsets,
  partial,
  startsWith,
  stoppedAt,
  unusual,
} from '../base/http-head.ts';

/** Takes what a reply consists of. */
export interface ReplySink {
  onHead(status: number, headers: IncomingHttpHeaders): void;
  /** Bytes of the body, which are the receiver's own; of several chunks one after the other. */
  onBody(bytes: Buffer): void;
}

/**
 * What a read brought: `more` is to come, the reply has `ended`, its head is `unusual`, or its body is `malformed`. An
 * unusual reply must be read by something else, from the bytes that `held` has.
 */
export type ReadOutcome = 'more' | 'ended' | 'unusual' | 'malformed';

const start = Buffer.from('HTTP/1.1 ');
const none = Buffer.alloc(0);
const [lineFeed, carriageReturn, space, semicolon, colon, zero, nine] = [10, 13, 32, 59, 58, 48, 57];
const [quote, backslash, equals] = [34, 92, 61];
/** Value of each hexadecimal digit plus one; 0: it is none. */
const hexDigit = new Uint8Array(256);
for (let i = 0; i < 16; i++) {
  const digit = i.toString(16);
  hexDigit[digit.charCodeAt(0)] = i + 1;
  hexDigit[digit.toUpperCase().charCodeAt(0)] = i + 1;
}
/** Digits of a chunk's size, which stays exact. */
const sizeDigitsMax = 13;
/** Bytes of one chunk's extensions, and of all trailers with those of the last chunk. */
const asideMaxBytes = 16 * 1024;
/** A head that comes in more pieces is unusual, since each piece is a reason to read all of it again. */
const piecesMax = 8;
/** How long a connection may be idle if its provider doesn't say, and the longest that it can ask for. */
const keptMs = 30_000;
const keptMaxMs = 600_000;
/** A provider closes the connection when it said: a request on its way at that moment would be lost. */
const marginMs = 2000;

/** What the next byte belongs to. Those of a body of chunks come from `size` on. */
const [head, fixed, untilClosed, size, sizeEnd, chunk, chunkEnd, chunkEndLine] = [0, 1, 2, 3, 4, 5, 6, 7];
const [trailer, trailerName, trailerValue, trailerEnd, lastEnd] = [8, 9, 10, 11, 12];
/** A chunk's extension (RFC 9112, section 7.1.1). */
const [extension, extensionName, extensionValue, quoted, escaped, quotedEnd] = [13, 14, 15, 16, 17, 18];

/** A header's name, as it was written and in lowercase. */
interface Name {
  readonly written: string;
  readonly name: string;
  /** It says where the reply ends, or what becomes of the connection. */
  readonly frames: boolean;
}

const framing = /^(?:content-length|transfer-encoding|connection|keep-alive)$/;

function nameOf(written: string): Name {
  const name = written.toLowerCase();
  return { written, name, frames: framing.test(name) };
}

/** Reads replies, one after the other. */
export class ReplyReader {
  /** How long the connection may be kept after the reply that has ended, in ms; 0: it may not. */
  keptMs = keptMs;
  /** Bytes of a head that isn't complete, or that is unusual. */
  held: Buffer = none;
  #pieces = 0;
  readonly #names = new NameMemory<Name>(nameOf);
  #state = head;
  /** Bytes of the body or the chunk that are to come. */
  #left = 0;
  #digits = 0;
  #asideBytes = 0;

  /** Prepares for the reply to the next request. */
  begin(): void {
    this.#state = head;
    this.held = none;
    this.#pieces = 0;
    this.#asideBytes = 0;
  }

  /** @param bytes may be overwritten afterwards */
  read(bytes: Buffer, sink: ReplySink): ReadOutcome {
    if (this.#state !== head) return this.#body(bytes, 0, sink);
    const all = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes]);
    const at = this.#heads(all, sink);
    if (at >= 0) {
      this.held = none;
      return this.#body(all, at, sink);
    }
    this.#pieces += 1;
    const left = at === unusual || this.#pieces === piecesMax;
    this.held = all === bytes ? Buffer.from(bytes) : all;
    return left ? 'unusual' : 'more';
  }

  /** The provider closed the connection: whether that ended the reply. */
  get endsByClosing(): boolean {
    return this.#state === untilClosed;
  }

  /** Where the body begins; or `unusual`, `partial`. Interim replies (RFC 9110, section 15.2) are passed over. */
  #heads(bytes: Buffer, sink: ReplySink): number {
    let at = 0;
    for (;;) {
      const status = statusAt(bytes, at);
      if (status < 0) return status;
      const line = lineEnd(bytes, at + start.length + 3);
      if (line < 0) return line;
      const count = findHeaders(bytes, line);
      if (count < 0) return count;
      const end = offsets[headersMax * 4] as number;
      if (status === 101) return unusual;
      if (status >= 200) {
        const headers = this.#headers(bytes, count, end);
        if (headers === null || !this.#frame(status, headers)) return unusual;
        sink.onHead(status, headers);
        return end;
      }
      at = end;
    }
  }

  /** Null: one of them is unusual. */
  #headers(bytes: Buffer, count: number, bodyStart: number): IncomingHttpHeaders | null {
    const text = bytes.toString('latin1', 0, bodyStart);
    const headers: Record<string, string | string[]> = {};
    for (let i = 0; i < count; i++) {
      const { name, frames } = this.#names.at(i, bytes, text);
      const end = offsets[i * 4 + 3] as number;
      // With white space behind it, it is read in different ways.
      if (frames && bytes[end] !== carriageReturn) return null;
      const value = text.slice(offsets[i * 4 + 2], end);
      const before = headers[name];
      if (before === undefined) headers[name] = value;
      else if (typeof before === 'string') headers[name] = [before, value];
      // A header may be named like an inherited property.
      else if (Object.hasOwn(headers, name)) before.push(value);
      else return null;
    }
    return headers;
  }

  /** How the body is framed and how long the connection lives; false: that is unusual. */
  #frame(status: number, headers: IncomingHttpHeaders): boolean {
    const length: unknown = headers['content-length'];
    const coding: unknown = headers['transfer-encoding'];
    const connection: unknown = headers.connection;
    const closes = connection === 'close' || connection === 'Close';
    if (!closes && connection !== undefined && !isKeepAlive(connection)) return false;
    const kept: unknown = headers['keep-alive'];
    this.keptMs = closes ? 0 : kept === undefined ? keptMs : keptFor(kept);
    const bodyless = status === 204 || status === 304;
    if (coding !== undefined) {
      this.#state = size;
      this.#digits = 0;
      this.#left = 0;
      return coding === 'chunked' && length === undefined && !bodyless;
    }
    if (length === undefined) {
      this.#left = 0;
      this.#state = bodyless ? fixed : untilClosed;
      if (!bodyless) this.keptMs = 0;
      return true;
    }
    if (typeof length !== 'string' || !/^\d{1,15}$/.test(length)) return false;
    this.#left = Number(length);
    this.#state = fixed;
    return !bodyless || this.#left === 0;
  }

  #body(bytes: Buffer, at: number, sink: ReplySink): ReadOutcome {
    if (this.#state >= size) return this.#chunks(bytes, at, sink);
    const to = this.#state === untilClosed ? bytes.length : Math.min(bytes.length, at + this.#left);
    if (to > at) sink.onBody(copied(bytes, at, to));
    if (this.#state === untilClosed) return 'more';
    this.#left -= to - at;
    if (this.#left > 0) return 'more';
    return this.#ended(bytes, to);
  }

  /** What follows a reply belongs to none: the connection can't be used again. */
  #ended(bytes: Buffer, at: number): ReadOutcome {
    if (at < bytes.length) this.keptMs = 0;
    return 'ended';
  }

  #chunks(bytes: Buffer, from: number, sink: ReplySink): ReadOutcome {
    let at = from;
    while (at < bytes.length) {
      if (this.#state === chunk) {
        const to = Math.min(bytes.length, at + this.#left);
        sink.onBody(copied(bytes, at, to));
        this.#left -= to - at;
        at = to;
        if (this.#left === 0) this.#state = chunkEnd;
        continue;
      }
      const state = this.#step(bytes[at] as number);
      at += 1;
      if (state < 0) return 'malformed';
      this.#state = state;
      if (state === head) return this.#ended(bytes, at);
    }
    return 'more';
  }

  /** What follows this byte, of what lies between chunks or after them; -1: it must not be there. */
  #step(byte: number): number {
    switch (this.#state) {
      case size: {
        const digit = hexDigit[byte] as number;
        if (digit > 0) {
          this.#digits += 1;
          this.#left = this.#left * 16 + digit - 1;
          return this.#digits > sizeDigitsMax ? -1 : size;
        }
        return this.#digits === 0 ? -1 : afterSize(byte);
      }
      case sizeEnd:
        if (byte !== lineFeed) return -1;
        this.#digits = 0;
        if (this.#left === 0) return trailer;
        this.#asideBytes = 0;
        return chunk;
      case chunkEnd:
        return byte === carriageReturn ? chunkEndLine : -1;
      case chunkEndLine:
        return byte === lineFeed ? size : -1;
      case trailer:
        return byte === carriageReturn ? lastEnd : this.#aside(isTokenByte(byte), trailerName);
      case trailerName:
        return byte === colon ? trailerValue : this.#aside(isTokenByte(byte), trailerName);
      case trailerValue:
        return byte === carriageReturn ? trailerEnd : this.#aside(isText(byte), trailerValue);
      case trailerEnd:
        return byte === lineFeed ? trailer : -1;
      case lastEnd:
        return byte === lineFeed ? head : -1;
      default:
        return this.#extension(byte);
    }
  }

  #extension(byte: number): number {
    switch (this.#state) {
      case extension:
        return byte === space || byte === carriageReturn ? -1 : this.#extensionName(byte);
      case extensionName:
        return this.#extensionName(byte);
      case extensionValue:
        if (byte === quote) return this.#aside(true, quoted);
        return isTokenByte(byte) ? this.#aside(true, extensionValue) : afterSize(byte);
      case quoted:
        if (byte === quote) return quotedEnd;
        return this.#aside(isText(byte), byte === backslash ? escaped : quoted);
      case escaped:
        return this.#aside(isText(byte), quoted);
      default:
        return afterSize(byte);
    }
  }

  #extensionName(byte: number): number {
    if (byte === equals) return this.#aside(true, extensionValue);
    return isTokenByte(byte) ? this.#aside(true, extensionName) : afterSize(byte);
  }

  #aside(allowed: boolean, state: number): number {
    this.#asideBytes += 1;
    return allowed && this.#asideBytes <= asideMaxBytes ? state : -1;
  }
}

/** What follows a chunk's size, or an extension of it. */
const afterSize = (byte: number): number =>
  byte === carriageReturn ? sizeEnd : byte === semicolon ? extension : -1;

const isText = (byte: number): boolean => isTabOrText(byte) || byte >= 0x80;

/** The status of the reply that begins here; `unusual` or `partial`: none can be read. */
function statusAt(bytes: Buffer, at: number): number {
  const end = at + start.length;
  if (!startsWith(bytes, at, start)) {
    const come = bytes.subarray(at, end);
    return come.length < start.length && start.subarray(0, come.length).equals(come) ? partial : unusual;
  }
  let status = 0;
  for (let i = end; i < end + 3; i++) {
    const byte = bytes[i] ?? 0;
    if (byte < zero || byte > nine) return stoppedAt(i, bytes);
    status = status * 10 + byte - zero;
  }
  return status < 100 ? unusual : status;
}

/** Where the line ends after the status, its line feed included; `unusual` or `partial`. */
function lineEnd(bytes: Buffer, from: number): number {
  let at = from;
  if (bytes[at] === space) while (isTabOrText(bytes[at] ?? 0)) at += 1;
  if (bytes[at] !== carriageReturn) return stoppedAt(at, bytes);
  return bytes[at + 1] === lineFeed ? at + 2 : stoppedAt(at + 1, bytes);
}

const isKeepAlive = (connection: unknown): boolean =>
  typeof connection === 'string' && connection.toLowerCase() === 'keep-alive';

/** @param kept value of the header `keep-alive`, which has the provider's own time in seconds */
function keptFor(kept: unknown): number {
  const seconds = typeof kept === 'string' ? /timeout=(\d{1,9})/.exec(kept)?.[1] : undefined;
  return seconds === undefined ? keptMs : Math.max(0, Math.min(Number(seconds) * 1000 - marginMs, keptMaxMs));
}

/** A copy, since what was read may be overwritten. */
function copied(bytes: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.allocUnsafe(to - from);
  bytes.copy(copy, 0, from, to);
  return copy;
}
