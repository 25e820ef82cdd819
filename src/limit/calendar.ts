/** Windows of the calendar in a time zone: hours, days, weeks and months, named by the moment they begin. */
import type { WindowName } from './settings.ts';

/** The window that is running. Its clock is the monotonic one, so that a jump of the time of day ends nothing. */
export interface Calendar {
  /** The window's id: when it began, ms since 1970. */
  window(nowMs: number): number;
  /** Until it ends; at least 1. */
  leftMs(nowMs: number): number;
  /** When it ends, by the time of day, ms since 1970. */
  readonly endsAt: number;
  /** Goes on to a window that was already running before a restart, if it is this one or the next. */
  resume(window: number, nowMs: number): void;
}

/** The time of day is not asked again sooner, should it stand before the end of a window that is over. */
const askAgainMs = 1000;

/**
 * A window ends when as much monotonic time has passed as it had left when it was entered; only then the time of day
 * is asked again. So a clock that is set an hour ahead and back opens nothing early, and a window that was left is
 * never entered again. (On a machine that was asleep the window ends later by that.)
 * @param wallClock time of day, ms since 1970
 */
export function createCalendar(kind: WindowName, timeZone: string, wallClock: () => number): Calendar {
  const zone = createZone(timeZone);
  let window = Number.NEGATIVE_INFINITY;
  let endsAt = 0;
  let endsMs = Number.NEGATIVE_INFINITY;

  const enter = (next: number, wallMs: number, nowMs: number): void => {
    window = next;
    endsAt = windowStart(kind, zone, next, 1);
    endsMs = nowMs + Math.max(askAgainMs, endsAt - wallMs);
  };
  const current = (nowMs: number): void => {
    if (nowMs < endsMs) return;
    const wallMs = wallClock();
    enter(Math.max(window, windowStart(kind, zone, wallMs, 0)), wallMs, nowMs);
  };

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
    resume(earlier, nowMs) {
      current(nowMs);
      if (earlier === endsAt) enter(earlier, wallClock(), nowMs);
    },
  };
}

/** A moment as the people of a time zone write it. Months from 1. */
interface LocalTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly minute: number;
}

type Zone = (ms: number) => LocalTime;

/** @throws RangeError for a zone that is unknown here */
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
/** Further than any zone is from UTC, change of summer time included. */
const offsetMaxMs = 16 * hourMs;

/** Number of a local date, from 1970-01-01 as 0. */
const dayNumber = ({ year, month, day }: Omit<LocalTime, 'minute'>): number =>
  Math.floor(Date.UTC(year, month - 1, day) / dayMs);

/**
 * When the window around a moment begins, or the one `ahead` of it.
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

/** The first moment of a local date, also where the clocks leave midnight out: found by halving. */
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
