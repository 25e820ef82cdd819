/** Answers clients whose request can't be read completely: it is too large, too slow, or not HTTP. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Refusal } from '../base/errors.ts';
import { headMaxBytes } from '../base/http-head.ts';
import { refusalReply } from '../dialects/refusal.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { WholeReply } from '../exchange/reply.ts';

/** A refused client's data is discarded until it has been silent for this long, … */
const lingerMs = 1000;
/** … but at most for this time and up to this many bytes. Then its connection is closed. */
const lingerMaxMs = 30_000;
const lingerMaxBytes = 64 * 1024 * 1024;

/** Whether part of the body may still be on its way. */
export const isSending = (req: IncomingMessage): boolean =>
  !req.complete &&
  (req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0);

/** Largest body that is read to its end, and discarded, so that its connection can be kept. */
const discardedMaxBytes = 64 * 1024;

/** Whether the rest of a request's body is on its way and short: the connection can be kept after an early reply. */
export const sendsOn = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] === undefined &&
  headers.expect === undefined &&
  Number(headers['content-length'] ?? 0) <= discardedMaxBytes;

/**
 * Answers while the client is still sending, then closes. Closing at once would reset the connection, and most clients
 * would never see the answer.
 */
export function answerSender(reply: WholeReply, req: IncomingMessage, res: ServerResponse): void {
  const length = String(reply.body.length);
  res.writeHead(reply.status, [...reply.headers, 'content-length', length, 'connection', 'close']);
  res.write(reply.body);
  // A client that waits for `100 Continue` hasn't sent its body.
  if (req.complete || req.headers.expect !== undefined) return void res.end();
  let bytes = 0;
  const silence = setTimeout(() => res.end(), lingerMs);
  const longest = setTimeout(() => res.end(), lingerMaxMs);
  res.once('close', () => {
    clearTimeout(silence);
    clearTimeout(longest);
  });
  req.on('end', () => res.end());
  req.on('data', (chunk: Buffer) => {
    silence.refresh();
    bytes += chunk.length;
    if (bytes > lingerMaxBytes) res.end();
  });
}

const brokenHttp: Readonly<Record<string, Refusal>> = {
  ERR_HTTP_REQUEST_TIMEOUT: new Refusal('body_timeout', 'The request did not arrive in time.'),
  HPE_HEADER_OVERFLOW: new Refusal('headers_too_large', `The headers are larger than ${headMaxBytes} bytes.`),
};
const notHttp = new Refusal('invalid_header', 'The request is not valid HTTP/1.1.');

/**
 * Answers bytes that Node's parser refuses. Returns the refusal; null: the client is gone, or a reply is being sent.
 * @param last the reply to the connection's last request
 */
export function answerBrokenHttp(
  error: Error & { code?: string },
  socket: Duplex,
  last: ServerResponse | undefined,
  dialect: DialectName,
  id: string,
): Refusal | null {
  // No second reply may begin inside a reply, or after one that was sent before its request was complete.
  const replied = last?.headersSent === true && !(last.writableFinished && last.req.complete);
  if (!socket.writable || error.code === 'ECONNRESET' || replied) {
    socket.destroy();
    return null;
  }
  const refusal = brokenHttp[error.code ?? ''] ?? notHttp;
  const reply = refusalReply(refusal, dialect, id);
  let head = `HTTP/1.1 ${reply.status} Refused\r\nconnection: close\r\ncontent-length: ${reply.body.length}\r\n`;
  for (let i = 0; i + 1 < reply.headers.length; i += 2)
    head += `${reply.headers[i]}: ${reply.headers[i + 1]}\r\n`;
  socket.end(`${head}\r\n${reply.body.toString()}`);
  // Don't wait for a client that keeps its side open.
  setTimeout(() => socket.destroy(), lingerMs).unref();
  return refusal;
}
