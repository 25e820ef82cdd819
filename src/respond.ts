/** Writes replies to the client: whole ones at once, streams at the speed the client reads. */
import type { ServerResponse } from 'node:http';
import type { Refusal } from './errors.ts';
import type { Reply, StreamReply, WholeReply } from './exchange.ts';
import { dialects } from './providers/index.ts';
import type { DialectName } from './providers/provider.ts';

/** Patience with a client, ms. */
export interface ClientTimes {
  /** Silence after which a stream gets a comment. */
  readonly keepAliveMs: number;
  /** Time without a read after which a client is given up. */
  readonly clientTimeoutMs: number;
}

/** Bodies up to here are sent together with their head, which copies them. */
const joinMaxBytes = 64 * 1024;

/** Adds a request's id under the name that is always there, and under the one that the dialect's SDKs read. */
export function addRequestId(dialect: DialectName, requestId: string, headers: string[]): void {
  const { requestIdHeader } = dialects[dialect];
  headers.push('x-request-id', requestId);
  if (requestIdHeader !== 'x-request-id') headers.push(requestIdHeader, requestId);
}

/** A refusal in the client's dialect. */
export function refusalReply(refusal: Refusal, dialect: DialectName, requestId: string): WholeReply {
  const headers = ['content-type', 'application/json'];
  addRequestId(dialect, requestId, headers);
  headers.push(...refusal.headers);
  if (refusal.retryAfterMs !== null) {
    const waitMs = Math.max(1, Math.ceil(refusal.retryAfterMs));
    headers.push('retry-after', String(Math.ceil(waitMs / 1000)), 'retry-after-ms', String(waitMs));
  } else if (!refusal.entry.retryable && !refusal.headers.includes('x-should-retry')) {
    headers.push('x-should-retry', 'false');
  }
  return {
    kind: 'whole',
    status: refusal.entry.status,
    headers,
    body: dialects[dialect].errorBody(refusal, requestId),
  };
}

/** Writes a reply to its end. A stream is read to its end even when nobody listens, since its end settles it. */
export function respond(reply: Reply, res: ServerResponse, times: ClientTimes): Promise<void> | void {
  if (reply.kind === 'stream') return respondStream(reply, res, times);
  if (res.destroyed) return;
  const { body } = reply;
  res.writeHead(reply.status, [...reply.headers, 'content-length', String(body.length)]);
  // Node joins a string to the head and sends both in one write; Latin-1 keeps every byte what it is.
  if (body.length <= joinMaxBytes) res.end(body.toString('latin1'), 'latin1');
  else res.end(body);
  // What the network doesn't take at once waits for the client, but not without end.
  if (res.writableLength > 0) res.setTimeout(times.clientTimeoutMs, () => res.destroy());
}

async function respondStream(reply: StreamReply, res: ServerResponse, times: ClientTimes): Promise<void> {
  if (!res.destroyed) {
    try {
      res.writeHead(reply.status, [...reply.headers]);
      res.flushHeaders();
    } catch {
      // A head that Node refuses to write. The stream still has to come to its end, which settles it.
      res.destroy();
    }
  }
  const keepAlive = setInterval(() => {
    if (reply.keepAlive !== '' && !res.destroyed && !res.writableNeedDrain) res.write(reply.keepAlive);
  }, times.keepAliveMs);
  try {
    for await (const chunk of reply.chunks) {
      if (res.destroyed) continue;
      keepAlive.refresh();
      if (!res.write(chunk)) await drained(res, times.clientTimeoutMs);
    }
  } finally {
    clearInterval(keepAlive);
    if (reply.isCut?.() === true) res.destroy();
    else if (!res.destroyed) res.end();
  }
}

/** The client has read on, or is gone; one that reads nothing for `timeoutMs` is let go. */
function drained(res: ServerResponse, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => res.destroy(), timeoutMs);
    const done = (): void => {
      clearTimeout(timer);
      res.off('drain', done);
      res.off('close', done);
      resolve();
    };
    res.on('drain', done);
    res.on('close', done);
  });
}
