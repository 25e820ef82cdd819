/** A batch request's way through its queue. */
import type { Refusal } from '../base/errors.ts';
import type { Passage } from '../passage.ts';
import type { Plan, Step } from '../upstream/target.ts';

/** Waits for the request's turn, outside the bound of requests at work. */
export async function takeTurn(
  passage: Passage,
  found: Plan,
  deadlineMs: number,
): Promise<readonly Step[] | Refusal> {
  const { exchange, identity, request, stages } = passage;
  if (identity === null || request === null) throw new Error('a turn before its request is known');
  const sinceMs = stages.clock();
  exchange.park(true);
  const turn = await stages.batch.wait(exchange, identity, request, found, deadlineMs);
  exchange.park(false);
  passage.queuedMs = stages.clock() - sinceMs;
  return turn;
}
