/** What a choice among targets saved. */
import { costNanoUsd, isPriceOf, type ModelFacts } from '../catalog/facts.ts';
import type { Charge } from './usage.ts';

/**
 * What the same tokens would have cost at the dearest of the targets that might have answered, beyond what they did cost;
 * nano-dollars. Targets without a price say nothing, and neither does an answer without one.
 */
export function savedByChoice(
  { usage, costNanoUsd: paid }: Pick<Charge, 'usage' | 'costNanoUsd'>,
  choices: Iterable<ModelFacts>,
): number {
  if (paid === null) return 0;
  let dearest = paid;
  for (const { price } of choices)
    if (price !== null && isPriceOf(price, usage)) dearest = Math.max(dearest, costNanoUsd(price, usage));
  return dearest - paid;
}
