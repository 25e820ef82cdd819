/** Puts what limits tell of into metrics, and what somebody should know into the log. */
import type { Log } from '../base/log.ts';
import type { LimitEvent, OnLimitEvent } from './report.ts';

const texts: Readonly<Partial<Record<LimitEvent, string>>> = {
  soft: 'a soft limit was crossed',
  observed: 'a limit in observe mode would have refused',
  unpriced: 'a limit in dollars met a model without a known price',
  overflow: 'more scopes than are kept: newcomers share a meter',
};

/** The same notice is not logged sooner again; metrics count every time. */
const quietMs = 1000;
/** Notices remembered for that. */
const noticesMax = 1000;

/** @param count adds to the metric */
export function createNotices(
  log: Log,
  count: (limit: string, event: LimitEvent) => void,
  clock: () => number,
): OnLimitEvent {
  const last = new Map<string, number>();
  return (limit, event, place) => {
    count(limit, event);
    const text = texts[event];
    if (text === undefined) return;
    const nowMs = clock();
    const key = `${limit}\0${event}\0${place}`;
    const beforeMs = last.get(key);
    if (beforeMs !== undefined && nowMs - beforeMs < quietMs) return;
    if (last.size >= noticesMax) last.clear();
    last.set(key, nowMs);
    log.warn({ limit, event, scope: place }, text);
  };
}
