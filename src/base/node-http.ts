import type { Server } from 'node:http';
import { isIP } from 'node:net';

/**
 * Node's HTTP module; elsewhere only its types may be imported. Importing `node:http` into an ES module reads each of
 * its exports, and one of them is a getter that loads Node's fetch and WebSocket: 4 MB and 10 ms at start.
 */
export const { Agent, createServer, get, request, ServerResponse, STATUS_CODES } =
  process.getBuiltinModule('node:http');

/** Whether an address can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

const hostPattern = /^(\[[0-9a-f:.]{2,45}\]|[\w.~!$&'()*+,;=%-]*)(?::\d*)?$/i;

/** The name or address in a `Host` header, in lowercase and without the port; null: it is neither (RFC 9110, 7.2). */
export const hostName = (header: string): string | null =>
  hostPattern.exec(header)?.[1]?.toLowerCase() ?? null;

/** The address a server listens on, as a base URL. */
export function urlOf(
  server: Server,
  { host, socket }: { readonly host: string; readonly socket?: string | undefined },
): string {
  const address = server.address();
  if (socket !== undefined || address === null || typeof address === 'string') return `unix:${socket ?? ''}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}
