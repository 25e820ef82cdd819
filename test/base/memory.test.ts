/** Trims come at their time, rarer when they take long, and end. */
import { afterEach, expect, it, vi } from 'vitest';
import { startTrims } from '../../src/base/memory.ts';

afterEach(() => vi.useRealTimers());

/** Trims that each take `tookMs`; gives how many ran within `forMs`. */
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

it('trims every five seconds while that is cheap', () => {
  expect(trimsWithin(60_000, 1)).toBe(12);
});

it('spends no more than a thousandth of the time', () => {
  // One after five seconds, then one every 50 s.
  expect(trimsWithin(60_000, 50)).toBe(2);
});

it('ends when it is stopped', () => {
  expect(trimsWithin(60_000, 1, 12_000)).toBe(2);
});

it('the native trim can be called', () => {
  vi.useFakeTimers();
  const trims = startTrims(() => 0);
  expect(() => vi.advanceTimersByTime(5000)).not.toThrow();
  trims.stop();
});
