/**
 * Strategy `cost`: the cheapest healthy, capable target of the request's tier, then those of higher tiers. Lower tiers
 * come last, nearest first: an answer from a smaller model is better than none.
 */
import { tiers } from '../native/classify.ts';
import { able, type Branch, healthy, price, type Strategy, sortByKey } from './tree.ts';

/** Added for what is compared before the price, in nano-dollars: one tier rank counts as a thousand dollars. */
const rankKey = 1e12;
const unhealthyKey = 1e13;
/** Key of an unknown price, above all known ones. */
const unknownKey = 1e11;

export const cost: Strategy = {
  fixed: false,
  selects: true,
  arrange(branch: Branch, ask) {
    const { order, keys, children } = branch;
    ask.tierUsed = true;
    let count = 0;
    for (let index = 0; index < children.length; index++) {
      const child = children[index];
      if (child === undefined || !able(child, ask)) continue;
      const well = healthy(child, ask) ? 0 : unhealthyKey;
      keys[index] = well + tierRank(child.tier, ask.tier) * rankKey + Math.min(price(child, ask), unknownKey);
      order[count++] = index;
    }
    sortByKey(branch, count);
    ask.variant = Math.imul(ask.variant ^ (ask.tier + 1) ^ (ask.needs << 8), 0x01000193);
    return count;
  },
};

/** Rank of a tier: 0 for the wanted one, then higher tiers ascending, then lower tiers descending. */
const tierRank = (tier: number, wanted: number): number =>
  tier >= wanted ? tier - wanted : tiers.length + wanted - tier;
