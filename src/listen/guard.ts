/**
 * Who may talk to the data port at all. Keys from the environment let any page in a browser spend, so a foreign
 * `Origin` and an unknown `Host` (DNS rebinding) are refused before anything else.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Refusal } from '../base/errors.ts';
import type { ListenSettings } from './settings.ts';

/** Null when the request may go on. */
export type Guard = (headers: IncomingHttpHeaders) => Refusal | null;

const localHosts = ['localhost', '127.0.0.1', '[::1]'];

export function createGuard({ allowedHosts, allowedOrigins, host, socket }: ListenSettings): Guard {
  const own =
    socket === undefined && host !== '0.0.0.0' && host !== '::'
      ? [host.includes(':') ? `[${host}]` : host]
      : [];
  const hosts = new Set([...localHosts, ...own, ...allowedHosts.map((name) => name.toLowerCase())]);
  const origins = new Set(allowedOrigins);
  // As it was written last and let pass: a client always writes it the same way.
  let passed: string | null = null;
  return (headers) => {
    if (headers.host !== undefined && headers.host === passed) return denyOrigin(headers);
    const name = (headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
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
      return new Refusal('origin_refused', 'Web pages of this origin may not call.');
    }
    return null;
  }
}

/** Headers that decide something here; two of one would let each reader pick another. */
const single = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-type',
  'host',
  'idempotency-key',
  'origin',
  'x-api-key',
]);

/** Refuses a deciding header that is sent twice: Node would keep the first or join them silently. */
export function duplicateHeader(req: IncomingMessage): Refusal | null {
  const { rawHeaders } = req;
  // The common case, without looking at a name: as many distinct names as headers.
  if (Object.keys(req.headers).length * 2 === rawHeaders.length) return null;
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (seen.has(name) && (single.has(name) || name.startsWith('x-sidegate-'))) {
      return new Refusal('invalid_header', `The header ${name} is there twice.`, { param: name });
    }
    seen.add(name);
  }
  return null;
}
