/**
 * Reads the head of a plain request, which is what nearly every client sends. It accepts less than HTTP/1.1 allows
 * (RFC 9112), and nothing that Node's parser would refuse: anything unusual is left to that parser.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Head } from './endpoints.ts';
import { headersMaxBytes } from './unread.ts';

/** A head, and where its body is in the bytes read. */
export interface PlainHead extends Head {
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** The client sends no further request on this connection. */
  readonly last: boolean;
}

/** A request with more headers is unusual. */
const headersMax = 64;
/** Longer URLs are not kept after their request. */
const rememberedMax = 256;
const [tab, lineFeed, carriageReturn, space, colon] = [9, 10, 13, 32, 58];
const lower = 'abcdefghijklmnopqrstuvwxyz';
const letters = `${lower}${lower.toUpperCase()}0123456789`;

const tableOf = (characters: string): Uint8Array => {
  const table = new Uint8Array(256);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
};
/** Characters of a header's name (RFC 9110, section 5.6.2). */
const inName = tableOf(`${letters}!#$%&'*+-.^_\`|~`);
/** Characters that paths and queries commonly consist of. */
const inUrl = tableOf(`${letters}-._~:/?@!$&'()*+,;=%`);

const method = Buffer.from('POST ');
const version = Buffer.from(' HTTP/1.1\r\n');

/** Headers that change how a request is read, or that Node turns into a list. */
const unusual = new Set([
  'expect',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Headers whose values nobody keeps after the request: they may be sliced from the head without a copy. */
const transient =
  /^(connection|content-(type|length)|accept(-.*)?|user-agent|authorization|x-api-key|x-stainless-.*)$/;

/** A header's name, as written by the client and in lowercase. */
interface Name {
  readonly written: string;
  readonly name: string;
  readonly transient: boolean;
}

/** Start and end of each header's name and value; the last element is where the body begins. */
const offsets = new Int32Array(headersMax * 4 + 1);

const startsWith = (bytes: Buffer, at: number, start: Buffer): boolean => {
  for (let i = 0; i < start.length; i++) if (bytes[at + i] !== start[i]) return false;
  return true;
};

/** Reads the heads of one connection. A client writes its headers in the same order each time, so names are kept. */
export class HeadReader {
  readonly #names: Name[] = [];
  /** The last URL, if it is short and has no query (which may hold a key). Reused because its hash is already known. */
  #url = '';

  /** Null: the bytes don't begin with the complete head of a plain request. */
  read(bytes: Buffer): PlainHead | null {
    if (!startsWith(bytes, 0, method)) return null;
    const urlStart = method.length;
    if (bytes[urlStart] !== 0x2f) return null;
    let at = urlStart;
    while (inUrl[bytes[at] ?? 0] === 1) at += 1;
    const urlEnd = at;
    if (!startsWith(bytes, at, version)) return null;
    const start = at + version.length;
    const count = findHeaders(bytes, start);
    if (count <= 0) return null;
    const bodyStart = offsets[headersMax * 4] as number;
    const text = bytes.toString('latin1', 0, bodyStart);
    let url = this.#url;
    if (url.length !== urlEnd - urlStart || !text.startsWith(url, urlStart)) {
      // A copy, as below: the model in a path is kept after the request.
      url = bytes.toString('latin1', urlStart, urlEnd);
      this.#url = url.length <= rememberedMax && !url.includes('?') ? url : '';
    }
    const headers = this.#headers(bytes, text, count);
    if (headers === null) return null;
    const bodyBytes = plainLength(headers);
    const connection = headers.connection?.toLowerCase() ?? 'keep-alive';
    if (bodyBytes < 0 || (connection !== 'keep-alive' && connection !== 'close')) return null;
    return {
      method: 'POST',
      url,
      headers,
      fault: null,
      bodyStart,
      bodyEnd: bodyStart + bodyBytes,
      last: connection === 'close',
    };
  }

  /** Null: one of them is unusual, or occurs twice. */
  #headers(bytes: Buffer, text: string, count: number): IncomingHttpHeaders | null {
    const headers: IncomingHttpHeaders = {};
    for (let i = 0; i < count; i++) {
      const nameStart = offsets[i * 4] as number;
      const nameEnd = offsets[i * 4 + 1] as number;
      const valueStart = offsets[i * 4 + 2] as number;
      const valueEnd = offsets[i * 4 + 3] as number;
      let known = this.#names[i];
      if (known?.written.length !== nameEnd - nameStart || !text.startsWith(known.written, nameStart)) {
        known = nameOf(bytes.toString('latin1', nameStart, nameEnd));
        this.#names[i] = known;
      }
      const { name } = known;
      // A header named like an inherited property (`constructor`) is unusual too.
      if (headers[name] !== undefined || unusual.has(name)) return null;
      // A slice would keep the whole head in memory, credential included, as long as the value is kept.
      headers[name] = known.transient
        ? text.slice(valueStart, valueEnd)
        : bytes.toString('latin1', valueStart, valueEnd);
    }
    return headers;
  }
}

function nameOf(written: string): Name {
  const name = written.toLowerCase();
  return { written, name, transient: transient.test(name) };
}

/** Finds the headers up to the empty line and fills `offsets`. Returns their number; 0: they can't be read here. */
function findHeaders(bytes: Buffer, start: number): number {
  const end = Math.min(bytes.length, headersMaxBytes);
  let at = start;
  for (let count = 0; count <= headersMax; count++) {
    if (bytes[at] === carriageReturn) {
      offsets[headersMax * 4] = at + 2;
      return bytes[at + 1] === lineFeed && at + 2 <= end ? count : 0;
    }
    if (count === headersMax) return 0;
    const nameStart = at;
    while (inName[bytes[at] ?? 0] === 1) at += 1;
    const nameEnd = at;
    if (nameEnd === nameStart || bytes[at] !== colon) return 0;
    at += 1;
    while (bytes[at] === space || bytes[at] === tab) at += 1;
    const valueStart = at;
    let byte = bytes[at] ?? 0;
    while ((byte >= 0x20 && byte < 0x7f) || byte === tab) {
      at += 1;
      byte = bytes[at] ?? 0;
    }
    if (byte !== carriageReturn || bytes[at + 1] !== lineFeed || at >= end) return 0;
    let valueEnd = at;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === space || bytes[valueEnd - 1] === tab))
      valueEnd -= 1;
    offsets[count * 4] = nameStart;
    offsets[count * 4 + 1] = nameEnd;
    offsets[count * 4 + 2] = valueStart;
    offsets[count * 4 + 3] = valueEnd;
    at += 2;
  }
  return 0;
}

/** Length of the body in bytes; -1: the request isn't plain. */
function plainLength({ host, 'content-length': length }: IncomingHttpHeaders): number {
  return host !== undefined && length !== undefined && /^\d{1,9}$/.test(length) ? Number(length) : -1;
}
