/** Decides which events of limits are logged: those that need attention, and repeated ones rarely. */
import type { Log } from '../base/log.ts';
import type { LimitEvent } from '../base/telemetry.ts';

const texts: Readonly<Partial<Record<LimitEvent, string>>> = {
  soft: 'a soft limit was crossed',
  observed: 'a limit in observe mode would have refused',
  unpriced: 'a limit in dollars applies to a model without a known price',
  overflow: 'too many scopes: new ones share one meter',
};

/** Shortest time between two identical notices. */
const quietMs = 1000;
/** Most notices remembered for that. */
const noticesMax = 1000;

/** Creates the function that logs events of limits. @param clock monotonic ms */
export function createNotices(
  log: Log,
  clock: () => number,
): (limit: string, event: LimitEvent, scope: string) => void {
  const last = new Map<string, number>();
  return (limit, event, scope) => {
    const text = texts[event];
    if (text === undefined) return;
    const nowMs = clock();
    const key = `${limit}\0${event}\0${scope}`;
    const beforeMs = last.get(key);
    if (beforeMs !== undefined && nowMs - beforeMs < quietMs) return;
    if (last.size >= noticesMax) last.clear();
    last.set(key, nowMs);
    log.warn({ limit, event, scope }, text);
  };
}
