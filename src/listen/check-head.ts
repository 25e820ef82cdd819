/** Decides from a request's head alone whether its body is read. */

import { Refusal } from '../base/errors.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import { bodyMaxOf, wrongType } from './body.ts';
import { endpointAt, type Head, pathOf, sessionAt } from './endpoints.ts';
import type { Guard } from './guard.ts';
import type { ListenSettings } from './settings.ts';

/**
 * The endpoint a request is for, or why the request is refused.
 * @param inFlight requests that count towards `inFlightMax`
 */
export function checkHead(
  head: Head,
  dialect: DialectName,
  guard: Guard,
  inFlight: number,
  config: ListenSettings,
): Endpoint | Refusal {
  const { headers, method } = head;
  const denied = guard(headers) ?? head.fault;
  if (denied !== null) return denied;
  const endpoint = endpointAt(head, dialect);
  if (endpoint === undefined) {
    const isSession = sessionAt(head.url) !== undefined;
    if (isSession && head.upgrades !== true) return notUpgraded(head);
    const what = head.upgrades ? 'WebSocket' : 'endpoint';
    return new Refusal('not_found', `There is no ${what} ${shownPath(head)}.`);
  }
  // Only a GET opens one (RFC 6455, section 4.1); with any other method the wish to upgrade may be ignored.
  const asks = method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
  if (asks && head.upgrades !== true) return notUpgraded(head);
  if (method !== endpoint.method && !(endpoint.name === 'models' && method === 'HEAD')) {
    return new Refusal(
      'method_not_allowed',
      `${method.slice(0, 16)} is not served here, but ${endpoint.method}.`,
      {
        headers: ['allow', endpoint.method],
      },
    );
  }
  if (inFlight >= config.inFlightMax) {
    return new Refusal('overloaded', `${inFlight} requests are already in flight.`, { retryAfterMs: 1000 });
  }
  const bodyMaxBytes = bodyMaxOf(headers, config);
  if (Number(headers['content-length'] ?? 0) > bodyMaxBytes) return tooLarge(bodyMaxBytes);
  return wrongType(endpoint, headers['content-type']) ?? endpoint;
}

const shownPath = ({ url }: Head): string => JSON.stringify(pathOf(url).slice(0, 128));

/** The refusal of a request that can't become a WebSocket. */
const notUpgraded = (head: Head): Refusal =>
  new Refusal(
    'invalid_header',
    `${shownPath(head)} can't be opened as a WebSocket by this request: it must be a GET over HTTP/1.1 with \`Upgrade: websocket\` and \`Connection: Upgrade\`, without a body, sent when the one before it on its connection is answered.`,
    { param: 'upgrade' },
  );

/** The refusal of a body over the limit. */
export const tooLarge = (maxBytes: number): Refusal =>
  new Refusal('body_too_large', `The body is larger than ${maxBytes} bytes.`);
