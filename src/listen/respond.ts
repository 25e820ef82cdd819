/** Writes replies to the client: whole replies at once, streams at the speed the client reads. */
import type { HttpReply, StreamReply } from '../exchange/reply.ts';
import { isBodyless } from './reply-head.ts';

/** Timeouts for a client, ms. */
export interface ClientTimes {
  /** Silence on a stream after which a comment is sent. */
  readonly keepAliveMs: number;
  /** Time without a read after which a client is disconnected. */
  readonly clientTimeoutMs: number;
}

/** Where a reply is written: a response of Node's HTTP server, or a reply of the lane. */
export interface Outlet {
  readonly destroyed: boolean;
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  /** Throws if a header can't be written. */
  writeHead(status: number, headers: string[]): unknown;
  flushHeaders(): void;
  /** False: wait for `drain` before writing more. */
  write(chunk: Buffer): boolean;
  end(): unknown;
  /** Calls back when the client has read nothing for `timeoutMs`. */
  setTimeout(timeoutMs: number, onTimeout: () => void): unknown;
  destroy(): unknown;
  on(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
}

/** An outlet that writes a whole reply in one call. */
export interface WholeOutlet extends Outlet {
  /** Throws if a header can't be written. */
  sendWhole(status: number, headers: readonly string[], body: Buffer): void;
}

/** A response of Node's HTTP server. */
export interface NodeOutlet extends Outlet {
  end(): unknown;
  /** @param text the body's bytes, one character each */
  end(text: string, encoding: 'latin1'): unknown;
}

/** Bodies up to this size are copied, to be sent in one write with their head. */
export const joinMaxBytes = 64 * 1024;

/** Writes a reply. A stream is read to its end even after the client is gone, since its end settles the request. */
export function respond(
  reply: HttpReply,
  res: NodeOutlet | WholeOutlet,
  times: ClientTimes,
): Promise<void> | void {
  if (reply.kind === 'stream') return respondStream(reply, res, times);
  if (res.destroyed) return;
  const { status, headers, body } = reply;
  if ('sendWhole' in res) res.sendWhole(status, headers, body);
  else {
    const length = isBodyless(status) ? [] : ['content-length', String(body.length)];
    res.writeHead(status, [...headers, ...length]);
    // Node sends a string and the head in one write; Latin-1 preserves every byte.
    if (body.length <= joinMaxBytes) res.end(body.toString('latin1'), 'latin1');
    else {
      res.write(body);
      res.end();
    }
  }
  awaitClient(res, times);
}

/** Limits how long the unsent rest of a finished reply waits for the client. */
function awaitClient(res: Outlet, { clientTimeoutMs }: ClientTimes): void {
  if (res.writableLength > 0) res.setTimeout(clientTimeoutMs, () => res.destroy());
}

function respondStream({ chunks, ...reply }: StreamReply, res: Outlet, times: ClientTimes): Promise<void> {
  if (!res.destroyed) {
    try {
      res.writeHead(reply.status, [...reply.headers]);
    } catch {
      // Node refuses to write this head. The stream must still be read to its end, which settles the request.
      res.destroy();
    }
  }
  const silence = Buffer.from(reply.keepAlive);
  // Counted in quarters, so that no event has to move a timer.
  let quietQuarters = 0;
  const keepAlive = setInterval(() => {
    quietQuarters += 1;
    if (quietQuarters < 4) return;
    quietQuarters = 0;
    if (silence.length > 0 && !res.destroyed && !res.writableNeedDrain) res.write(silence);
  }, times.keepAliveMs / 4);
  return new Promise((resolve) => {
    let ended = false;
    const end = (): void => {
      ended = true;
      clearInterval(keepAlive);
      if (chunks.cut) res.destroy();
      else if (!res.destroyed) {
        res.end();
        awaitClient(res, times);
      }
      resolve();
    };
    const take = (chunk: Buffer | null): void => {
      if (chunk === null) return end();
      if (!res.destroyed) {
        quietQuarters = 0;
        if (!res.write(chunk)) return drained(res, times.clientTimeoutMs, ask);
      }
      ask();
    };
    const ask = (): void => chunks.next(take);
    ask();
    // A first chunk that is here goes out with the head.
    if (!ended && !res.destroyed) res.flushHeaders();
  });
}

/** Calls back when the client has read, or is gone. Disconnects a client that reads nothing for `timeoutMs`. */
function drained(res: Outlet, timeoutMs: number, then: () => void): void {
  const timer = setTimeout(() => res.destroy(), timeoutMs);
  const done = (): void => {
    clearTimeout(timer);
    res.off('drain', done);
    res.off('close', done);
    then();
  };
  res.on('drain', done);
  res.on('close', done);
}
