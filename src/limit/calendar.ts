/** Calendar windows in a time zone: hours, days, weeks and months, identified by the time at which they begin. */
import type { WindowName } from './settings.ts';

/** The current window. It follows the monotonic clock, so that a jump of the time of day doesn't end a window. */
export interface Calendar {
  /** The window's id: when it began, Unix ms, or later than that, as ids only rise. @param nowMs monotonic ms */
  window(nowMs: number): number;
  /** Ms until it ends; at least 1. @param nowMs monotonic ms */
  leftMs(nowMs: number): number;
  /** When it ends, Unix ms. */
  readonly endsAt: number;
  /** No window is longer, ms. */
  readonly longestMs: number;
  /**
   * Continues a window that had begun before a restart, even one that the time of day has not reached. One of another
   * kind or time zone, as of a budget whose window was changed, is none of these.
   */
  resume(window: number, nowMs: number): void;
}

/** Shortest time before the time of day is read again, if it is still before the end of a window that has ended. */
const askAgainMs = 1000;

/**
 * A window ends once the time it had left when it was entered has passed on the monotonic clock; only then is the time
 * of day read again. So setting the clock an hour ahead and back opens no window early, and a window that has ended is
 * never entered again. (If the machine sleeps, the window ends later by that time.)
 * @param wallClock Unix ms
 * @throws RangeError for an unknown time zone
 */
export function createCalendar(kind: WindowName, timeZone: string, wallClock: () => number): Calendar {
  const zone = createZone(timeZone);
  let window = Number.NEGATIVE_INFINITY;
  let endsAt = 0;
  let endsMs = Number.NEGATIVE_INFINITY;

  // The window is ahead of the time of day, which is wrong, or was.
  let ahead = false;

  /** @param within a time in it */
  const enter = (next: number, within: number, wallMs: number, nowMs: number): void => {
    window = next;
    endsAt = windowStart(kind, zone, within, 1);
    endsMs = nowMs + Math.max(askAgainMs, endsAt - wallMs);
  };
  const current = (nowMs: number): void => {
    if (nowMs < endsMs) return;
    const wallMs = wallClock();
    const next = windowStart(kind, zone, wallMs, 0);
    ahead &&= next <= window;
    // A budget that is in a window enters none before it.
    if (ahead) enter(window + 1, next, wallMs, nowMs);
    else enter(Math.max(window, next), Math.max(window, next), wallMs, nowMs);
  };

  /** Ids rise by 1 where the time of day doesn't; windows of other kinds and zones begin minutes apart. */
  const isOurs = (id: number): boolean => id - windowStart(kind, zone, id, 0) < minuteMs;

  return {
    window(nowMs) {
      current(nowMs);
      return window;
    },
    leftMs(nowMs) {
      current(nowMs);
      return Math.max(1, endsMs - nowMs);
    },
    get endsAt() {
      return endsAt;
    },
    longestMs: longestMs[kind],
    resume(earlier, nowMs) {
      current(nowMs);
      if (earlier <= window || !isOurs(earlier)) return;
      ahead = earlier > endsAt;
      enter(earlier, earlier, wallClock(), nowMs);
      // For as long as one window, no money is given out twice; then the clock counts, whatever it says.
      if (ahead) endsMs = nowMs + (endsAt - earlier);
    },
  };
}

/** A local date and minute in a time zone. Months start at 1. */
interface LocalTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly minute: number;
}

type Zone = (ms: number) => LocalTime;

/** Converts Unix ms to local time. @throws RangeError for an unknown time zone */
export function createZone(timeZone: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    minute: 'numeric',
  });
  return (ms) => {
    const local = { year: 0, month: 0, day: 0, minute: 0 };
    for (const { type, value } of format.formatToParts(ms))
      if (type === 'year' || type === 'month' || type === 'day' || type === 'minute')
        local[type] = Number(value);
    return local;
  };
}

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const minuteMs = 60_000;
/** Daylight saving time makes windows longer. */
const longestMs: Readonly<Record<WindowName, number>> = {
  hour: 2 * hourMs,
  day: dayMs + 2 * hourMs,
  week: 7 * dayMs + 2 * hourMs,
  month: 31 * dayMs + 2 * hourMs,
};
/** More than any time zone's offset from UTC, daylight saving time included. */
const offsetMaxMs = 16 * hourMs;

/** Days from 1970-01-01 to a local date. */
const dayNumber = ({ year, month, day }: Omit<LocalTime, 'minute'>): number =>
  Math.floor(Date.UTC(year, month - 1, day) / dayMs);

/**
 * When the window that contains a time begins, or the window after it; Unix ms.
 * @param ms Unix ms
 * @param ahead 0: this window; 1: the next
 */
export function windowStart(kind: WindowName, zone: Zone, ms: number, ahead: 0 | 1): number {
  const local = zone(ms);
  if (kind === 'hour') return Math.floor(ms / minuteMs) * minuteMs - local.minute * minuteMs + ahead * hourMs;
  const today = dayNumber(local);
  if (kind === 'day') return dayStart(zone, today + ahead);
  // 1970-01-01 was a Thursday.
  if (kind === 'week') return dayStart(zone, today - ((((today + 3) % 7) + 7) % 7) + 7 * ahead);
  return dayStart(zone, dayNumber({ year: local.year, month: local.month + ahead, day: 1 }));
}

/** When a local date begins, found by bisection, which also works where daylight saving time skips midnight. Unix ms. */
function dayStart(zone: Zone, day: number): number {
  let before = day * dayMs - offsetMaxMs;
  let from = day * dayMs + offsetMaxMs;
  while (from - before > 1) {
    const middle = Math.floor((before + from) / 2);
    if (dayNumber(zone(middle)) >= day) from = middle;
    else before = middle;
  }
  return from;
}
