/**
 * The connections to one provider: a pool of them, and fresh ones for calls that met a dead one. They lead to allowed
 * addresses only, and pass over interim replies.
 */
// undici imported one by one: all of it also loads fetch, WebSocket and caches, 14 MB of memory and 50 ms of every start.
import { subscribe } from 'node:diagnostics_channel';
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { isIP, type Socket } from 'node:net';
import type { Dispatcher } from 'undici';
import buildConnector from 'undici/lib/core/connect.js';
import symbols from 'undici/lib/core/symbols.js';
import Client from 'undici/lib/dispatcher/client.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import { type AddressCheck, addressCode } from './addresses.ts';
import { Stack } from './stack.ts';
import { createTunnel } from './tunnel.ts';

/** Sends requests to one provider. */
export interface Connections {
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): unknown;
  /** The same on a connection of its own, which is closed afterwards. */
  dispatchFresh(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void;
  /** How many connections are kept for later requests or carry one; fresh ones aside. */
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
 * No connection is opened before the first request. Over TLS the last one tells whether the provider speaks HTTP/2, where
 * requests share a connection; those of HTTP/1.1 need no pool, which would look for a free one twice per request.
 * @param timeoutMs for TCP and TLS
 */
export function openConnections(
  origin: string,
  timeoutMs: number,
  isAllowed: AddressCheck,
  reach: Reach = directly,
): Connections {
  const options = {
    pipelining: 1,
    connect: createConnector(timeoutMs, isAllowed, reach),
    // `attempt` owns all timeouts.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
  };
  let plain = origin.startsWith('http:');
  const onConnect = (client: unknown): void => {
    plain = isPlain(client);
    passOverContinue(client);
  };
  const stack = new Stack(() => {
    const client = new Client(origin, options);
    client.on('connect', () => onConnect(client));
    return client.on('disconnect', () => stack.forget(client));
  });
  // Nothing may wait in here unseen: `beginCall` keeps to `connectionsMax`.
  const pool = new Pool(origin, { ...options, connections: null });
  pool.on('connect', (_origin, targets) => onConnect(targets.at(-1)));
  return {
    dispatch: (request, handler) => (plain ? stack : pool).dispatch(request, handler),
    dispatchFresh(request, handler) {
      const client = new Client(origin, options);
      client.dispatch(request, handler);
      void client.close().catch(() => {});
    },
    get size() {
      return stack.size + pool.stats.connected;
    },
    async close() {
      await Promise.all([stack.close(), pool.close()]);
    },
  };
}

/** Whether a connection that was just opened speaks HTTP/1.1. */
const isPlain = (client: unknown): boolean =>
  (client as Record<symbol, { readonly version: string } | null>)[symbols.kHTTPContext]?.version === 'h1';

/** What a connection has carried. */
interface Carried {
  requests: number;
  /** Bytes that had come by the last request. */
  bytesBefore: number;
}

const carried = new WeakMap<object, Carried>();
/** Errors of connections that had carried a request before, and broke before a byte of this one's answer. */
const reused = new WeakSet<Error>();

/** undici publishes the beginning of each request on this channel, with its socket. */
subscribe('undici:client:sendHeaders', (message) => {
  const { socket } = message as { readonly socket: Socket };
  const each = carried.get(socket);
  if (each === undefined) return;
  each.requests += 1;
  each.bytesBefore = socket.bytesRead;
});

/** Watches how a connection breaks: before undici does, which hands the error to the request. */
function watch(socket: Socket): void {
  const each: Carried = { requests: 0, bytesBefore: 0 };
  carried.set(socket, each);
  socket.on('error', (error) => {
    if (each.requests > 1 && socket.bytesRead === each.bytesBefore) reused.add(error);
  });
}

/**
 * Whether a connection broke that had carried a request before, and gave no byte for this one: it may have died while it
 * was idle, which says nothing of the provider.
 */
export const isReused = (error: Error): boolean => reused.has(error);

type Connector = ReturnType<typeof buildConnector>;

/**
 * A connector that refuses addresses, whether they are written in the URL or a name resolves to them. A proxy looks
 * names up by itself.
 */
function createConnector(timeoutMs: number, isAllowed: AddressCheck, { proxy, tls = {} }: Reach): Connector {
  const { ca, cert, key } = tls;
  const secure = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  const connect = buildConnector({ timeout: timeoutMs, lookup: guarded(isAllowed), ...secure } as never);
  const tunnel = proxy === null ? null : createTunnel(proxy, timeoutMs);
  return (options, callback) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1');
    // An address is never looked up.
    if (isIP(host) !== 0 && !isAllowed(host)) return queueMicrotask(() => callback(refusal(host), null));
    const opened: typeof callback = (error, socket) => {
      if (error !== null) return callback(error, null);
      watch(socket);
      callback(null, socket);
    };
    if (tunnel === null) return connect(options, opened);
    const secured = options.protocol === 'https:';
    const { hostname } = options;
    const destination = isIP(hostname) === 6 ? `[${hostname}]` : hostname;
    tunnel(`${destination}:${options.port || (secured ? 443 : 80)}`, (error, socket) => {
      if (error !== null || socket === null) return callback(error ?? new Error('no socket'), null);
      if (secured) connect({ ...options, httpSocket: socket }, opened);
      else opened(null, socket);
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
