/** The statistics that the load tests need. */

/** The value below which `share` (0–1) of the values lie; NaN if there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/** The median; NaN of no values. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Two servers measured in pairs of rounds: the median of each, and the median and quartiles of the pairs' ratios. */
export interface Comparison {
  readonly floor: number;
  readonly sidegate: number;
  readonly ratio: number;
  readonly ratioLow: number;
  readonly ratioHigh: number;
  readonly rounds: number;
}

/** Compares pairs of `[floor, sidegate]`. The ratio is taken within each pair, as the machine drifts between pairs. */
export function compare(pairs: readonly (readonly [number, number])[]): Comparison {
  const ratios = pairs.map(([floor, sidegate]) => sidegate / floor);
  return {
    floor: median(pairs.map(([floor]) => floor)),
    sidegate: median(pairs.map(([, sidegate]) => sidegate)),
    ratio: median(ratios),
    ratioLow: quantile(ratios, 0.25),
    ratioHigh: quantile(ratios, 0.75),
    rounds: pairs.length,
  };
}
