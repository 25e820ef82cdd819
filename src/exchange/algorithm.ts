/** How limits count: a row per algorithm. The native core does the counting, `native/core/src/limits`. */

import { MeterAlgorithm } from '../native/meters.ts';

/** Where an algorithm has its rate from: refill or drain per second, the length of its window, or it has none. */
type RateFrom = 'refillPerSecond' | 'windowSeconds' | null;

/** What the rest of Sidegate knows of an algorithm. */
export interface Algorithm {
  /** The native core's number. */
  readonly meter: MeterAlgorithm;
  readonly rateFrom: RateFrom;
  /** What happens at that rate, or when capacity is free again, for messages. */
  readonly pace: string;
  /** Whether requests may have to wait for their turn. */
  readonly delays?: true;
}

/** What `algorithm` of a limit can be. `counts`: how it counts, for the documentation. */
const chosen = {
  token_bucket: {
    counts: 'with bursts',
    meter: MeterAlgorithm.TokenBucket,
    rateFrom: 'refillPerSecond',
    pace: 'refilled at',
  },
  leaky_bucket: {
    counts: 'at an even pace',
    meter: MeterAlgorithm.LeakyBucket,
    rateFrom: 'refillPerSecond',
    pace: 'drained at',
    delays: true,
  },
  sliding_window: {
    counts: 'over a moving window',
    meter: MeterAlgorithm.SlidingWindow,
    rateFrom: 'windowSeconds',
    pace: 'in',
  },
} as const satisfies Record<string, Algorithm & { readonly counts: string }>;

/** All algorithms. */
export const algorithms = {
  ...chosen,
  /** Of `unit: concurrency`. */
  concurrency: { meter: MeterAlgorithm.Concurrency, rateFrom: null, pace: 'at once' },
  /** Of `budgets`, which say their window instead of a pace. */
  budget: { meter: MeterAlgorithm.Budget, rateFrom: null, pace: '' },
} as const satisfies Record<string, Algorithm>;

/** Name of an algorithm. */
export type AlgorithmName = keyof typeof algorithms;

/** Names that `algorithm` of a limit can have. */
export const algorithmNames = Object.keys(chosen) as (keyof typeof chosen)[];

/** How they count, in one sentence. */
export const algorithmsText = `How it counts: ${Object.values(chosen)
  .map(({ counts }) => counts)
  .join(', ')}.`;

/** The algorithm's rate as the meter takes it: per second, or a window's ms; 0: none. */
export function rateOf(
  { rateFrom }: Algorithm,
  settings: { readonly refillPerSecond?: number | undefined; readonly windowSeconds?: number | undefined },
): number {
  if (rateFrom === null) return 0;
  const value = settings[rateFrom] ?? 0;
  return rateFrom === 'windowSeconds' ? value * 1000 : value;
}

/** Seconds until an amount has come back; null: that doesn't depend on time. @param rate as of `rateOf` */
export function secondsFor({ rateFrom }: Algorithm, amount: number, rate: number): number | null {
  if (rateFrom === null) return null;
  return rateFrom === 'windowSeconds' ? rate / 1000 : amount / rate;
}
