/** What HTTP/1.1 (RFC 9112) says about versions, targets and framing, where Node's parser accepts more. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Refusal } from '../base/errors.ts';

/** A request whose version or framing can't be trusted; null: it can. Nothing behind such a request is read. */
export function framingFault({ httpVersion, headers }: IncomingMessage): Refusal | null {
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return new Refusal('invalid_header', `HTTP/${httpVersion} is not spoken here, only HTTP/1.1 and 1.0.`);
  // RFC 9112, section 6.1.
  if (httpVersion === '1.0' && headers['transfer-encoding'] !== undefined)
    return new Refusal('invalid_header', 'An HTTP/1.0 request has no transfer coding.', {
      param: 'transfer-encoding',
    });
  return null;
}

/** What a client expects of the server; Node answers any other itself, without a word (RFC 9110, section 10.1.1). */
const expectation = /(?:^|\W)100-continue(?:$|\W)/i;

/** A request that expects what nobody here can do; null: it doesn't. */
export function expectationFault({ httpVersion, headers: { expect } }: IncomingMessage): Refusal | null {
  if (expect === undefined || httpVersion === '1.0' || expectation.test(expect)) return null;
  return new Refusal('invalid_header', 'Nothing but 100-continue may be expected.', { param: 'expect' });
}

/** Where a request is directed. */
export interface Directed {
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

const absolute = /^https?:\/\/([^/?#]*)(.*)$/i;

/** The target of a request. The host in an absolute URL replaces the `Host` header (RFC 9112, section 3.2.2). */
export function targetOf({ url = '/', headers }: IncomingMessage): Directed {
  const found = url.startsWith('/') ? null : absolute.exec(url);
  if (found === null) return { url, headers };
  const [, host = '', rest = ''] = found;
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return { url: path, headers: { ...headers, host } };
}
