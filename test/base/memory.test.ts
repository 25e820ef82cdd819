/** Trims are regular, rarer if they take long, and can be stopped. */
import { afterEach, expect, it, vi } from 'vitest';
import { startTrims } from '../../src/base/memory.ts';

afterEach(() => vi.useRealTimers());

/** Runs trims of `tookMs` each. @returns how many ran within `forMs` */
function trimsWithin(forMs: number, tookMs: number, stopAfterMs = forMs): number {
  vi.useFakeTimers();
  let nowMs = 0;
  let count = 0;
  const trims = startTrims(
    () => nowMs,
    () => {
      nowMs += tookMs;
      count++;
    },
  );
  vi.advanceTimersByTime(stopAfterMs);
  trims.stop();
  vi.advanceTimersByTime(forMs - stopAfterMs);
  return count;
}

it('trims every five seconds if that is cheap', () => {
  expect(trimsWithin(60_000, 1)).toBe(12);
});

it('spends at most a thousandth of the time', () => {
  // One after five seconds, then one every 50 s.
  expect(trimsWithin(60_000, 50)).toBe(2);
});

it('can be stopped', () => {
  expect(trimsWithin(60_000, 1, 12_000)).toBe(2);
});

it('the native trim can be called', () => {
  vi.useFakeTimers();
  const trims = startTrims(() => 0);
  expect(() => vi.advanceTimersByTime(5000)).not.toThrow();
  trims.stop();
});
