/** Inspects a request where its size allows: a small one at once, a large one in a thread. */
import type { Aside } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { scriptOf } from '../base/place.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { noFindings } from '../native/pii.ts';
import { type Inspected, type Inspecting, inspectNow, orderOf, type ToInspect } from './request.ts';

/**
 * Bodies up to this size are inspected at once. That takes 2 ns a byte of prose, and 0.4 µs of the worst that is known
 * (`4 (4 (4 (…`), so 25 ms at most.
 */
const atOnceMaxBytes = 64 * 1024;

const module = scriptOf('inspect/request').href;

/** Inspects a request. Refuses one that no provider could read either. @param deadlineMs monotonic ms */
export function inspectRequest(
  exchange: Exchange,
  inspecting: Inspecting,
  aside: Aside,
  deadlineMs: number,
): ModelRequest | Refusal | Promise<ModelRequest | Refusal> {
  return exchange.body.length <= atOnceMaxBytes
    ? inspectNow(exchange, inspecting)
    : inspectAside(exchange, inspecting, aside, deadlineMs);
}

async function inspectAside(
  exchange: Exchange,
  inspecting: Inspecting,
  aside: Aside,
  deadlineMs: number,
): Promise<ModelRequest | Refusal> {
  const { body, cancellation } = exchange;
  const order = orderOf(exchange, inspecting);
  const done = await aside.run<ToInspect, Inspected>(module, body, order, { cancellation, deadlineMs });
  if (done instanceof Refusal) return done;
  const { value, body: edited } = done;
  // A clone of the empty list is another object.
  const findings = value.findings.length === 0 ? noFindings : value.findings;
  return { ...value, findings, body: edited ?? body };
}
