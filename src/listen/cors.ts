/**
 * What browsers need before a page may read a reply: the answer to their preflight, and headers on every reply. Only for
 * origins that the guard let through. https://fetch.spec.whatwg.org/#http-cors-protocol
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { Reply, WholeReply } from '../exchange/reply.ts';
import type { Head } from './endpoints.ts';

/** How long a browser may remember a preflight, seconds: the longest that Chromium accepts. */
const maxAgeSeconds = 7200;
/** Names of headers, separated by commas: of SDKs, too, such as `x-stainless-*`. */
const headerNames = /^[\w!#$%&'*+.^`|~, -]{1,4096}$/;

/** Whether a browser asks if a page may send a request. */
export const isPreflight = ({ method, headers }: Head): boolean =>
  method === 'OPTIONS' &&
  headers.origin !== undefined &&
  headers['access-control-request-method'] !== undefined;

/** The answer to a preflight for an endpoint. */
export function preflightReply({ headers }: Head, { method }: Pick<Endpoint, 'method'>): WholeReply {
  const asked = headers['access-control-request-headers'];
  const allowed = ['access-control-allow-methods', method, 'access-control-max-age', String(maxAgeSeconds)];
  if (asked !== undefined && headerNames.test(asked)) allowed.push('access-control-allow-headers', asked);
  // A public page that calls this machine: https://wicg.github.io/private-network-access/
  if (headers['access-control-request-private-network'] === 'true')
    allowed.push('access-control-allow-private-network', 'true');
  return { kind: 'whole', status: 204, headers: allowed, body: Buffer.alloc(0) };
}

/** The reply with what lets the page of a request read it. No cookies are used, so none are allowed. */
export function forOrigin<R extends Reply>(reply: R, { origin }: IncomingHttpHeaders): R {
  if (origin === undefined) return reply;
  const own = ['access-control-allow-origin', origin, 'access-control-expose-headers', '*', 'vary', 'Origin'];
  return { ...reply, headers: [...reply.headers, ...own] };
}
