/** Writes the script of a reply: what goes on the wire, when, and where a fault strikes. No I/O. */
import { gzipSync } from 'node:zlib';
import { bedrockEvent, bedrockException } from './bedrock.ts';
import { cohereErrorEvent } from './cohere.ts';
import { errorBody, midwayError } from './errors.ts';
import type { Dialect, Step } from './exchange.ts';
import type { FaultName } from './faults.ts';
import { generator, mix, type Random } from './random.ts';
import type { Scenario } from './scenario.ts';

/** One step of a script. `settle` gives the client time to read; `reset` closes with a TCP reset. */
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
  /** Without `content-length`. Names and values alternate. */
  readonly headers: readonly string[];
  readonly body: string | Buffer | readonly Step[];
  /** Encoding of a stream; `latin1` if its text represents bytes. */
  readonly encoding: 'utf8' | 'latin1';
  /** Tokens of all answers, which determine how long a whole body takes. */
  readonly outputTokens: number;
}

/** Longest time a fault hangs if the client doesn't leave before, in ms. */
const hangMaxMs = 600_000;
const slowHeadersMs = 1000;
/** Between the last bytes and a reset, which may discard what the client hasn't read. */
const settleMs = 20;

const end: Action = { do: 'end' };
const reset: Action = { do: 'reset' };
const settle: Action = { do: 'settle', ms: settleMs };

/** Whether a body is a stream of events. */
export const isSteps = (body: Wire['body']): body is readonly Step[] => Array.isArray(body);

/** Whether the reply is sent at once, in one write, without a script. */
export function isImmediate(wire: Wire, scenario: Scenario, fault: FaultName | null): boolean {
  if (fault !== null) return false;
  if (isSteps(wire.body)) return scenario.ttftMs === 0 && scenario.tokensPerSecond === 0;
  return scenario.delayMs === null
    ? scenario.ttftMs === 0 && scenario.tokensPerSecond === 0
    : scenario.delayMs === 0;
}

/** The status line and headers of a whole body, with its length. */
export function wholeHead(wire: Wire, body: string | Buffer): Action & { do: 'head' } {
  const headers = [...wire.headers, 'content-length', String(Buffer.byteLength(body))];
  return { do: 'head', status: wire.status, headers };
}

/** The status line and headers without a length. @param more further names and values, alternating */
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
const bytesOf = ({ encoding }: Wire, text: string | Buffer): string | Buffer =>
  encoding === 'utf8' || typeof text !== 'string' ? text : Buffer.from(text, encoding);

function wait(ms: number, scenario: Scenario, random: Random): Action {
  return { do: 'wait', ms: scenario.jitter === 0 ? ms : ms * (1 + scenario.jitter * (2 * random() - 1)) };
}

/** Silence: for `holdMs`, then returns true; or until the client leaves or `hangMaxMs`, then resets. */
function* hold(scenario: Scenario): Generator<Action, boolean> {
  yield { do: 'wait', ms: scenario.holdMs ?? hangMaxMs };
  if (scenario.holdMs === null) yield reset;
  return scenario.holdMs !== null;
}

/** Writes events at their pace. @param begun whether content was sent before */
function* paced(
  wire: Wire,
  steps: readonly Step[],
  scenario: Scenario,
  random: Random,
  begun = false,
): Generator<Action> {
  const gapMs = scenario.tokensPerSecond === 0 ? 0 : 1000 / scenario.tokensPerSecond;
  let isFirst = !begun;
  let together = '';
  for (const step of steps) {
    const ms = step.kind !== 'content' ? 0 : isFirst ? scenario.ttftMs : gapMs;
    if (step.kind === 'content') isFirst = false;
    if (ms > 0) {
      if (together !== '') yield { do: 'write', bytes: bytesOf(wire, together) };
      together = '';
      yield wait(ms, scenario, random);
    }
    together += step.text;
  }
  if (together !== '') yield { do: 'write', bytes: bytesOf(wire, together) };
}

/** Index of the event that follows `count` content events; after all content if there is less. */
function cutAfter(steps: readonly Step[], count: number): number {
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

/** Bytes that are neither an SSE field nor UTF-8, without an end of line. */
const garbage = Buffer.from('event data {"choices"\ndata: {"id":"\xff\xfe\xc3\x28\x00', 'latin1');

let bombMember: Buffer | null = null;

/** A gzip file may have many members: one of 1 MiB is compressed once and sent repeatedly. */
function* bomb(sizeMb: number): Generator<Action> {
  bombMember ??= gzipSync(Buffer.alloc(1024 * 1024, ' '));
  for (let sent = 0; sent < sizeMb; sent++) yield { do: 'write', bytes: bombMember };
}

function* compressed(
  wire: Wire,
  text: string | Buffer,
  fault: FaultName,
  scenario: Scenario,
): Generator<Action> {
  yield openHead(wire, 'content-encoding', 'gzip');
  if (fault === 'gzip_bomb') yield* bomb(scenario.sizeMb);
  else {
    const packed = gzipSync(bytesOf(wire, text));
    yield { do: 'write', bytes: packed.subarray(0, packed.length >> 1) };
  }
  yield end;
}

function* byteByByte(wire: Wire, text: string | Buffer): Generator<Action> {
  yield openHead(wire);
  const bytes = typeof text === 'string' ? Buffer.from(text, wire.encoding) : text;
  for (let at = 0; at < bytes.length; at++) yield { do: 'write', bytes: bytes.subarray(at, at + 1) };
  yield end;
}

function midwayEvent(wire: Wire, fault: FaultName): string {
  const error = errorBody(wire.dialect, midwayError(wire.dialect), wire.requestId);
  if (fault === 'raw_json_in_stream') return `${error}\n\n`;
  if (wire.dialect === 'cohere') return cohereErrorEvent(midwayError('cohere').message);
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
  scenario: Scenario,
  fault: FaultName | null,
  random: Random,
): Generator<Action> {
  const opened = fault === 'reset_after_headers' || fault === 'no_first_token';
  const cut = cutAfter(steps, opened ? 0 : scenario.afterTokens);
  const before = steps.slice(0, cut);
  const rest = steps.slice(cut);
  const begun = before.some((step) => step.kind === 'content');
  if (fault === 'slow_headers') yield { do: 'wait', ms: scenario.holdMs ?? slowHeadersMs };
  yield openHead(wire);
  switch (fault) {
    case 'reset_after_headers':
    case 'cut_stream':
      yield* paced(wire, before, scenario, random);
      yield settle;
      yield reset;
      return;
    case 'end_early':
      yield* paced(wire, before, scenario, random);
      break;
    case 'finish_without_done':
      yield* paced(
        wire,
        steps.filter((step) => step.kind !== 'last'),
        scenario,
        random,
      );
      break;
    case 'no_first_token':
    case 'stall':
      yield* paced(wire, before, scenario, random);
      if (!(yield* hold(scenario))) return;
      yield* paced(wire, rest, scenario, random, true);
      break;
    case 'error_event':
    case 'raw_json_in_stream':
      yield* paced(wire, before, scenario, random);
      yield { do: 'write', bytes: bytesOf(wire, midwayEvent(wire, fault)) };
      break;
    case 'malformed_json':
      yield* paced(wire, before, scenario, random);
      yield { do: 'write', bytes: bytesOf(wire, brokenEvent(wire, rest[0])) };
      yield* paced(wire, rest.slice(1), scenario, random, begun);
      break;
    case 'malformed_sse':
      yield* paced(wire, before, scenario, random);
      yield { do: 'write', bytes: garbage };
      break;
    default:
      yield* paced(wire, steps, scenario, random);
  }
  yield end;
}

function* wholeScript(
  wire: Wire,
  body: string | Buffer,
  scenario: Scenario,
  fault: FaultName | null,
  random: Random,
): Generator<Action> {
  const gapMs = scenario.tokensPerSecond === 0 ? 0 : 1000 / scenario.tokensPerSecond;
  const ms = scenario.delayMs ?? scenario.ttftMs + gapMs * Math.max(0, wire.outputTokens - 1);
  if (ms > 0) yield wait(ms, scenario, random);
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
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
      if (fault === 'slow_headers') yield { do: 'wait', ms: scenario.holdMs ?? slowHeadersMs };
      else if (!(yield* hold(scenario))) return;
      break;
    case 'stall':
      yield wholeHead(wire, body);
      yield { do: 'write', bytes: half };
      if (!(yield* hold(scenario))) return;
      yield { do: 'write', bytes: bytes.subarray(half.length) };
      yield end;
      return;
    case 'error_event':
    case 'raw_json_in_stream':
      yield* whole(wire, errorBody(wire.dialect, midwayError(wire.dialect), wire.requestId));
      return;
    case 'malformed_json':
    case 'malformed_sse':
      yield* whole(wire, bytes.subarray(0, -3));
      return;
  }
  yield* whole(wire, body);
}

function* whole(wire: Wire, body: string | Buffer): Generator<Action> {
  yield wholeHead(wire, body);
  yield { do: 'write', bytes: body };
  yield end;
}

/** The script of a reply. @param fault of kind `wire`, or null */
export function* script(wire: Wire, scenario: Scenario, fault: FaultName | null): Generator<Action> {
  const { body } = wire;
  if (fault === 'reset_before_headers') {
    yield reset;
    return;
  }
  if (fault === 'gzip_bomb' || fault === 'truncated_gzip' || fault === 'split_everywhere') {
    const text = isSteps(body) ? joined(body) : body;
    if (fault === 'split_everywhere') yield* byteByByte(wire, text);
    else yield* compressed(wire, text, fault, scenario);
    return;
  }
  const random = generator(mix(scenario.seed) ^ wire.outputTokens);
  if (isSteps(body)) yield* streamScript(wire, body, scenario, fault, random);
  else yield* wholeScript(wire, body, scenario, fault, random);
}
