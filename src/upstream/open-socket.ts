/** Opens sockets: TCP, and TLS over it. */
import { connect, isIP, type LookupFunction, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Where a socket leads. */
export interface Destination {
  readonly secured: boolean;
  /** A name or an address; one of IPv6 may be in brackets. */
  readonly hostname: string;
  readonly port: number;
}

/** How sockets are opened. */
export interface SocketOptions {
  /** For TCP and TLS together. */
  readonly timeoutMs: number;
  readonly lookup?: LookupFunction;
  /** What a certificate is checked by, and the own one, all in PEM; undefined: what Node uses. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Protocols that TLS offers. */
  readonly protocols: readonly string[];
  /** What is read goes there. */
  readonly onread?: OnReadOpts;
}

/** Takes a socket that is open, or why there is none; called once. */
export type Opened = (error: Error | null, socket: Socket | null) => void;

/** Opens one more socket. @param over an open one that TLS is spoken on; null: none */
export type OpenSocket = (to: Destination, over: Socket | null, done: Opened) => void;

/** Code of the error when there was no connection in time. */
export const connectTimeoutCode = 'CONNECT_TIMEOUT';

const probesAfterMs = 60_000;

/** An opener of sockets to one destination, whose TLS sessions are taken up again. */
export function createSocketOpener({ timeoutMs, tls, protocols, ...options }: SocketOptions): OpenSocket {
  let session: Buffer | undefined;

  const openTls = (host: string, port: number, over: Socket | null): Socket => {
    const socket = connectTls({
      ...options,
      ...tls,
      ...(session === undefined ? {} : { session }),
      ...(over === null ? {} : { socket: over }),
      host,
      port,
      // An address is no server name (RFC 6066, section 3).
      servername: isIP(host) === 0 ? host : '',
      ALPNProtocols: [...protocols],
    });
    return socket.on('session', (given: Buffer) => {
      session = given;
    });
  };

  return ({ secured, hostname, port }, over, done) => {
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const socket = secured ? openTls(host, port, over) : connect({ ...options, host, port });
    let settled = false;
    const settle = (error: Error | null): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      done(error, error === null ? socket : null);
    };
    const timer = setTimeout(() => {
      const late = new Error(`no connection to ${host} within ${timeoutMs} ms`);
      socket.destroy(Object.assign(late, { code: connectTimeoutCode }));
    }, timeoutMs);
    socket.setKeepAlive(true, probesAfterMs).setNoDelay(true);
    socket.once(secured ? 'secureConnect' : 'connect', () => settle(null));
    socket.on('error', settle);
    socket.once('close', () => settle(new Error(`the connection to ${host} was closed`)));
  };
}
