/**
 * The connections to one provider: a pool of them, and fresh ones for calls that met a dead one. They lead to allowed
 * addresses only, and pass over interim replies.
 */
// undici imported one by one: all of it also loads fetch, WebSocket and caches, 14 MB of memory and 50 ms of every start.
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { isIP, type Socket } from 'node:net';
import type { Dispatcher } from 'undici';
import buildConnector from 'undici/lib/core/connect.js';
import symbols from 'undici/lib/core/symbols.js';
import Client from 'undici/lib/dispatcher/client.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import { type AddressCheck, addressCode } from './addresses.ts';
import { type ReplyHandler, readShared, Sent } from './connection.ts';
import { requestHead, type UpstreamSend } from './request-head.ts';
import { Stack } from './stack.ts';
import { createTunnel } from './tunnel.ts';

/** Sends requests to one provider. */
export interface Connections {
  dispatch(request: UpstreamSend, handler: ReplyHandler): void;
  /** The same on a connection of its own, which is closed afterwards. */
  dispatchFresh(request: UpstreamSend, handler: ReplyHandler): void;
  /** How many connections are kept for later requests or carry one; fresh ones of undici aside. */
  readonly size: number;
  close(): Promise<void>;
}

/** How a provider is reached. */
export interface Reach {
  /** URL of an HTTP proxy; null: directly. */
  readonly proxy: string | null;
  /** For TLS, all in PEM; undefined: what Node uses. */
  readonly tls: TlsFiles | undefined;
}

/** What a provider's certificate is checked by, and the gateway's own certificate, all in PEM. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

const directly: Reach = { proxy: null, tls: undefined };

/**
 * No connection is opened before the first request. Requests go out over HTTP/1.1 on connections of our own; over HTTP/2,
 * where they share a connection, if a provider turns out to speak that, until one of its connections doesn't. undici does
 * that, and whatever is unusual.
 * @param timeoutMs for TCP and TLS
 */
export function openConnections(
  origin: string,
  timeoutMs: number,
  isAllowed: AddressCheck,
  reach: Reach = directly,
): Connections {
  const { protocol, host, hostname, port } = new URL(origin);
  const destination = { protocol, host, hostname, port };
  /** Sockets that speak HTTP/2, for the pool to go on with. */
  const opened: Socket[] = [];
  const connectOwn = createConnector(timeoutMs, isAllowed, reach, readShared);
  const connectPooled = createConnector(timeoutMs, isAllowed, reach);
  const options = (connect: Connector): Client.Options => ({
    pipelining: 1,
    connect,
    // `attempt` owns all timeouts.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
  });
  let plain = true;
  const pooled = options((to, done) => {
    const socket = opened.pop();
    if (socket?.destroyed === false) queueMicrotask(() => done(null, socket));
    else connectPooled(to, done);
  });
  // Nothing may wait in here unseen: `beginCall` keeps to `connectionsMax`.
  const pool = new Pool(origin, { ...pooled, connections: null });
  pool.on('connect', (_origin, targets) => {
    const client = targets.at(-1);
    plain = isPlain(client);
    passOverContinue(client);
  });
  const alone = (connect: Connector, request: UpstreamSend, handler: ReplyHandler): void => {
    const client = new Client(origin, options(connect));
    client.on('connect', () => passOverContinue(client));
    client.dispatch(request as Dispatcher.DispatchOptions, handler);
    void client.close().catch(() => {});
  };
  const toPool = (request: UpstreamSend, handler: ReplyHandler): void =>
    void pool.dispatch(request as Dispatcher.DispatchOptions, handler);
  const stack = new Stack((done) => connectOwn(destination, done), {
    onHttp2(socket, { request, handler }) {
      plain = false;
      opened.push(socket);
      toPool(request, handler);
    },
    onUnusual(replayed, { request, handler }) {
      let given = false;
      const once: Connector = (_, done) => {
        const again = given;
        given = true;
        queueMicrotask(() => (again ? done(new Error('it was read'), null) : done(null, replayed as Socket)));
      };
      alone(once, request, handler);
    },
  });
  let closed = false;
  /** Null: undici sends it. */
  const sentOf = (request: UpstreamSend, handler: ReplyHandler): Sent | null => {
    const head = plain && !closed ? requestHead(host, request) : null;
    return head === null ? null : new Sent(request, head, handler);
  };
  return {
    dispatch(request, handler) {
      const sent = sentOf(request, handler);
      if (sent === null) toPool(request, handler);
      else stack.send(sent);
    },
    dispatchFresh(request, handler) {
      const sent = sentOf(request, handler);
      if (sent === null) alone(connectPooled, request, handler);
      else stack.sendFresh(sent);
    },
    get size() {
      return stack.size + pool.stats.connected;
    },
    async close() {
      closed = true;
      await Promise.all([stack.close(), pool.close()]);
      for (const socket of opened) socket.destroy();
    },
  };
}

/** Whether a connection that was just opened speaks HTTP/1.1. */
const isPlain = (client: unknown): boolean =>
  (client as Record<symbol, { readonly version: string } | null>)[symbols.kHTTPContext]?.version === 'h1';

type Connector = ReturnType<typeof buildConnector>;

/**
 * A connector that refuses addresses, whether they are written in the URL or a name resolves to them. A proxy looks
 * names up by itself.
 */
function createConnector(
  timeoutMs: number,
  isAllowed: AddressCheck,
  { proxy, tls = {} }: Reach,
  onread?: typeof readShared,
): Connector {
  const { ca, cert, key } = tls;
  const secure = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  const read = onread === undefined ? {} : { onread };
  const connect = buildConnector({
    timeout: timeoutMs,
    lookup: guarded(isAllowed),
    ...secure,
    ...read,
  } as never);
  const tunnel = proxy === null ? null : createTunnel(proxy, timeoutMs);
  return (options, callback) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1');
    // An address is never looked up.
    if (isIP(host) !== 0 && !isAllowed(host)) return queueMicrotask(() => callback(refusal(host), null));
    if (tunnel === null) return connect(options, callback);
    const secured = options.protocol === 'https:';
    const { hostname } = options;
    const destination = isIP(hostname) === 6 ? `[${hostname}]` : hostname;
    tunnel(`${destination}:${options.port || (secured ? 443 : 80)}`, (error, socket) => {
      if (error !== null || socket === null) return callback(error ?? new Error('no socket'), null);
      if (secured) connect({ ...options, httpSocket: socket }, callback);
      else callback(null, socket);
    });
  };
}

type Found = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

/** Looks names up as Node does, and leaves out the refused addresses. */
const guarded =
  (isAllowed: AddressCheck) =>
  (host: string, options: LookupOptions, done: Found): void =>
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, []);
      const allowed = found.filter(({ address }) => isAllowed(address));
      const [first] = allowed;
      if (first === undefined) return done(refusal(host), []);
      if (options.all === true) done(null, allowed);
      else done(null, first.address, first.family);
    });

const refusal = (host: string): Error =>
  Object.assign(new Error(`the address of ${host} is not one of a provider`), { code: addressCode });

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
