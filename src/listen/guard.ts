/**
 * Decides which origins and hosts may use the data port. With provider keys in the environment, any web page could
 * spend money, so a foreign `Origin` and an unknown `Host` (DNS rebinding) are refused before anything else.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Refusal } from '../base/errors.ts';
import { hostName } from '../base/node-http.ts';
import type { ListenSettings } from './settings.ts';

/** Checks a request's headers; null: the request may proceed. */
export type Guard = (headers: IncomingHttpHeaders) => Refusal | null;

const localHosts = ['localhost', '127.0.0.1', '[::1]'];

/** Creates the guard for the configured hosts and origins. */
export function createGuard({ allowedHosts, allowedOrigins, host, socket }: ListenSettings): Guard {
  const own =
    socket === undefined && host !== '0.0.0.0' && host !== '::'
      ? [host.includes(':') ? `[${host}]` : host]
      : [];
  const hosts = new Set([...localHosts, ...own, ...allowedHosts.map((name) => name.toLowerCase())]);
  const origins = new Set(allowedOrigins);
  // The last accepted Host header as the client wrote it: a client always writes it the same way.
  let passed: string | null = null;
  return (headers) => {
    if (headers.host !== undefined && headers.host === passed) return denyOrigin(headers);
    const name = headers.host === undefined ? null : hostName(headers.host);
    if (name === null)
      return new Refusal(
        'invalid_header',
        'There is no Host header, or it is neither a name nor an address.',
        {
          param: 'host',
        },
      );
    if (!hosts.has(name))
      return new Refusal(
        'host_refused',
        `The host ${JSON.stringify(name.slice(0, 128))} is not served here.`,
      );
    passed = headers.host ?? null;
    return denyOrigin(headers);
  };

  function denyOrigin(headers: IncomingHttpHeaders): Refusal | null {
    const { origin } = headers;
    if (origin !== undefined ? !origins.has(origin) : headers['sec-fetch-site'] === 'cross-site') {
      return new Refusal('origin_refused', 'Web pages of this origin may not call the gateway.');
    }
    return null;
  }
}

/** Headers that decide something here. With two of one, each reader might pick a different one. */
const single = new Set([
  'api-key',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-type',
  'host',
  'idempotency-key',
  'origin',
  'x-api-key',
  'x-goog-api-key',
]);

/** Refuses a request that sends such a header twice: Node would silently keep the first or join them. */
export function duplicateHeader(req: IncomingMessage): Refusal | null {
  const { rawHeaders } = req;
  // Fast path for the common case: as many distinct names as headers.
  if (Object.keys(req.headers).length * 2 === rawHeaders.length) return null;
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (seen.has(name) && (single.has(name) || name.startsWith('x-sidegate-'))) {
      return new Refusal('invalid_header', `The header ${name} is sent twice.`, { param: name });
    }
    seen.add(name);
  }
  return null;
}
