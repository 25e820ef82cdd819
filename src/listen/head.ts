/**
 * Reads the head of a plain request, which is what nearly every client sends. It accepts less than HTTP/1.1 allows
 * (RFC 9112), and nothing that Node's parser would refuse: anything unusual is left to that parser.
 */
import type { IncomingHttpHeaders } from 'node:http';
import {
  findHeaders,
  headersMax,
  letters,
  NameMemory,
  offsets,
  startsWith,
  tableOf,
} from '../base/http-head.ts';
import type { Head } from './endpoints.ts';

/** A head, and where its body is in the bytes read. */
export interface PlainHead extends Head {
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** The client sends no further request on this connection. */
  readonly last: boolean;
}

/** Longer URLs are not kept after their request. */
const rememberedMax = 256;
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

/** Reads the heads of one connection. */
export class HeadReader {
  readonly #names = new NameMemory<Name>(nameOf);
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
      const valueStart = offsets[i * 4 + 2] as number;
      const valueEnd = offsets[i * 4 + 3] as number;
      const known = this.#names.at(i, bytes, text);
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

/** Length of the body in bytes; -1: the request isn't plain. */
function plainLength({ host, 'content-length': length }: IncomingHttpHeaders): number {
  return host !== undefined && length !== undefined && /^\d{1,9}$/.test(length) ? Number(length) : -1;
}
