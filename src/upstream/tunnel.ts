/** Connections through an HTTP proxy (`CONNECT`, RFC 9110, section 9.3.6), and what is wrong with it if there is none. */
import type { Socket } from 'node:net';
import { createSocketOpener } from './open-socket.ts';

/** How the codes of a proxy's faults begin: `PROXY_407`, `PROXY_ECONNREFUSED`. */
export const proxyPrefix = 'PROXY_';

/** Opens a connection to a proxy's destination. */
export type OpenTunnel = (host: string, done: (error: Error | null, socket: Socket | null) => void) => void;

/** Longest head of a proxy's answer. */
const headMaxBytes = 16 * 1024;

const proxyFault = (what: string): Error =>
  Object.assign(new Error(`no connection through the proxy: ${what}`), {
    code: proxyPrefix + what.replace(/\W/g, '_').toUpperCase(),
  });

/** The header with a proxy's user and password, of its URL; null: it has none. */
export function proxyCredential({ username, password }: URL): string | null {
  if (username === '' && password === '') return null;
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** The proxy of this URL, which may have a scheme; null: it is none that can be used, or its password can't be decoded. */
export function proxyUrl(text: string): URL | null {
  const url = URL.canParse(text) && text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(url)) return null;
  const parsed = new URL(url);
  try {
    proxyCredential(parsed);
  } catch {
    return null;
  }
  return (parsed.protocol === 'http:' || parsed.protocol === 'https:') && parsed.hostname !== ''
    ? parsed
    : null;
}

/** @param text URL of the proxy @param timeoutMs for its connection and its answer, each */
export function createTunnel(text: string, timeoutMs: number): OpenTunnel {
  const proxy = proxyUrl(text);
  // Going around a proxy that was asked for could lead out of a network that must not be left.
  if (proxy === null) return (_, done) => queueMicrotask(() => done(proxyFault('unsupported'), null));
  const open = createSocketOpener({ timeoutMs, protocols: ['http/1.1'] });
  const secured = proxy.protocol === 'https:';
  const to = { secured, hostname: proxy.hostname, port: Number(proxy.port) || (secured ? 443 : 80) };
  const credential = proxyCredential(proxy);
  const authorization = credential === null ? '' : `Proxy-Authorization: ${credential}\r\n`;
  return (destination, done) => {
    open(to, null, (error, socket) => {
      if (error !== null || socket === null) return done(proxyFault(codeOf(error ?? new Error())), null);
      socket.write(`CONNECT ${destination} HTTP/1.1\r\nHost: ${destination}\r\n${authorization}\r\n`);
      awaitAnswer(socket, timeoutMs, done);
    });
  };
}

const codeOf = (error: Error): string => ('code' in error ? String(error.code) : error.name);

/** Waits for the proxy's answer; what comes after it belongs to the destination. */
function awaitAnswer(socket: Socket, timeoutMs: number, done: Parameters<OpenTunnel>[1]): void {
  let head = Buffer.alloc(0);
  const end = (error: Error | null): void => {
    clearTimeout(timer);
    for (const [event, listener] of listeners) socket.off(event, listener);
    if (error === null) return done(null, socket);
    // A broken connection also emits `error`, which nobody awaits any more.
    socket.on('error', () => {});
    socket.destroy();
    done(error, null);
  };
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const at = head.indexOf('\r\n\r\n');
    if (at < 0) return head.length > headMaxBytes ? end(proxyFault('malformed')) : undefined;
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1', 0, 16))?.[1];
    if (status === undefined) return end(proxyFault('malformed'));
    if (!status.startsWith('2')) return end(proxyFault(status));
    socket.pause();
    if (at + 4 < head.length) socket.unshift(head.subarray(at + 4));
    end(null);
  };
  const onError = (error: Error): void => end(proxyFault(codeOf(error)));
  const onEnd = (): void => end(proxyFault('closed'));
  const listeners = [
    ['data', onData],
    ['error', onError],
    ['end', onEnd],
    ['close', onEnd],
  ] as const;
  const timer = setTimeout(() => end(proxyFault('timeout')), timeoutMs);
  for (const [event, listener] of listeners) socket.on(event, listener);
}
