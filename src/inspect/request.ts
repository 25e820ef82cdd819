/** Inspects any request here and now: on the main thread, or as the work of another one. */
import type { Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { PiiScope } from '../native/pii.ts';
import { inspectAuxiliary } from './auxiliary.ts';
import { inspect, type Received } from './inspect.ts';

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
  return auxiliary === undefined
    ? inspect(request, scope, digestKey, classify)
    : inspectAuxiliary(request, auxiliary, scope, digestKey);
}

/** A request without its body, and how it is inspected. */
export interface ToInspect extends Pick<Received, 'headers' | 'endpoint'> {
  readonly inspecting: Inspecting;
}

/** What was found; the body only if it was edited. */
export type Inspected = Omit<ModelRequest, 'body'>;

/** Inspects a request in a thread, where buffers come as plain bytes. */
export const work: Work<ToInspect, Inspected> = (body, { inspecting, ...request }) => {
  const { scope, digestKey, classify } = inspecting;
  const found = inspectNow(
    { ...request, body },
    {
      scope: { ...scope, tenant: Buffer.from(scope.tenant) },
      digestKey: Buffer.from(digestKey),
      classify,
    },
  );
  if (found instanceof Refusal) return found;
  const { body: leaving, ...value } = found;
  return { value, body: leaving === body ? null : leaving };
};
