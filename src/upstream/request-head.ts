/** Writes the heads of requests to providers (RFC 9112, section 3), as undici writes them. */

/** What is sent to a provider; `headers` are flat, and their names in lowercase. */
export interface UpstreamSend {
  readonly path: string;
  readonly method: string;
  readonly headers: readonly string[];
  readonly body: Buffer | null;
}

/** Headers that say how a message is framed or how its connection is used. */
const framing = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);
/** Methods with a body, if only an empty one; and those that have none. */
const withBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
const withoutBody: ReadonlySet<string> = new Set(['GET', 'DELETE']);

const isPath = /^\/[\x21-\x7e\x80-\xff]*$/;
const isName = /^[a-z\d_!#$%&'*+.^`|~-]+$/;
const isValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The head of a request up to the empty line.
 * @param host and port, as the header has them
 * @returns null: something about it is unusual or invalid
 */
export function requestHead(host: string, { method, path, headers, body }: UpstreamSend): string | null {
  const sends = withBody.has(method);
  if (!sends && (body !== null || !withoutBody.has(method))) return null;
  if (!isPath.test(path)) return null;
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (framing.has(name) || !isName.test(name) || !isValue.test(value)) return null;
    head += `${name}: ${value}\r\n`;
  }
  return sends ? `${head}content-length: ${body?.length ?? 0}\r\n\r\n` : `${head}\r\n`;
}
