/** Inspects a request where its size and its numbers allow: a small one at once, a large one in a thread. */
import type { Aside } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { scriptOf } from '../base/place.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { numeralBytes } from '../native/inspect.ts';
import { noFindings } from '../native/pii.ts';
import { type Inspected, type Inspecting, inspectNow, orderOf, type ToInspect } from './request.ts';

/**
 * What a body takes to inspect at most, of the texts that are known: 2 ns a byte of prose, 0.2 µs of the worst without
 * numbers (`secret=secret=…`), 1.2 µs of the worst with them (`1/1/1/…`, two digits of four bytes). So that none takes
 * 50 ms, it goes by the length and by the digits.
 */
const anyMaxBytes = 16 * 1024;
const fewNumbersMaxBytes = 128 * 1024;
const digitsMax = 6000;
/** Up to this size, text beyond ASCII isn't taken for digits: that would send every page of Chinese to a thread. */
const beyondAsciiMaxBytes = 64 * 1024;

function atOnce(body: Buffer): boolean {
  if (body.length <= anyMaxBytes) return true;
  if (body.length > fewNumbersMaxBytes) return false;
  return numeralBytes(body, body.length > beyondAsciiMaxBytes) <= digitsMax;
}

const module = scriptOf('inspect/request').href;

/** Inspects a request. Refuses one that no provider could read either. @param deadlineMs monotonic ms */
export function inspectRequest(
  exchange: Exchange,
  inspecting: Inspecting,
  aside: Aside,
  deadlineMs: number,
): ModelRequest | Refusal | Promise<ModelRequest | Refusal> {
  return atOnce(exchange.body)
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
