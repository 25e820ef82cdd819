/** The contract of one request between the listener and the pipeline. */

import type { IncomingHttpHeaders } from 'node:http';
import type { Cancellation } from '../base/cancellation.ts';
import type { Endpoint } from './endpoint.ts';

/** One request, received completely. Node's own request objects are not used beyond this. */
export interface Exchange {
  /** Sent as `x-request-id`. */
  readonly id: string;
  readonly endpoint: Endpoint;
  /** Path as requested, without the query. */
  readonly path: string;
  /** Its query for a provider of the client's dialect, without `?` and without credentials; empty: none. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  /** As received; a deployment that the path names is written into it, as its model, before anything reads it. */
  body: Buffer;
  /** Cancelled when the client disconnects or must be disconnected. */
  readonly cancellation: Cancellation;
  /** When it arrived, in monotonic ms. */
  readonly startedMs: number;
  /** Counts bytes of a whole reply that is held for the client; less than 0 are given back. False: no room for them. */
  holdReply(bytes: number): boolean;
  /** From now on the request continues even if the client disconnects. */
  detach(): void;
  /** A parked request waits in a queue with its own bound, so it doesn't count as in flight. */
  park(parked: boolean): void;
}
