import type { Server } from 'node:http';
import { isIP } from 'node:net';

/**
 * Node's HTTP, of which only the types may be imported elsewhere. An import of `node:http` into a module looks at each
 * of its exports, and one of them loads Node's own fetch and WebSocket when it is looked at: 4 MB and 10 ms of a start.
 */
export const { Agent, createServer, get, request, ServerResponse, STATUS_CODES } =
  process.getBuiltinModule('node:http');

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** The address as a base URL. */
export function urlOf(
  server: Server,
  { host, socket }: { readonly host: string; readonly socket?: string | undefined },
): string {
  const address = server.address();
  if (socket !== undefined || address === null || typeof address === 'string') return `unix:${socket ?? ''}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}
