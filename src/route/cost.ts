/**
 * Strategy `cost`: the cheapest healthy target of the request's tier that can do the job, then those above it. Targets
 * below it come last, nearest first: an answer from a smaller model is still better than none.
 */
import { tiers } from '../native/classify.ts';
import { able, type Branch, healthy, price, type Strategy, sortByKey } from './tree.ts';

/** Weights of what is compared before the price, in nano-dollars: a rank is a thousand dollars. */
const rankKey = 1e12;
const unhealthyKey = 1e13;
/** A price nobody knows is behind those that are known. */
const unknownKey = 1e11;

export const cost: Strategy = {
  fixed: false,
  selects: true,
  arrange(branch: Branch, ask) {
    const { order, keys, children } = branch;
    ask.tierUsed = true;
    let count = 0;
    for (let place = 0; place < children.length; place++) {
      const child = children[place];
      if (child === undefined || !able(child, ask)) continue;
      const well = healthy(child, ask) ? 0 : unhealthyKey;
      keys[place] = well + tierRank(child.tier, ask.tier) * rankKey + Math.min(price(child, ask), unknownKey);
      order[count++] = place;
    }
    sortByKey(branch, count);
    ask.variant = Math.imul(ask.variant ^ (ask.tier + 1) ^ (ask.needs << 8), 0x01000193);
    return count;
  },
};

/** 0 for the tier itself, rising for those above, then for those below. */
export const tierRank = (tier: number, wanted: number): number =>
  tier >= wanted ? tier - wanted : tiers.length + wanted - tier;
