/** Inspects any request here and now: on the main thread, or as the work of another one. */
import type { Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { isTooComplex, partsMax } from '../base/parts.ts';
import { isPassed } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { type NumberedScope, numbered, type PiiScope, scopeOf } from '../native/pii.ts';
import { inspectAuxiliary } from './auxiliary.ts';
import { inspect, type Received } from './inspect.ts';
import { inspectPassed } from './passed.ts';

/** How requests are inspected. */
export interface Inspecting {
  /** What is replaced, and whose values they are. */
  readonly scope: PiiScope;
  /** Key of the digest that goes into records. */
  readonly digestKey: Buffer;
  /** Also find the tiers of chat requests. */
  readonly classify: boolean;
}

/** Inspects a request. Refuses one that no provider could read either. */
export function inspectNow(
  request: Received,
  { scope, digestKey, classify }: Inspecting,
): ModelRequest | Refusal {
  const { auxiliary } = request.endpoint;
  if (isPassed(request.endpoint)) return inspectPassed(request, digestKey);
  if (auxiliary !== undefined) return inspectAuxiliary(request, auxiliary, scope, digestKey);
  const found = inspect(request, scope, digestKey, classify);
  return !(found instanceof Refusal) && isTooComplex(found.body) ? tooComplex : found;
}

const tooComplex = new Refusal(
  'body_too_complex',
  `The body has more than ${partsMax} objects, lists and members.`,
);

/** A request without its body, and how it is inspected, as another thread can take it. */
export interface ToInspect extends Pick<Received, 'headers' | 'endpoint'> {
  readonly inspecting: Omit<Inspecting, 'scope'>;
  readonly scope: NumberedScope;
}

/** What a thread is told of a request. */
export const orderOf = (
  { headers, endpoint }: Pick<Received, 'headers' | 'endpoint'>,
  { scope, ...inspecting }: Inspecting,
): ToInspect => ({
  headers,
  endpoint,
  inspecting,
  scope: numbered(scope),
});

/** What was found; the body only if it was edited. */
export type Inspected = Omit<ModelRequest, 'body'>;

/** Inspects a request in a thread, where buffers come as plain bytes. */
export const work: Work<ToInspect, Inspected> = (body, { inspecting, scope, ...request }) => {
  const { digestKey, classify } = inspecting;
  const here = { scope: scopeOf(scope), digestKey: Buffer.from(digestKey), classify };
  const found = inspectNow({ ...request, body }, here);
  if (found instanceof Refusal) return found;
  const { body: leaving, ...value } = found;
  return { value, body: leaving === body ? null : leaving };
};
