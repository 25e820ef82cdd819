/** Headers that all dialects read the same way. */
import type { IncomingHttpHeaders } from 'node:http';

/** Reads `retry-after-ms`, `Retry-After` (seconds or date) in ms from now; null when absent or senseless. */
export function retryAfterMs(headers: IncomingHttpHeaders, wallMs: number): number | null {
  const exact = Number(headers['retry-after-ms'] ?? Number.NaN);
  if (Number.isFinite(exact) && exact >= 0) return exact;
  const value = headers['retry-after'];
  if (value === undefined) return null;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return seconds >= 0 ? seconds * 1000 : null;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - wallMs);
}

/** A duration as OpenAI writes it, "1s", "6m0s", "20ms" or "1h2m3.5s", in ms; null: it is none. */
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

/** One of a provider's limits, as its headers show it. */
export interface LimitState {
  /** Left of it now; null: the provider doesn't say. */
  readonly remaining: string | undefined;
  /** Ms until it is whole again; null: the provider doesn't say. */
  readonly resetMs: number | null;
}

/** Ms until the limits that are used up reset; where none is, the first of those that will. Null: nothing is said. */
export function resetMs(limits: readonly LimitState[]): number | null {
  const told = limits.filter((limit): limit is LimitState & { resetMs: number } => limit.resetMs !== null);
  if (told.length === 0) return null;
  const spent = told.filter(({ remaining }) => remaining === undefined || Number(remaining) <= 0);
  return spent.length > 0
    ? Math.max(...spent.map((limit) => limit.resetMs))
    : Math.min(...told.map((limit) => limit.resetMs));
}

/** A header's one value. */
export const headerOf = (headers: IncomingHttpHeaders, name: string): string | undefined => {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
};

/** Adds those of the client's headers that a dialect passes on. */
export function passHeaders(names: readonly string[], from: IncomingHttpHeaders, to: string[]): void {
  for (const name of names) {
    const value = from[name];
    if (typeof value === 'string') to.push(name, value);
  }
}
