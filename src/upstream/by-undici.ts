/**
 * What undici does: HTTP/2, requests and replies that are unusual. Loaded when there is the first of these: it takes 3 MB
 * of memory. Its parts are imported one by one: all of it also loads fetch, WebSocket and caches, 14 MB.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import symbols from 'undici/lib/core/symbols.js';
import Client from 'undici/lib/dispatcher/client.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import type { Opened } from './open-socket.ts';
import type { UpstreamSend } from './request-head.ts';
import { closedCode, faultOf, markReused, type ReplyHandler, type Sending } from './sending.ts';

/** undici's connections to one provider. */
export interface UndiciConnections {
  send(request: UpstreamSend, handler: ReplyHandler): void;
  /** The same on a connection of its own, which is closed afterwards. @param over null: a new one */
  sendAlone(over: Duplex | null, request: UpstreamSend, handler: ReplyHandler): void;
  /** How many are shared. */
  readonly size: number;
  close(): Promise<void>;
}

/**
 * @param timeoutMs within which a connection of HTTP/2 must answer, or it is given up
 * @param open gives a socket to the provider
 * @param onConnect called for each shared connection, with whether it speaks HTTP/1.1
 */
export function openUndici(
  origin: string,
  timeoutMs: number,
  open: (done: Opened) => void,
  onConnect: (plain: boolean) => void,
): UndiciConnections {
  const options = (connect: (done: Opened) => void): Client.Options => ({
    pipelining: 1,
    connect: (_, done) => connect(done as Opened),
    // `attempt` owns all timeouts.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
  });
  // Nothing may wait in here unseen: `beginCall` keeps to `connectionsMax`.
  const pool = new Pool(origin, { ...options(open), connections: null });
  const settle = (client: unknown): void => {
    passOverContinue(client);
    guardSession(client, timeoutMs);
  };
  let opened = 0;
  const openedSoFar = (): number => opened;
  pool.on('connect', (_origin, targets) => {
    opened += 1;
    const client = targets.at(-1);
    onConnect(isPlain(client));
    settle(client);
  });
  return {
    send(request, handler) {
      const sent = pool.stats.connected === 0 ? handler : new OnShared(handler, openedSoFar);
      pool.dispatch(request as Dispatcher.DispatchOptions, sent);
    },
    sendAlone(over, request, handler) {
      const client = new Client(origin, options(over === null ? open : giveOnce(over)));
      client.on('connect', () => settle(client));
      client.dispatch(request as Dispatcher.DispatchOptions, handler);
      void client.close().catch(() => {});
    },
    get size() {
      return pool.stats.connected;
    },
    close: () => pool.close(),
  };
}

/** Code where the provider gave up one request, and not its connection. */
const streamErrorCode = 'ERR_HTTP2_STREAM_ERROR';

/**
 * Takes what comes of a request while connections are open that have carried others. If it fails without a byte, and none
 * was opened meanwhile, one of those broke.
 */
class OnShared implements ReplyHandler {
  readonly #handler: ReplyHandler;
  readonly #opened: () => number;
  readonly #openedBefore: number;
  #silent = true;

  /** @param opened counts the connections opened so far */
  constructor(handler: ReplyHandler, opened: () => number) {
    this.#handler = handler;
    this.#opened = opened;
    this.#openedBefore = opened();
  }

  onRequestStart(sending: Sending): void {
    this.#handler.onRequestStart(sending);
  }

  onResponseStart(sending: Sending, status: number, headers: IncomingHttpHeaders): void {
    this.#silent = false;
    this.#handler.onResponseStart(sending, status, headers);
  }

  onResponseData(sending: Sending, chunk: Buffer): void {
    this.#handler.onResponseData(sending, chunk);
  }

  onResponseEnd(): void {
    this.#handler.onResponseEnd();
  }

  onResponseError(sending: Sending | null, error: Error): void {
    const ofRequest = 'code' in error && error.code === streamErrorCode;
    if (this.#silent && !ofRequest && this.#opened() === this.#openedBefore) markReused(error);
    this.#handler.onResponseError(sending, error);
  }
}

/** Gives out a connection, unless it has broken; whoever asks again has read it and failed. */
function giveOnce(connection: Duplex): (done: Opened) => void {
  let given = false;
  return (done) => {
    const [error, socket] =
      given || connection.destroyed
        ? [connection.errored ?? new Error('its connection has failed'), null]
        : [null, connection as Socket];
    given = true;
    queueMicrotask(() => done(error, socket));
  };
}

/** Whether a connection that was just opened speaks HTTP/1.1. */
const isPlain = (client: unknown): boolean =>
  (client as Record<symbol, { readonly version: string } | null>)[symbols.kHTTPContext]?.version === 'h1';

interface Parser {
  onHeadersComplete(status: number, ...rest: unknown[]): number;
}

const patched = new WeakSet<Parser>();

/**
 * Makes all connections pass over `100 Continue`, which some proxies send unasked (RFC 9110, section 15.2): by a change
 * of the parser that they share. undici up to 8.13.1 breaks such a connection off, though it passes over all other
 * interim replies.
 */
function passOverContinue(client: unknown): void {
  const { [symbols.kSocket]: socket } = client as Record<symbol, Socket & Record<symbol, Parser>>;
  const parser = socket?.[symbols.kParser];
  // HTTP/2 has no such parser, and no such flaw.
  const shared = parser === undefined ? null : (Object.getPrototypeOf(parser) as Parser);
  if (shared === null || patched.has(shared)) return;
  patched.add(shared);
  const { onHeadersComplete } = shared;
  shared.onHeadersComplete = function (status, ...rest) {
    return onHeadersComplete.call(this, status === 100 ? 102 : status, ...rest);
  };
}

/** What is used of a connection of HTTP/2. */
interface Session extends Pick<ClientHttp2Session, 'ping' | 'destroyed'> {
  request(...given: unknown[]): ClientHttp2Stream;
}

/**
 * Makes streams of HTTP/2 that are given up end with the code `CANCEL`. undici ends them with none, for which Node waits
 * until all of the request is sent, and destroys them at once: as long as the provider doesn't take the rest, Node's event
 * loop then never goes on, or an error that nobody listens for ends the process (Node 24.21, undici 8.12.4).
 *
 * Asks then whether the connection still answers. Over HTTP/1.1 it is closed with its request; here it would carry all
 * later ones as well, though it died without a word, or Node passed over its end, as it does if two writes fail in a turn.
 */
function guardSession(client: unknown, timeoutMs: number): void {
  const { [symbols.kHTTP2Session]: session } = client as Record<symbol, Session | null | undefined>;
  const { [symbols.kSocket]: socket } = client as Record<symbol, Socket>;
  // HTTP/1.1 has none.
  if (session === undefined || session === null) return;
  const { request } = session;
  let asking = false;
  const ask = (): void => {
    if (asking || session.destroyed) return;
    asking = true;
    // Timers run before sockets are read: what has arrived by now must still count.
    const late = setTimeout(() => setImmediate(giveUp), timeoutMs).unref();
    session.ping(() => {
      asking = false;
      clearTimeout(late);
    });
  };
  const giveUp = (): void => {
    if (asking) socket?.destroy(faultOf(closedCode, 'the connection no longer answers'));
  };
  session.request = (...given) => {
    const stream = request.apply(session, given);
    guardEnd(stream);
    const { close } = stream;
    stream.close = (code = constants.NGHTTP2_CANCEL, done) => {
      close.call(stream, code, done);
      ask();
    };
    return stream;
  };
}

/**
 * Makes a reply over HTTP/2 end as a whole only if its provider has ended it. A reply that is reset with the codes
 * `NO_ERROR` or `CANCEL` ends for Node, and so for undici, as if it were complete. And where trailers follow, which nobody
 * here reads, undici leaves out all of the body that isn't read by then (Node 24.21, undici 8.12.4).
 */
function guardEnd(stream: ClientHttp2Stream): void {
  let begun = false;
  let whole = false;
  const { on, push } = stream;
  stream.once('response', () => {
    begun = true;
  });
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    // A stream that is reset is closed first, and then it ends.
    if (chunk === null && !stream.closed) whole = true;
    return push.call(stream, chunk, encoding);
  };
  // Before undici's own listener, which finds the request failed.
  stream.on('end', () => {
    if (!begun || whole || stream.listenerCount('error') === 0) return;
    stream.emit('error', faultOf(streamErrorCode, 'the provider gave up its reply before the end'));
  });
  stream.on = (event: string, listener: (...given: never[]) => void) =>
    event === 'trailers' ? stream : on.call(stream, event, listener as () => void);
}
