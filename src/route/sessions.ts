/** Routing of sessions: by the provider that a header names, by the model's route, else to the only one of the dialect. */
import { Refusal } from '../base/errors.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Plan, Step } from '../upstream/target.ts';
import { type ObjectTable, routeObject, switchedOff } from './objects.ts';
import { type RouteTable, route } from './route.ts';

/**
 * The plan of a session. Only providers with `passthrough` may serve it, and one that joins a call goes where the call is.
 * @param nowMs monotonic ms
 */
export function routeSession(
  exchange: Pick<Exchange, 'headers' | 'endpoint' | 'path'>,
  identity: Identity,
  request: ModelRequest,
  routes: RouteTable,
  objects: ObjectTable,
  nowMs: number,
): Plan | Refusal {
  const { headers, endpoint, path } = exchange;
  const routed = headers['x-sidegate-provider'] === undefined && endpoint.object === null;
  if (routed && request.model !== '') {
    const plan = route(exchange, identity, request, routes, nowMs);
    if (!(plan instanceof Refusal)) return passingOnly(plan, path, endpoint);
    if (plan.code !== 'model_not_found') return plan;
  }
  return routeObject(exchange, request, identity, objects);
}

/** The plan without providers that aren't passed what isn't modelled. */
function passingOnly(plan: Plan, path: string, endpoint: Exchange['endpoint']): Plan | Refusal {
  const passes = ({ target }: Step): boolean => target.provider.passthrough !== false;
  if (plan.steps.every(passes)) return plan;
  // The condition of a group is that of its first step, whichever that is now.
  const first = (group: number): Step | undefined => plan.steps.find((step) => step.group === group);
  const steps = plan.steps.filter(passes).map((step) => ({ ...step, on: first(step.group)?.on ?? null }));
  if (steps.length > 0) return { ...plan, steps };
  return switchedOff(
    path,
    endpoint,
    plan.steps.map(({ target }) => target.provider),
  );
}
