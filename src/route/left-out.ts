/** The targets that a route leaves out for a request. For explanations. */
import { Refusal } from '../base/errors.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { fillAsk, findWay, type RouteTable } from './route.ts';
import { inabilities, leavesOf, unable } from './tree.ts';

/** A target that can't serve a request. */
export interface LeftOut {
  /** `provider/model`. */
  readonly target: string;
  /** In words. */
  readonly why: string;
}

/** The targets that a request's route leaves out, since they can't serve it. @param nowMs monotonic ms */
export function leftOut(
  exchange: Pick<Exchange, 'endpoint' | 'headers'>,
  identity: Identity,
  request: ModelRequest,
  table: RouteTable,
  nowMs: number,
): LeftOut[] {
  const way = findWay(request.model, exchange.endpoint, table, identity.models);
  // What a request needs doesn't change a fixed order.
  if (way instanceof Refusal || way.fixed !== null) return [];
  const { ask } = table;
  if (fillAsk(ask, exchange, identity, request, table, nowMs) !== null) return [];
  return leavesOf(way.root).flatMap((leaf) => {
    const why = unable(leaf, ask);
    return why === null ? [] : [{ target: leaf.target.label, why: inabilities[why] }];
  });
}
