/** Reads the replies on a connection strictly as RFC 9112 frames them, and says so if anything else is there. */

/** One reply, final or interim. */
export interface RawReply {
  readonly status: number;
  /** Names in lowercase; values of the same name are joined. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What was received on a connection. */
export interface RawReplies {
  readonly replies: readonly RawReply[];
  /** Bytes behind the last whole reply: a reply that is cut off, or no reply at all. */
  readonly rest: string;
}

const headPattern = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[!#$%&'*+.^_`|~\w-]+:[^\r\n]*\r\n)*)\r\n/;

/** Reads everything that a server sent. @param text its bytes, one character each */
export function readReplies(text: string): RawReplies {
  const replies: RawReply[] = [];
  let rest = text;
  for (;;) {
    const head = headPattern.exec(rest);
    if (head === null) return { replies, rest };
    const status = Number(head[1]);
    const headers: Record<string, string> = {};
    for (const line of (head[2] ?? '').split('\r\n').slice(0, -1)) {
      const key = line.slice(0, line.indexOf(':')).toLowerCase();
      const value = line.slice(key.length + 1).trim();
      headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
    }
    const body = bodyOf(rest.slice(head[0].length), status, headers);
    if (body === null) return { replies, rest };
    replies.push({ status, headers, body: body.text });
    rest = rest.slice(head[0].length + body.length);
  }
}

/** The body at the start of a text, and how long it is there; null: it isn't complete. */
function bodyOf(
  text: string,
  status: number,
  headers: Readonly<Record<string, string>>,
): { readonly text: string; readonly length: number } | null {
  if (status < 200 || status === 204 || status === 304) return { text: '', length: 0 };
  if (headers['transfer-encoding'] === 'chunked') return chunksOf(text);
  const length = Number(headers['content-length'] ?? Number.NaN);
  return Number.isInteger(length) && text.length >= length ? { text: text.slice(0, length), length } : null;
}

function chunksOf(text: string): { readonly text: string; readonly length: number } | null {
  let body = '';
  for (let at = 0; ; ) {
    const size = /^([0-9a-f]+)\r\n/i.exec(text.slice(at, at + 32));
    if (size === null) return null;
    const bytes = Number.parseInt(size[1] ?? '', 16);
    at += size[0].length;
    if (text.length < at + bytes + 2) return null;
    if (text.slice(at + bytes, at + bytes + 2) !== '\r\n') return null;
    body += text.slice(at, at + bytes);
    at += bytes + 2;
    if (bytes === 0) return { text: body, length: at };
  }
}
