/**
 * Strategy `weighted`: shares by weight, sticky by user. Weighted rendezvous hashing: when weights change only those
 * users move whom the change must move, and when a target is down its users are shared out by the others' weights.
 */
import { mix } from './ask.ts';
import { healthy, type Strategy, sortByKey } from './tree.ts';

/** Behind every healthy target. */
const unhealthyKey = 1e300;

export const weighted: Strategy = {
  fixed: false,
  selects: false,
  arrange(branch, ask) {
    const { order, keys, children } = branch;
    const kept = branch.sticky === 'tenant' ? ask.tenant : branch.sticky === 'user' ? ask.user : -1;
    const draw = kept >= 0 ? kept : Math.floor(ask.random() * 2 ** 32);
    let chosen = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let place = 0; place < children.length; place++) {
      const child = children[place];
      if (child === undefined) continue;
      const uniform = (mix(draw ^ child.salt) + 0.5) / 2 ** 32;
      // Exponential with the weight as its rate: the least of several is each one's share as often.
      const key = child.weight > 0 ? -Math.log(uniform) / child.weight : unhealthyKey / 2;
      if (key < least) {
        least = key;
        chosen = place;
      }
      keys[place] = healthy(child, ask) ? key : unhealthyKey;
      order[place] = place;
    }
    sortByKey(branch, children.length);
    // By whom it was given to, not by who is up: answers of two arms are never one another's.
    ask.variant = Math.imul(ask.variant ^ (chosen + 1), 0x01000193);
    return children.length;
  },
};
