/** Reads and writes headers that several dialects share. */
import type { IncomingHttpHeaders } from 'node:http';

/** Reads `retry-after-ms` or `Retry-After` (seconds or a date), in ms from now; null: absent or invalid. */
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

/** One of a provider's rate limits, as its headers report it. */
export interface LimitState {
  /** What is left of it; undefined: the provider doesn't say. */
  readonly remaining: string | undefined;
  /** Ms until it is full again; null: the provider doesn't say. */
  readonly resetMs: number | null;
}

/** Ms until all limits that are used up have reset; if none is, until the first reset. Null: unknown. */
export function resetMs(limits: readonly LimitState[]): number | null {
  const known = limits.filter((limit): limit is LimitState & { resetMs: number } => limit.resetMs !== null);
  if (known.length === 0) return null;
  const spent = known.filter(({ remaining }) => remaining === undefined || Number(remaining) <= 0);
  return spent.length > 0
    ? Math.max(...spent.map((limit) => limit.resetMs))
    : Math.min(...known.map((limit) => limit.resetMs));
}

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
