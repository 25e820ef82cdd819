/** Decides which events of limits are logged: those that need attention, and repeated ones rarely. */
import type { Log } from '../base/log.ts';
import { type LogLine, say } from '../base/log-lines.ts';
import type { LimitEvent } from '../base/telemetry.ts';

const lines: Readonly<Partial<Record<LimitEvent, LogLine>>> = {
  soft: 'limitSoft',
  observed: 'limitObserved',
  unpriced: 'limitUnpriced',
  overflow: 'limitOverflow',
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
    const line = lines[event];
    if (line === undefined) return;
    const nowMs = clock();
    const key = `${limit}\0${event}\0${scope}`;
    const beforeMs = last.get(key);
    if (beforeMs !== undefined && nowMs - beforeMs < quietMs) return;
    if (last.size >= noticesMax) last.clear();
    last.set(key, nowMs);
    say(log, line, { limit, event, scope });
  };
}
