/** Reads and writes headers that several dialects share. */
import type { IncomingHttpHeaders } from 'node:http';

/** Reads `retry-after-ms` or `Retry-After` (seconds or a date), in ms from now; null: absent or invalid. */
export function retryAfterMs(headers: IncomingHttpHeaders, wallMs: number): number | null {
  // An empty text is no number, though `Number` takes it for 0.
  const exact = Number(headers['retry-after-ms'] || Number.NaN);
  if (Number.isFinite(exact) && exact >= 0) return exact;
  const value = headers['retry-after'];
  if (value === undefined || value === '') return null;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return seconds >= 0 ? seconds * 1000 : null;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - wallMs);
}

/** A duration as OpenAI writes it, "1s", "6m0s", "20ms" or "1h2m3.5s", in ms; null: invalid. */
export function durationMs(text: string): number | null {
  const parts = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/.exec(
    text,
  );
  if (parts === null || text === '') return null;
  const [days = 0, hours = 0, minutes = 0, seconds = 0, ms = 0] = parts
    .slice(1)
    .map((part) => Number(part ?? 0));
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms;
}

/** A reset as it is said: a duration, seconds, an RFC 3339 date, or an epoch in seconds or ms. Ms from now; null: unknown. */
export function resetValueMs(text: string, wallMs: number): number | null {
  if (!/^\d+(?:\.\d+)?$/.test(text)) {
    const date = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
    return Number.isNaN(date) ? durationMs(text) : Math.max(0, date - wallMs);
  }
  const number = Number(text);
  if (number >= 1e12) return Math.max(0, number - wallMs);
  if (number >= 1e9) return Math.max(0, number * 1000 - wallMs);
  return number * 1000;
}

/** Limits whose headers are read: `x-ratelimit-{remaining,reset}-requests`, and the same without a name. */
const limitNames = ['-requests', '-tokens', ''];
/** Anthropic's: each ends in `-remaining` and `-reset`. https://docs.anthropic.com/en/api/rate-limits#response-headers */
const anthropicNames = ['requests', 'tokens', 'input-tokens', 'output-tokens'];

/** The rate limits that a response's headers report, by the names of all providers. */
function limitStates(headers: IncomingHttpHeaders, wallMs: number): LimitState[] {
  const state = (remaining: string, reset: string): LimitState => ({
    remaining: headerOf(headers, remaining),
    resetMs: resetValueMs(headerOf(headers, reset) ?? '', wallMs),
  });
  const states = limitNames.map((name) => state(`x-ratelimit-remaining${name}`, `x-ratelimit-reset${name}`));
  // Azure's 0 means unknown.
  const known = states.filter(({ resetMs }) => resetMs !== 0);
  for (const name of anthropicNames)
    known.push(state(`anthropic-ratelimit-${name}-remaining`, `anthropic-ratelimit-${name}-reset`));
  known.push(state('ratelimit-remaining', 'ratelimit-reset'));
  return known;
}

/** Google's `RetryInfo`, also inside a list. */
const retryDelay = /"retryDelay"\s*:\s*"(\d{1,7}(?:\.\d{1,9})?)s"/;
/** "Please try again in 6m0.5s", "Please retry after 17 seconds", "resets in ~30s", "try again in 20ms". */
const sentence =
  /(?:try again|retry|resets?)\s+(?:after|in)\s+~?((?:\d{1,6}(?:\.\d{1,9})?\s*(?:ms|milliseconds?|d|h|m|s|minutes?|seconds?|hours?)\b\s*|\d{1,6}(?:\.\d{1,9})?[dhms](?=\d))+)/i;

/** A duration of a sentence, in ms; null: none. */
function sentenceMs(text: string): number | null {
  const said = sentence.exec(text)?.[1]?.toLowerCase();
  if (said === undefined) return null;
  const short = said
    .replace(/\s+/g, '')
    .replace(/milliseconds?/g, 'ms')
    .replace(/(hour|minute|second)s?/g, (unit) => unit.charAt(0));
  return durationMs(short);
}

/**
 * How long a provider asks to wait, in ms, wherever it says so: `Retry-After`, `RetryInfo`, the reset of the limits that
 * are used up, a sentence, or the first reset. Null: nowhere.
 * @param text the error's body
 * @param resets the reset of limits counts too
 */
export function waitMs(
  headers: IncomingHttpHeaders,
  text: string,
  wallMs: number,
  resets: boolean,
): number | null {
  const own = retryAfterMs(headers, wallMs);
  if (own !== null) return own;
  const delay = retryDelay.exec(text)?.[1];
  if (delay !== undefined) return Math.ceil(Number(delay) * 1000);
  if (!resets) return sentenceMs(text);
  const limits = resetting(limitStates(headers, wallMs));
  const spent = limits.filter(({ remaining }) => remaining === undefined || Number(remaining) <= 0);
  if (spent.length > 0) return Math.max(...spent.map(({ resetMs }) => resetMs));
  // Where what is left of each isn't enough for a request, only the sentence says when there will be.
  return sentenceMs(text) ?? (limits.length > 0 ? Math.min(...limits.map(({ resetMs }) => resetMs)) : null);
}

/** One of a provider's rate limits, as its headers report it. */
interface LimitState {
  /** What is left of it; undefined: the provider doesn't say. */
  readonly remaining: string | undefined;
  /** Ms until it is full again; null: the provider doesn't say. */
  readonly resetMs: number | null;
}

/** Those of which it is known when they are full again. */
const resetting = (limits: readonly LimitState[]) =>
  limits.filter((limit): limit is LimitState & { resetMs: number } => limit.resetMs !== null);

/** The value of a header that was sent once; otherwise undefined. */
export const headerOf = (headers: IncomingHttpHeaders, name: string): string | undefined => {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
};

/** Appends the named headers of the client to the flat list `to`. */
export function passHeaders(names: readonly string[], from: IncomingHttpHeaders, to: string[]): void {
  for (const name of names) {
    const value = from[name];
    if (typeof value === 'string') to.push(name, value);
  }
}
