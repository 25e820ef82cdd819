/** Writes replies to the client: whole ones at once, streams at the speed the client reads. */
import type { Reply, StreamReply } from '../exchange/reply.ts';

/** Patience with a client, ms. */
export interface ClientTimes {
  /** Silence after which a stream gets a comment. */
  readonly keepAliveMs: number;
  /** Time without a read after which a client is given up. */
  readonly clientTimeoutMs: number;
}

/** Where a reply is written: one of Node's, or of a connection that is read without Node's HTTP server. */
export interface Outlet {
  readonly destroyed: boolean;
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  /** Throws where a header can't be written. */
  writeHead(status: number, headers: string[]): unknown;
  flushHeaders(): void;
  /** False: the client has to read on first. */
  write(chunk: Buffer): boolean;
  end(): unknown;
  /** Calls back when the client has read nothing for so long. */
  setTimeout(timeoutMs: number, onTimeout: () => void): unknown;
  destroy(): unknown;
  on(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
}

/** One that writes a whole reply by itself. */
export interface WholeOutlet extends Outlet {
  /** Throws where a header can't be written. */
  sendWhole(status: number, headers: readonly string[], body: Buffer): void;
}

/** One of Node's. */
export interface NodeOutlet extends Outlet {
  end(): unknown;
  /** @param text a whole body's bytes, a character each */
  end(text: string, encoding: 'latin1'): unknown;
}

/** Bodies up to here are sent together with their head, which copies them. */
export const joinMaxBytes = 64 * 1024;

/** Writes a reply to its end. A stream is read to its end even when nobody listens, since its end settles it. */
export function respond(
  reply: Reply,
  res: NodeOutlet | WholeOutlet,
  times: ClientTimes,
): Promise<void> | void {
  if (reply.kind === 'stream') return respondStream(reply, res, times);
  if (res.destroyed) return;
  const { status, headers, body } = reply;
  if ('sendWhole' in res) res.sendWhole(status, headers, body);
  else {
    res.writeHead(status, [...headers, 'content-length', String(body.length)]);
    // A string is joined to the head, and both go in one write; Latin-1 keeps every byte what it is.
    if (body.length <= joinMaxBytes) res.end(body.toString('latin1'), 'latin1');
    else {
      res.write(body);
      res.end();
    }
  }
  awaitClient(res, times);
}

/** What the network doesn't take of an ended reply waits for the client, but not without end. */
function awaitClient(res: Outlet, { clientTimeoutMs }: ClientTimes): void {
  if (res.writableLength > 0) res.setTimeout(clientTimeoutMs, () => res.destroy());
}

async function respondStream(reply: StreamReply, res: Outlet, times: ClientTimes): Promise<void> {
  if (!res.destroyed) {
    try {
      res.writeHead(reply.status, [...reply.headers]);
      res.flushHeaders();
    } catch {
      // A head that Node refuses to write. The stream still has to come to its end, which settles it.
      res.destroy();
    }
  }
  const silence = Buffer.from(reply.keepAlive);
  const keepAlive = setInterval(() => {
    if (silence.length > 0 && !res.destroyed && !res.writableNeedDrain) res.write(silence);
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
    else if (!res.destroyed) {
      res.end();
      awaitClient(res, times);
    }
  }
}

/** The client has read on, or is gone; one that reads nothing for `timeoutMs` is let go. */
function drained(res: Outlet, timeoutMs: number): Promise<void> {
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
