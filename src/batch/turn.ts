/** Passes one batch request through the queue. */
import type { Refusal } from '../base/errors.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Plan, Step } from '../upstream/target.ts';
import type { Batch } from './batch.ts';

/** A batch request to be queued. */
export interface BatchRequest {
  readonly exchange: Exchange;
  readonly identity: Identity;
  readonly request: ModelRequest;
  readonly plan: Plan;
  /** Monotonic ms. */
  readonly deadlineMs: number;
}

/** Waits for the request's turn. Meanwhile it doesn't count as in flight (`listen.inFlightMax`). Never rejects. */
export async function takeTurn(batch: Batch, queued: BatchRequest): Promise<readonly Step[] | Refusal> {
  const { exchange, identity, request, plan, deadlineMs } = queued;
  exchange.park(true);
  const turn = await batch.wait(exchange, identity, request, plan, deadlineMs);
  exchange.park(false);
  return turn;
}
