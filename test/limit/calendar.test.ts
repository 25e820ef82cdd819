/** Calendar windows: when they begin in any time zone, and that no clock opens one early or twice. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCalendar, createZone, windowStart } from '../../src/limit/calendar.ts';
import { type WindowName, windowNames } from '../../src/limit/settings.ts';

const at = (text: string): number => Date.parse(text);
const hourMs = 3_600_000;

describe('windows begin', () => {
  test.each<[WindowName, string, string, string, string]>([
    ['hour', 'UTC', '2026-03-08T12:34:56.789Z', '2026-03-08T12:00:00Z', '2026-03-08T13:00:00Z'],
    ['hour', 'Asia/Kathmandu', '2026-03-08T12:34:56Z', '2026-03-08T12:15:00Z', '2026-03-08T13:15:00Z'],
    ['day', 'UTC', '2026-03-08T00:00:00Z', '2026-03-08T00:00:00Z', '2026-03-09T00:00:00Z'],
    // Summer time begins on 8 March in New York: a day of 23 hours; it ends on 1 November: one of 25.
    ['day', 'America/New_York', '2026-03-08T20:00:00Z', '2026-03-08T05:00:00Z', '2026-03-09T04:00:00Z'],
    ['day', 'America/New_York', '2026-11-01T20:00:00Z', '2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z'],
    // Midnight is left out in Beirut on 29 March: the day begins at one.
    ['day', 'Asia/Beirut', '2026-03-29T10:00:00Z', '2026-03-28T22:00:00Z', '2026-03-29T21:00:00Z'],
    ['day', 'Pacific/Kiritimati', '2026-01-01T09:59:59Z', '2025-12-31T10:00:00Z', '2026-01-01T10:00:00Z'],
    // 23 November 2026 is a Monday.
    ['week', 'UTC', '2026-11-29T23:59:59Z', '2026-11-23T00:00:00Z', '2026-11-30T00:00:00Z'],
    ['week', 'Europe/Berlin', '2026-11-22T23:00:00Z', '2026-11-22T23:00:00Z', '2026-11-29T23:00:00Z'],
    ['month', 'UTC', '2028-02-29T12:00:00Z', '2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'],
    ['month', 'Europe/Berlin', '2026-12-31T22:59:59Z', '2026-11-30T23:00:00Z', '2026-12-31T23:00:00Z'],
    ['month', 'Europe/Berlin', '2026-03-31T22:00:00Z', '2026-03-31T22:00:00Z', '2026-04-30T22:00:00Z'],
  ])('%s in %s at %s', (kind, timeZone, now, start, next) => {
    const zone = createZone(timeZone);
    expect(new Date(windowStart(kind, zone, at(now), 0)).toISOString()).toBe(new Date(start).toISOString());
    expect(new Date(windowStart(kind, zone, at(now), 1)).toISOString()).toBe(new Date(next).toISOString());
  });

  const zones = [
    'UTC',
    'America/New_York',
    'Asia/Beirut',
    'Australia/Lord_Howe',
    'America/St_Johns',
    'Asia/Tokyo',
  ];

  test('before now, in the same window as now, and end after it, at any moment', () => {
    const moment = fc.integer({ min: at('2020-01-01T00:00:00Z'), max: at('2040-01-01T00:00:00Z') });
    fc.assert(
      fc.property(
        moment,
        fc.constantFrom(...windowNames),
        fc.constantFrom(...zones),
        (now, kind, timeZone) => {
          const zone = createZone(timeZone);
          const [start, next] = [windowStart(kind, zone, now, 0), windowStart(kind, zone, now, 1)];
          expect(start).toBeLessThanOrEqual(now);
          expect(next).toBeGreaterThan(now);
          expect(windowStart(kind, zone, start, 0)).toBe(start);
          if (kind === 'hour') return;
          expect(windowStart(kind, zone, next, 0)).toBe(next);
          expect(windowStart(kind, zone, next - 1, 0)).toBe(start);
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Clocks that are set independently. */
function clocks(wall: string) {
  const time = { nowMs: 5_000, aheadMs: at(wall) - 5_000 };
  return { time, wallClock: () => time.nowMs + time.aheadMs };
}

describe('the current window', () => {
  test('is followed by the next when it ends', () => {
    const { time, wallClock } = clocks('2026-11-23T10:30:00Z');
    const calendar = createCalendar('hour', 'UTC', wallClock);
    expect(calendar.window(time.nowMs)).toBe(at('2026-11-23T10:00:00Z'));
    expect(calendar.leftMs(time.nowMs)).toBe(hourMs / 2);
    time.nowMs += hourMs / 2 - 1;
    expect(calendar.window(time.nowMs)).toBe(at('2026-11-23T10:00:00Z'));
    time.nowMs += 1;
    expect(calendar.window(time.nowMs)).toBe(at('2026-11-23T11:00:00Z'));
    expect(calendar.endsAt).toBe(at('2026-11-23T12:00:00Z'));
  });

  test('ends after elapsed time, however the clock is set, and none is entered twice', () => {
    const jump = fc.record({
      passMs: fc.integer({ min: 0, max: 2 * hourMs }),
      toMs: fc.integer({ min: -hourMs, max: hourMs }),
    });
    fc.assert(
      fc.property(fc.array(jump, { maxLength: 40 }), (jumps) => {
        const { time, wallClock } = clocks('2026-11-23T10:30:00Z');
        const trueAheadMs = time.aheadMs;
        const calendar = createCalendar('hour', 'UTC', wallClock);
        let window = calendar.window(time.nowMs);
        let enteredMs = Number.NEGATIVE_INFINITY;
        for (const { passMs, toMs } of jumps) {
          time.nowMs += passMs;
          time.aheadMs = trueAheadMs + toMs;
          const next = calendar.window(time.nowMs);
          expect(next).toBeGreaterThanOrEqual(window);
          // No more windows are opened than hours have begun, but for the one a clock may be ahead.
          expect(next - at('2026-11-23T10:00:00Z')).toBeLessThanOrEqual(time.nowMs - 5_000 + 1.5 * hourMs);
          if (next > window) enteredMs = time.nowMs;
          window = next;
        }
        expect(enteredMs).toBeLessThanOrEqual(time.nowMs);
      }),
    );
  });

  test('is the one from before the restart if the clock was set back meanwhile', () => {
    const { time, wallClock } = clocks('2026-11-23T10:59:00Z');
    const calendar = createCalendar('hour', 'UTC', wallClock);
    calendar.resume(at('2026-11-23T09:00:00Z'), time.nowMs);
    expect(calendar.window(time.nowMs)).toBe(at('2026-11-23T10:00:00Z'));
    calendar.resume(at('2026-11-23T11:00:00Z'), time.nowMs);
    expect(calendar.window(time.nowMs)).toBe(at('2026-11-23T11:00:00Z'));
    expect(calendar.leftMs(time.nowMs)).toBe(61 * 60_000);
  });

  test('is none that a budget was in before its window or time zone was changed', () => {
    const { time, wallClock } = clocks('2026-11-25T10:00:00Z');
    const calendar = createCalendar('month', 'Europe/Berlin', wallClock);
    const month = at('2026-10-31T23:00:00Z');
    const others = [
      ['hour', 'Europe/Berlin'],
      ['day', 'Europe/Berlin'],
      ['week', 'Europe/Berlin'],
      ['month', 'America/New_York'],
      ['month', 'UTC'],
    ] as const;
    for (const [kind, timeZone] of others) {
      for (const ahead of [0, 1] as const)
        calendar.resume(windowStart(kind, createZone(timeZone), wallClock(), ahead), time.nowMs);
      expect([kind, timeZone, calendar.window(time.nowMs)]).toEqual([kind, timeZone, month]);
    }
    // An id that had to rise while the clock was behind is one of its own.
    calendar.resume(month + 2, time.nowMs);
    expect(calendar.window(time.nowMs)).toBe(month + 2);
  });

  test('is one far ahead for as long as one window; then the clock counts, whatever it says', () => {
    const { time, wallClock } = clocks('1970-01-01T00:10:00Z');
    const calendar = createCalendar('hour', 'UTC', wallClock);
    const saved = at('2026-11-23T15:00:00Z');
    calendar.resume(saved, time.nowMs);
    expect([calendar.window(time.nowMs), calendar.leftMs(time.nowMs)]).toEqual([saved, 60 * 60_000]);
    expect(calendar.window(time.nowMs + 60 * 60_000 - 1)).toBe(saved);
    // Ids go on to rise, as a budget that is in a window enters none before it.
    time.nowMs += 60 * 60_000;
    expect([calendar.window(time.nowMs), calendar.leftMs(time.nowMs)]).toEqual([saved + 1, 50 * 60_000]);
    expect(calendar.endsAt).toBe(at('1970-01-01T02:00:00Z'));
    time.nowMs += 50 * 60_000;
    expect([calendar.window(time.nowMs), calendar.leftMs(time.nowMs)]).toEqual([saved + 2, 60 * 60_000]);
    // The clock is right again.
    time.aheadMs = saved + hourMs - time.nowMs;
    expect(calendar.window(time.nowMs + hourMs - 1)).toBe(saved + 2);
    time.nowMs += hourMs;
    expect([calendar.window(time.nowMs), calendar.leftMs(time.nowMs)]).toEqual([
      saved + 2 * hourMs,
      60 * 60_000,
    ]);
  });
});
