/** What a request is to the limiter. */
import type { Endpoint } from '../exchange/endpoint.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Priority } from '../exchange/priority.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Plan } from '../upstream/target.ts';

/** One request as the limiter sees it. */
export interface Asking {
  readonly endpoint: Endpoint;
  readonly identity: Identity;
  readonly request: ModelRequest;
  readonly plan: Plan;
  readonly priority: Priority;
  /** Monotonic ms; a request never waits longer. */
  readonly deadlineMs: number;
  /** It is the next reply of a session, which counted as a request when it was opened. */
  readonly continues?: true;
}
