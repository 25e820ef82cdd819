/** The scenario of one request: the settings, overridden by `x-simulate` or a `simulate:` line in the message. */
import { type FaultName, faultNames, isFault } from './faults.ts';
import { generator, hash, mix } from './random.ts';
import { type RetryHint, ranges, retryHints } from './ranges.ts';
import type { SimulateSettings } from './settings.ts';

/** How one request is treated, except whether the fault really strikes (`FaultDraw`). */
export interface Scenario {
  readonly seed: number;
  readonly ttftMs: number;
  readonly tokensPerSecond: number;
  readonly jitter: number;
  /** Time before the headers of a reply that is not streamed; null: as long as its stream would take. */
  readonly delayMs: number | null;
  readonly replyTokens: number | { readonly min: number; readonly max: number };
  readonly contextTokens: number;
  readonly fault: FaultName | null;
  readonly failureRate: number;
  readonly afterTokens: number;
  readonly retryAfterMs: number | null;
  readonly retryHint: RetryHint;
  readonly holdMs: number | null;
  /** How often an identical request meets the fault before it is answered; null: always. */
  readonly times: number | null;
  /** Uncompressed size of `gzip_bomb`, in MiB. */
  readonly sizeMb: number;
  /** The tool that is called if it is offered, unless its result has just come; null: none by name. */
  readonly call: string | null;
}

/** The scenario of a request without overrides. */
export function baseScenario(settings: SimulateSettings): Scenario {
  return {
    seed: settings.seed,
    ttftMs: settings.ttftMs,
    tokensPerSecond: settings.tokensPerSecond,
    jitter: settings.jitter,
    delayMs: settings.delayMs ?? null,
    replyTokens: settings.replyTokens,
    contextTokens: settings.contextTokens,
    fault: settings.fault ?? null,
    failureRate: settings.failureRate,
    afterTokens: settings.afterTokens,
    retryAfterMs: settings.retryAfterMs ?? null,
    retryHint: settings.retryHint,
    holdMs: settings.holdMs ?? null,
    times: null,
    sizeMb: 1024,
    call: null,
  };
}

type Overrides = { -readonly [key in keyof Scenario]?: Scenario[key] };

const keys = [...Object.keys(ranges), 'call', 'fault', 'retryHint'].join(', ');

function number(name: keyof typeof ranges, text: string): number | string {
  const [min, max] = ranges[name];
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  const whole = name !== 'jitter' && name !== 'failureRate' && name !== 'tokensPerSecond';
  if (!(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
    const kind = whole ? 'whole number' : 'number';
    return `${name} must be a ${kind} from ${min} to ${max}, not "${text.slice(0, 40)}".`;
  }
  return value;
}

function assign(to: Overrides, name: string, text: string): string | null {
  if (name === 'fault') {
    if (text === 'none') to.fault = null;
    else if (isFault(text)) to.fault = text;
    else return `unknown fault "${text.slice(0, 40)}"; use none, ${faultNames.join(', ')}.`;
    return null;
  }
  if (name === 'call') {
    to.call = text;
    return text === '' ? 'call must name a tool.' : null;
  }
  if (name === 'retryHint') {
    const hint = retryHints.find((one) => one === text);
    if (hint === undefined) return `retryHint must be one of ${retryHints.join(', ')}.`;
    to.retryHint = hint;
    return null;
  }
  const range = /^(\d+)-(\d+)$/.exec(text);
  if (name === 'replyTokens' && range) {
    const min = number(name, range[1] ?? '');
    const max = number(name, range[2] ?? '');
    if (typeof min === 'string') return min;
    if (typeof max === 'string') return max;
    if (min > max) return `replyTokens must be lowest-highest, not "${text}".`;
    to.replyTokens = { min, max };
    return null;
  }
  if (!Object.hasOwn(ranges, name)) return `unknown key "${name.slice(0, 40)}"; use ${keys}.`;
  const key = name as keyof typeof ranges;
  const value = number(key, text);
  if (typeof value === 'string') return value;
  to[key] = value;
  return null;
}

/**
 * Applies `key=value` pairs, separated by commas, semicolons or spaces, to a scenario.
 * Returns an error sentence if a pair is malformed, unknown, out of range or repeated.
 */
export function override(scenario: Scenario, text: string): Scenario | string {
  const changes: Overrides = {};
  const seen = new Set<string>();
  for (const pair of text.split(/[\s,;]+/)) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    if (equals < 1)
      return `"${pair.slice(0, 40)}" is not key=value; an example: fault=overloaded, ttftMs=50.`;
    const name = pair.slice(0, equals);
    if (seen.has(name)) return `${name.slice(0, 40)} is given twice.`;
    seen.add(name);
    const fault = assign(changes, name, pair.slice(equals + 1));
    if (fault !== null) return fault;
  }
  // With a fault that waits, a delay can only mean how long it waits.
  const waits =
    changes.fault === 'slow_headers' || changes.fault === 'stall' || changes.fault === 'no_first_token';
  if (waits && changes.delayMs !== undefined && changes.holdMs === undefined) {
    changes.holdMs = changes.delayMs === null || changes.delayMs === 0 ? null : changes.delayMs;
    delete changes.delayMs;
  }
  // A fault requested by name always strikes, whatever rate the settings give theirs.
  if (changes.fault !== undefined && changes.failureRate === undefined) changes.failureRate = 1;
  return { ...scenario, ...changes };
}

const line = /^[ \t]*simulate:[ \t]*([A-Za-z]+=.*)$/m;

/** Removes a line `simulate: key=value, …` from a message; null if there is none. */
export function takeLine(text: string): { readonly pairs: string; readonly rest: string } | null {
  if (!text.includes('simulate:')) return null;
  const found = line.exec(text);
  if (found === null) return null;
  const rest = text.slice(0, found.index) + text.slice(found.index + found[0].length + 1);
  return { pairs: found[1] ?? '', rest: rest.trim() };
}

const repeatsMax = 1024;

/** Decides whether the fault of a scenario strikes a request. @param request its text, which identifies repeats */
export type FaultDraw = (scenario: Scenario, request: string) => FaultName | null;

/** Draws faults by the ordinal number of the request (`failureRate`) and the repeats of its text (`times`). */
export function faultDraw(): FaultDraw {
  let ordinal = 0;
  const repeats = new Map<string, number>();
  return (scenario, request) => {
    ordinal++;
    if (scenario.fault === null) return null;
    if (scenario.failureRate < 1) {
      if (generator(mix(scenario.seed) ^ Math.imul(ordinal, 0x9e3779b1))() >= scenario.failureRate)
        return null;
    }
    if (scenario.times === null) return scenario.fault;
    const key = `${scenario.fault}:${hash(request, 1)}:${hash(request, 2)}:${request.length}`;
    const before = repeats.get(key) ?? 0;
    repeats.delete(key);
    repeats.set(key, before + 1);
    for (const oldest of repeats.keys()) {
      if (repeats.size <= repeatsMax) break;
      repeats.delete(oldest);
    }
    return before < scenario.times ? scenario.fault : null;
  };
}
