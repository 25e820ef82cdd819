/** The intake: what becomes of a request once its head is read, accepted into the pipeline or refused. */
import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../base/errors.ts';
import { keyInQuery } from '../dialects/gemini/path.ts';
import { refusalReply } from '../dialects/refusal.ts';
import type { DialectName } from '../exchange/dialects.ts';
import { type Endpoint, type EndpointName, isOfProvider } from '../exchange/endpoint.ts';
import { saysBatch } from '../exchange/priority.ts';
import type { WholeReply } from '../exchange/reply.ts';
import { checkHead } from './check-head.ts';
import { forOrigin, isPreflight, preflightReply } from './cors.ts';
import { dialectOf, endpointAt, type Head, pathOf } from './endpoints.ts';
import { frontPage, isBrowser } from './front-page.ts';
import { createGuard } from './guard.ts';
import { type ActiveRequests, Incoming } from './incoming.ts';
import { queryOf } from './query.ts';
import type { ListenSettings } from './settings.ts';

/** Distinguishes the processes of a fleet; the rest of an id is a counter. */
const idPrefix = `req_${randomBytes(9).toString('hex')}`;

let idsGiven = 0;

/** A request id, unique across processes and restarts; it need not be a secret. */
export function requestId(): string {
  idsGiven += 1;
  return idPrefix + idsGiven.toString(16).padStart(10, '0');
}

/** A request that was refused before there was an exchange. */
export interface Refused {
  readonly id: string;
  /** `none` if no endpoint has the path. */
  readonly endpoint: { readonly name: EndpointName | 'none' };
  /** Monotonic ms. */
  readonly startedMs: number;
}

/** The endpoint of a request whose path no endpoint has. */
export const noEndpoint = { name: 'none' } as const;

/** A request whose head was read. */
export interface Arrival {
  readonly head: Head;
  readonly dialect: DialectName;
  readonly id: string;
  /** Monotonic ms. */
  readonly startedMs: number;
}

/** Accepts or refuses the requests of one port. */
export interface Intake {
  /** Gives a request its id and its start time. */
  arrive(head: Head): Arrival;
  /** Adds the request to those in flight, or says why it is refused. */
  accept(arrival: Arrival): Incoming | Refusal;
  /** Whether a request with this head would be accepted. */
  accepts(head: Head): boolean;
  /** Reports a request refused before the pipeline, and makes its reply. */
  refuse(arrival: Arrival, refusal: Refusal): WholeReply;
  /** From now on refuses new requests with this; null: accepts them. */
  refuseNew(refusal: Refusal | null): void;
  /** Adopts new settings. */
  update(config: ListenSettings): void;
}

/**
 * Creates the intake of a port.
 * @param clock monotonic ms
 * @param onRefused called for each request that is refused here, before the pipeline
 * @param adminUrl URL of the admin port, for browsers; empty: unknown
 */
export function createIntake(
  config: ListenSettings,
  requests: ActiveRequests,
  clock: () => number,
  onRefused: (request: Refused, refusal: Refusal) => void,
  adminUrl: string,
): Intake {
  let current = config;
  let guard = createGuard(config);
  let refusesAll: Refusal | null = null;

  const check = (head: Head, dialect: DialectName): Endpoint | Refusal => {
    const inFlight = saysBatch(head.headers) ? requests.arriving : requests.active.length - requests.parked;
    return refusesAll ?? checkHead(head, dialect, guard, inFlight, current);
  };

  return {
    arrive(head) {
      const startedMs = clock();
      return { head, dialect: dialectOf(head), id: requestId(), startedMs };
    },
    accept({ head, dialect, id, startedMs }) {
      const endpoint = check(head, dialect);
      if (endpoint instanceof Refusal) return endpoint;
      const headers = dialect === 'gemini' ? withQueryKey(head) : head.headers;
      const query = queryOf(head.url, dialect, isOfProvider(endpoint));
      return new Incoming(id, endpoint, pathOf(head.url), query, headers, startedMs, requests);
    },
    accepts: (head) => !(check(head, dialectOf(head)) instanceof Refusal),
    refuse({ head, dialect, id, startedMs }, refusal) {
      if (refusal.code === 'not_found' && isBrowser(head)) return frontPage(adminUrl);
      const endpoint = endpointAt(head, dialect);
      if (refusal.code === 'method_not_allowed' && endpoint !== undefined && isPreflight(head))
        return forOrigin(preflightReply(head, askedFor(head, dialect) ?? endpoint), head.headers);
      onRefused({ id, endpoint: endpoint ?? noEndpoint, startedMs }, refusal);
      const reply = refusalReply(refusal, dialect, id);
      // A foreign page learns nothing.
      return guard(head.headers) === null ? forOrigin(reply, head.headers) : reply;
    },
    refuseNew(refusal) {
      refusesAll = refusal;
    },
    update(next) {
      current = next;
      guard = createGuard(next);
    },
  };
}

/** Google's API also takes its key from the query. Moves it to a header, since the path is written to records. */
function withQueryKey({ headers, url }: Head): IncomingHttpHeaders {
  if (headers['x-goog-api-key'] !== undefined) return headers;
  const key = keyInQuery(url);
  return key === null ? headers : { ...headers, 'x-goog-api-key': key };
}

/** The endpoint that a preflight asks for: two may share a path. */
function askedFor(head: Head, dialect: DialectName): Endpoint | undefined {
  const method = head.headers['access-control-request-method'] ?? '';
  const endpoint = endpointAt({ ...head, method }, dialect);
  return endpoint?.method === method ? endpoint : undefined;
}
