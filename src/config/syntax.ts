/** Syntax of hosts, origins, URLs, headers and socket paths. Each check returns the fault, or null if there is none. */

import { isIP } from 'node:net';
import { isLoopback } from '../base/node-http.ts';
import { isPercentEncoded, notPercentEncoded } from '../base/settings.ts';
import type { DialectName } from '../exchange/dialects.ts';

const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

/** Checks an address to listen on. */
export function listenHostFault(host: string): string | null {
  if (isIP(host) !== 0 || (hostName.test(host) && !/^[\d.]+$/.test(host))) return null;
  return 'must be an IP address or a host name, without port, scheme or brackets';
}

/** Whether two listeners on the same port would conflict. */
export function sameHost(a: string, b: string): boolean {
  const everywhere = (host: string) => host === '0.0.0.0' || host === '::';
  const plain = (host: string) => (host === 'localhost' ? '127.0.0.1' : host.toLowerCase());
  return everywhere(a) || everywhere(b) || plain(a) === plain(b);
}

/** Checks a name to accept in the `Host` header. */
export function allowedHostFault(host: string): string | null {
  if (hostName.test(host) || /^\[.*\]$/.test(host)) {
    if (!host.startsWith('[') || isIP(host.slice(1, -1)) === 6) return null;
  }
  return 'must be a host name or address, without scheme, port, path or *; IPv6 in brackets';
}

/** Checks an origin: it must be as browsers send it. */
export function originFault(origin: string): string | null {
  const url = URL.canParse(origin) && !origin.includes('*') ? new URL(origin) : null;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') {
    if (url.origin === origin.toLowerCase()) return null;
  } else if (/^(?!file:)[a-z][a-z0-9+.-]*:\/\/[^\s/?#*]+$/i.test(origin)) {
    // Of apps and extensions, such as `app://obsidian.md` and `chrome-extension://…`.
    return null;
  }
  // Pages of files, and those in sandboxes, are all `null`: whoever allowed one would allow any.
  return 'must be an origin such as https://app.example or chrome-extension://ID: scheme and host, the port if unusual, no path';
}

/** Checks a provider's base URL. The fault never quotes it, since it may contain a credential. */
export function baseUrlFault(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:') || /\s/.test(text)) {
    return 'must be a URL that begins with https:// or http://';
  }
  if (url.username !== '' || url.password !== '') return 'must contain no credentials: use `apiKey`';
  if (text.includes('#')) return 'must have no fragment';
  if (/[?&](?:[^=&]*(?:key|token|secret|sig))=/i.test(text))
    return 'must contain no credentials: use `apiKey`';
  return null;
}

/** Checks the URL of a Redis. The fault never quotes it, since it may contain a password. */
export function redisUrlFault(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '')
    return 'must be a URL such as redis://redis.internal:6379';
  if (!isPercentEncoded(url)) return notPercentEncoded;
  return /^\/?\d{0,9}$/.test(url.pathname) ? null : 'must name its database by a number, such as /1';
}

/** Whether a credential would be sent unencrypted to another machine. */
export function isPlainRemote(baseUrl: string): boolean {
  const url = new URL(baseUrl);
  return url.protocol === 'http:' && !isLoopback(url.hostname.replace(/^\[(.*)\]$/, '$1'));
}

/** Headers that belong to the connection rather than the request, or that the HTTP client sets. */
const connectionHeaders = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Headers that describe the body's encoding, which the configuration can't decide. */
const bodyHeaders = new Set(['accept-encoding', 'content-encoding', 'content-type']);

/** Checks a header to add to each request to a provider. */
export function headerFault(name: string, value: string, dialect: DialectName | undefined): string | null {
  const lower = name.toLowerCase();
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/.test(lower)) return 'is not a header name';
  if (connectionHeaders.has(lower)) return 'belongs to the connection and cannot be set';
  if (bodyHeaders.has(lower)) return 'is set by the gateway';
  if (
    lower === 'authorization' ||
    (dialect === 'anthropic' && lower === 'x-api-key') ||
    (dialect === 'gemini' && lower === 'x-goog-api-key')
  ) {
    return 'carries the credential: use `apiKey`';
  }
  if (dialect === 'anthropic' && lower === 'anthropic-version') return 'is set by the client';
  if (value.length > 8192) return 'has a value of more than 8192 characters';
  // A line break would begin another header.
  return /^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/.test(value)
    ? null
    : 'has a value that is empty, begins or ends with a space, or contains characters that a header cannot carry';
}

/** Whether a secret can be sent in a header, where spaces are lost at either end. */
export const isHeaderSafe = (secret: string): boolean =>
  /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(secret);

/** Checks a secret that is sent in a header. The fault doesn't quote it. */
export const sentSecretFault = (secret: string): string | null =>
  isHeaderSafe(secret)
    ? null
    : 'begins or ends with a space, or contains a line break or other character that a header cannot carry';

/** The kernel's limit on a socket's path, without the final NUL. */
const socketPathMaxBytes = 107;

/** Checks the path of a Unix socket. */
export function socketFault(path: string): string | null {
  if (path === '' || path.endsWith('/')) return 'must be the path of a socket';
  return Buffer.byteLength(path) > socketPathMaxBytes
    ? `must have at most ${socketPathMaxBytes} bytes`
    : null;
}
