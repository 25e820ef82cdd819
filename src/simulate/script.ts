/** Writes the script of a reply: what goes on the wire, when, and where a fault strikes. No I/O. */
import { gzipSync } from 'node:zlib';
import { bedrockEvent, bedrockException } from './bedrock.ts';
import { errorBody, midwayError } from './errors.ts';
import type { Dialect, Step } from './exchange.ts';
import type { FaultName } from './faults.ts';
import type { Plan } from './plan.ts';
import { generator, mix, type Random } from './random.ts';

/** One act of a script. `settle` lets the client read what was sent; `reset` closes with a TCP reset. */
export type Action =
  | { readonly do: 'head'; readonly status: number; readonly headers: readonly string[] }
  | { readonly do: 'write'; readonly bytes: string | Buffer }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'settle'; readonly ms: number }
  | { readonly do: 'end' }
  | { readonly do: 'reset' };

/** A reply ready for the wire: a whole body, or the events of a stream. */
export interface Wire {
  readonly dialect: Dialect;
  readonly requestId: string;
  readonly status: number;
  /** Without `content-length`. */
  readonly headers: readonly string[];
  readonly body: string | readonly Step[];
  /** Of a stream: `latin1` where its text stands for bytes. */
  readonly encoding: 'utf8' | 'latin1';
  /** Tokens of all answers, for the time a whole body takes. */
  readonly outputTokens: number;
}

/** A fault that hangs ends after this time at most, when the client hasn't left before. */
export const hangMaxMs = 600_000;
const slowHeadersMs = 1000;
/** Between the last bytes and a reset: what the client hasn't read by then, the reset may discard. */
const settleMs = 20;

const end: Action = { do: 'end' };
const reset: Action = { do: 'reset' };
const settle: Action = { do: 'settle', ms: settleMs };

/** Whether the reply goes out at once, as one write, without a script. */
export function isImmediate(wire: Wire, plan: Plan, fault: FaultName | null): boolean {
  if (fault !== null) return false;
  if (typeof wire.body !== 'string') return plan.ttftMs === 0 && plan.tokensPerSecond === 0;
  return plan.delayMs === null ? plan.ttftMs === 0 && plan.tokensPerSecond === 0 : plan.delayMs === 0;
}

/** The status line and headers of a whole body. */
export function wholeHead(wire: Wire, body: string): Action & { do: 'head' } {
  const headers = [...wire.headers, 'content-length', String(Buffer.byteLength(body))];
  return { do: 'head', status: wire.status, headers };
}

/** The status line and headers where the length isn't told. */
export function openHead(wire: Wire, ...more: string[]): Action & { do: 'head' } {
  return { do: 'head', status: wire.status, headers: [...wire.headers, ...more] };
}

/** Joins the events of a stream. */
export function joined(steps: readonly Step[]): string {
  let text = '';
  for (const step of steps) text += step.text;
  return text;
}

/** Text as it goes on the wire. */
const bytesOf = ({ encoding }: Wire, text: string): string | Buffer =>
  encoding === 'utf8' ? text : Buffer.from(text, encoding);

function wait(ms: number, plan: Plan, random: Random): Action {
  return { do: 'wait', ms: plan.jitter === 0 ? ms : ms * (1 + plan.jitter * (2 * random() - 1)) };
}

/** Silence: for `holdMs`, after which the reply goes on, or until the client leaves. */
function* hold(plan: Plan): Generator<Action, boolean> {
  yield { do: 'wait', ms: plan.holdMs ?? hangMaxMs };
  if (plan.holdMs === null) yield reset;
  return plan.holdMs !== null;
}

/** Writes events at their pace; `begun` says that content went out before. */
function* paced(
  wire: Wire,
  steps: readonly Step[],
  plan: Plan,
  random: Random,
  begun = false,
): Generator<Action> {
  const gapMs = plan.tokensPerSecond === 0 ? 0 : 1000 / plan.tokensPerSecond;
  let isFirst = !begun;
  let together = '';
  for (const step of steps) {
    const ms = step.kind !== 'content' ? 0 : isFirst ? plan.ttftMs : gapMs;
    if (step.kind === 'content') isFirst = false;
    if (ms > 0) {
      if (together !== '') yield { do: 'write', bytes: bytesOf(wire, together) };
      together = '';
      yield wait(ms, plan, random);
    }
    together += step.text;
  }
  if (together !== '') yield { do: 'write', bytes: bytesOf(wire, together) };
}

/**
 * Where the stream stands after `count` content events, before the next; after all content if there
 * are fewer.
 */
export function cutAfter(steps: readonly Step[], count: number): number {
  let left = count;
  let lastContent = -1;
  for (const [at, step] of steps.entries()) {
    if (step.kind !== 'content') continue;
    if (left === 0) return at;
    left--;
    lastContent = at;
  }
  return lastContent === -1
    ? Math.max(
        0,
        steps.findIndex((step) => step.kind === 'close'),
      )
    : lastContent + 1;
}

/** Neither a field of SSE nor UTF-8, and no end of line. */
const garbage = Buffer.from('event data {"choices"\ndata: {"id":"\xff\xfe\xc3\x28\x00', 'latin1');

let bombMember: Buffer | null = null;

/** A gzip file may have many members; one of 1 MB is packed once and sent again and again. */
function* bomb(sizeMb: number): Generator<Action> {
  bombMember ??= gzipSync(Buffer.alloc(1024 * 1024, ' '));
  for (let sent = 0; sent < sizeMb; sent++) yield { do: 'write', bytes: bombMember };
}

function* compressed(wire: Wire, text: string, fault: FaultName, plan: Plan): Generator<Action> {
  yield openHead(wire, 'content-encoding', 'gzip');
  if (fault === 'gzip_bomb') yield* bomb(plan.sizeMb);
  else {
    const packed = gzipSync(bytesOf(wire, text));
    yield { do: 'write', bytes: packed.subarray(0, packed.length >> 1) };
  }
  yield end;
}

function* byteByByte(wire: Wire, text: string): Generator<Action> {
  yield openHead(wire);
  const bytes = Buffer.from(text, wire.encoding);
  for (let at = 0; at < bytes.length; at++) yield { do: 'write', bytes: bytes.subarray(at, at + 1) };
  yield end;
}

function midwayEvent(wire: Wire, fault: FaultName): string {
  const error = errorBody(wire.dialect, midwayError(wire.dialect), wire.requestId);
  if (fault === 'raw_json_in_stream') return `${error}\n\n`;
  if (wire.dialect === 'bedrock') return bedrockException(error);
  if (wire.dialect === 'responses') {
    const { message } = midwayError(wire.dialect);
    const event = { type: 'error', sequence_number: 0, code: 'server_error', message, param: null };
    return `event: error\ndata: ${JSON.stringify(event)}\n\n`;
  }
  return wire.dialect === 'anthropic' ? `event: error\ndata: ${error}\n\n` : `data: ${error}\n\n`;
}

/** An event that ends in the middle of its JSON. */
function brokenEvent({ dialect }: Wire, whole: Step | undefined): string {
  if (dialect === 'bedrock') return bedrockEvent('contentBlockDelta', '{"contentBlockIndex":0,"delta":{"te');
  return `${(whole?.text ?? 'data: {').trimEnd().slice(0, -3)}\n\n`;
}

function* streamScript(
  wire: Wire,
  steps: readonly Step[],
  plan: Plan,
  fault: FaultName | null,
  random: Random,
): Generator<Action> {
  const opened = fault === 'reset_after_headers' || fault === 'no_first_token';
  const cut = cutAfter(steps, opened ? 0 : plan.afterTokens);
  const before = steps.slice(0, cut);
  const rest = steps.slice(cut);
  const begun = before.some((step) => step.kind === 'content');
  if (fault === 'slow_headers') yield { do: 'wait', ms: plan.holdMs ?? slowHeadersMs };
  yield openHead(wire);
  switch (fault) {
    case 'reset_after_headers':
    case 'cut_stream':
      yield* paced(wire, before, plan, random);
      yield settle;
      yield reset;
      return;
    case 'end_early':
      yield* paced(wire, before, plan, random);
      break;
    case 'finish_without_done':
      yield* paced(
        wire,
        steps.filter((step) => step.kind !== 'last'),
        plan,
        random,
      );
      break;
    case 'no_first_token':
    case 'stall':
      yield* paced(wire, before, plan, random);
      if (!(yield* hold(plan))) return;
      yield* paced(wire, rest, plan, random, true);
      break;
    case 'error_event':
    case 'raw_json_in_stream':
      yield* paced(wire, before, plan, random);
      yield { do: 'write', bytes: bytesOf(wire, midwayEvent(wire, fault)) };
      break;
    case 'malformed_json':
      yield* paced(wire, before, plan, random);
      yield { do: 'write', bytes: bytesOf(wire, brokenEvent(wire, rest[0])) };
      yield* paced(wire, rest.slice(1), plan, random, begun);
      break;
    case 'malformed_sse':
      yield* paced(wire, before, plan, random);
      yield { do: 'write', bytes: garbage };
      break;
    default:
      yield* paced(wire, steps, plan, random);
  }
  yield end;
}

function* wholeScript(
  wire: Wire,
  body: string,
  plan: Plan,
  fault: FaultName | null,
  random: Random,
): Generator<Action> {
  const gapMs = plan.tokensPerSecond === 0 ? 0 : 1000 / plan.tokensPerSecond;
  const ms = plan.delayMs ?? plan.ttftMs + gapMs * Math.max(0, wire.outputTokens - 1);
  if (ms > 0) yield wait(ms, plan, random);
  const bytes = Buffer.from(body);
  const half = bytes.subarray(0, bytes.length >> 1);
  switch (fault) {
    case 'reset_after_headers':
    case 'cut_stream':
      yield wholeHead(wire, body);
      if (fault === 'cut_stream') yield { do: 'write', bytes: half };
      yield settle;
      yield reset;
      return;
    case 'end_early':
      yield openHead(wire);
      yield { do: 'write', bytes: half };
      yield end;
      return;
    case 'no_first_token':
    case 'slow_headers':
      if (fault === 'slow_headers') yield { do: 'wait', ms: plan.holdMs ?? slowHeadersMs };
      else if (!(yield* hold(plan))) return;
      break;
    case 'stall':
      yield wholeHead(wire, body);
      yield { do: 'write', bytes: half };
      if (!(yield* hold(plan))) return;
      yield { do: 'write', bytes: bytes.subarray(half.length) };
      yield end;
      return;
    case 'error_event':
    case 'raw_json_in_stream':
      yield* whole(wire, errorBody(wire.dialect, midwayError(wire.dialect), wire.requestId));
      return;
    case 'malformed_json':
    case 'malformed_sse':
      yield* whole(wire, body.slice(0, -3));
      return;
  }
  yield* whole(wire, body);
}

function* whole(wire: Wire, body: string): Generator<Action> {
  yield wholeHead(wire, body);
  yield { do: 'write', bytes: body };
  yield end;
}

/** The script of a reply under a plan and a fault of kind `wire`, or none. */
export function* script(wire: Wire, plan: Plan, fault: FaultName | null): Generator<Action> {
  const { body } = wire;
  if (fault === 'reset_before_headers') {
    yield reset;
    return;
  }
  if (fault === 'gzip_bomb' || fault === 'truncated_gzip' || fault === 'split_everywhere') {
    const text = typeof body === 'string' ? body : joined(body);
    if (fault === 'split_everywhere') yield* byteByByte(wire, text);
    else yield* compressed(wire, text, fault, plan);
    return;
  }
  const random = generator(mix(plan.seed) ^ wire.outputTokens);
  if (typeof body === 'string') yield* wholeScript(wire, body, plan, fault, random);
  else yield* streamScript(wire, body, plan, fault, random);
}
