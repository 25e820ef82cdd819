/** Looks at a request's body: once for what the pipeline must know, and again where its route or a recogniser has a say. */
import { Refusal } from '../base/errors.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { inspectRequest } from '../inspect/by-size.ts';
import { nameDeployment } from '../inspect/deployment.ts';
import { textsOf } from '../inspect/texts.ts';
import type { Passage } from '../passage.ts';
import type { ScrubPolicy } from '../scrub/policy.ts';
import type { Recogniser } from '../scrub/recogniser/recogniser.ts';

type Looked = ModelRequest | Refusal;

/** Inspects the body for the first time, as one that names its model. */
export function lookFirst(policy: ScrubPolicy, passage: Passage): Looked | Promise<Looked> {
  const { exchange, stages, deadlineMs } = passage;
  const { deployment } = exchange.endpoint;
  if (deployment === undefined) return look(policy, passage);
  const named = nameDeployment(exchange, deployment, stages.aside, deadlineMs);
  return named === null ? look(policy, passage) : named.then((refused) => refused ?? look(policy, passage));
}

/**
 * Inspects the body under a scrub policy.
 * @param recognised what a recogniser found in it; undefined: none was asked
 */
function look(policy: ScrubPolicy, passage: Passage, recognised?: Uint32Array): Looked | Promise<Looked> {
  const { exchange, stages } = passage;
  const { digestKey, routes, aside } = stages;
  passage.policy = policy;
  const scope = recognised === undefined ? policy.request : { ...policy.request, recognised };
  const inspecting = { scope, digestKey, classify: routes.classifies };
  const keep = (request: Looked): Looked => {
    if (!(request instanceof Refusal)) passage.request = request;
    return request;
  };
  const inspected = inspectRequest(exchange, inspecting, aside, passage.deadlineMs);
  return inspected instanceof Promise ? inspected.then(keep) : keep(inspected);
}

/**
 * Inspects the body again if its route, which is only known by its model, has a scrub policy of its own, or if a
 * recogniser must see its texts. Null: the first look was enough.
 * @param pattern the route's `model`
 */
export function lookAgain(
  tenant: string,
  pattern: string,
  passage: Passage,
): Looked | null | Promise<Looked> {
  const { policies, recogniser } = passage.stages;
  const own = policies.ofRoute(tenant, pattern);
  const policy = own ?? passage.policy;
  if (recogniser !== null && policy?.recognises === true) return lookWith(recogniser, policy, passage);
  return own === null ? null : look(own, passage);
}

/** Inspects the body with what a recogniser finds in its texts. */
async function lookWith(recogniser: Recogniser, policy: ScrubPolicy, passage: Passage): Promise<Looked> {
  const { exchange, stages, deadlineMs } = passage;
  const waits = { cancellation: exchange.cancellation, deadlineMs };
  const texts = await textsOf(exchange, stages.aside, waits);
  if (texts instanceof Refusal) return texts;
  const found = await recogniser.find(texts, waits);
  if (found instanceof Refusal) return found;
  const request = await look(policy, passage, found ?? undefined);
  if (request instanceof Refusal) return request;
  passage.request = { ...request, checked: found !== null };
  return passage.request;
}
