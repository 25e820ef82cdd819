/** The connections to one provider: those of HTTP/1.1 that are our own, and undici's for what is unusual. */
import type { Socket } from 'node:net';
import type { AddressCheck } from './addresses.ts';
import type { UndiciConnections } from './by-undici.ts';
import { readShared, Sent } from './connection.ts';
import type { Opened } from './open-socket.ts';
import { createReach, type Reach } from './reach.ts';
import { requestHead, type UpstreamSend } from './request-head.ts';
import { closedCode, type ReplyHandler } from './sending.ts';
import { Stack } from './stack.ts';

/** Sends requests to one provider. */
export interface Connections {
  dispatch(request: UpstreamSend, handler: ReplyHandler): void;
  /** The same on a connection of its own, which is closed afterwards. */
  dispatchFresh(request: UpstreamSend, handler: ReplyHandler): void;
  /** Opens a socket for HTTP/1.1, which is the caller's from then on. */
  open(done: Opened): void;
  /** How many connections are kept for later requests or carry one; fresh ones of undici aside. */
  readonly size: number;
  close(): Promise<void>;
}

const directly: Reach = { proxy: null, tls: undefined };

/**
 * No connection is opened before the first request. Requests go out over HTTP/1.1 on connections of our own; over HTTP/2,
 * where they share a connection, if a provider turns out to speak that, until one of its connections doesn't.
 * @param timeoutMs for TCP and TLS, and for an answer of a connection that may be dead
 */
export function openConnections(
  origin: string,
  timeoutMs: number,
  isAllowed: AddressCheck,
  reach: Reach = directly,
): Connections {
  const { host } = new URL(origin);
  const openOwn = createReach(origin, timeoutMs, isAllowed, reach, readShared);
  const openOther = createReach(origin, timeoutMs, isAllowed, reach);
  const openPlain = createReach(origin, timeoutMs, isAllowed, reach, undefined, ['http/1.1']);
  let plain = true;
  let closed = false;
  /** Sockets that speak HTTP/2, for undici to go on with. */
  const opened: Socket[] = [];
  const openShared = (done: Opened): void => {
    const socket = opened.shift();
    if (socket?.destroyed === false) queueMicrotask(() => done(null, socket));
    else openOther(done);
  };
  let loading: Promise<UndiciConnections> | null = null;
  let undici: UndiciConnections | null = null;

  const load = async (): Promise<UndiciConnections> => {
    const { openUndici } = await import('./by-undici.ts');
    undici = openUndici(origin, timeoutMs, openShared, (isPlain) => {
      plain = isPlain;
    });
    return undici;
  };
  const byUndici = (handler: ReplyHandler, send: (connections: UndiciConnections) => void): void => {
    loading ??= load();
    const sent = loading.then(send);
    sent.catch((error: Error) => handler.onResponseError(null, error));
  };

  const stack = new Stack(openOwn, {
    onHttp2(socket, { request, handler }) {
      plain = false;
      opened.push(socket);
      byUndici(handler, (connections) => {
        connections.send(request, handler);
        // A connection that was there already has taken the request.
        const at = opened.indexOf(socket);
        if (at >= 0) opened.splice(at, 1)[0]?.destroy();
      });
    },
    onUnusual: (replayed, { request, handler }) =>
      byUndici(handler, (connections) => connections.sendAlone(replayed, request, handler)),
  });

  const ownOf = (request: UpstreamSend, handler: ReplyHandler): Sent | null => {
    const head = plain ? requestHead(host, request) : null;
    return head === null ? null : new Sent(request, head, handler);
  };
  const gone = (): Error =>
    Object.assign(new Error('the provider is no longer configured'), { code: closedCode });
  const refuse = (handler: ReplyHandler): void => {
    const error = gone();
    queueMicrotask(() => handler.onResponseError(null, error));
  };

  return {
    dispatch(request, handler) {
      if (closed) return refuse(handler);
      const own = ownOf(request, handler);
      if (own !== null) stack.send(own);
      else byUndici(handler, (connections) => connections.send(request, handler));
    },
    dispatchFresh(request, handler) {
      if (closed) return refuse(handler);
      const own = ownOf(request, handler);
      if (own !== null) stack.sendFresh(own);
      else byUndici(handler, (connections) => connections.sendAlone(null, request, handler));
    },
    open(done) {
      if (closed) queueMicrotask(() => done(gone(), null));
      else openPlain(done);
    },
    get size() {
      return stack.size + (undici?.size ?? 0);
    },
    async close() {
      closed = true;
      // Its requests may still turn out to be for undici.
      await stack.close();
      await (await loading)?.close();
    },
  };
}
