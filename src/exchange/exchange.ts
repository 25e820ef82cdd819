/** One request as it was received. */

import type { IncomingHttpHeaders } from 'node:http';
import type { Cancellation } from '../base/cancellation.ts';
import type { Endpoint } from './endpoint.ts';

/** One request as it came, read whole. Node's request objects end before this. */
export interface Exchange {
  /** Sent as `x-request-id`. */
  readonly id: string;
  readonly endpoint: Endpoint;
  /** Path without query, as asked for. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Cancelled when the client is gone or must be let go. */
  readonly cancellation: Cancellation;
  /** Monotonic, ms. */
  readonly startedMs: number;
  /** Lets the work go on when the client hangs up. */
  detach(): void;
  /** While it waits in a queue with a bound of its own it doesn't count as a request at work. */
  park(parked: boolean): void;
}
