/**
 * Strategy `weighted`: shares by weight, sticky by user. Weighted rendezvous hashing: when weights change, only as many
 * users move as must, and when a target is down, its users are distributed by the weights of the others.
 */
import { mix } from './ask.ts';
import { healthy, type Strategy, sortByKey } from './tree.ts';

/** Key behind every healthy target. */
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
    for (let index = 0; index < children.length; index++) {
      const child = children[index];
      if (child === undefined) continue;
      const uniform = (mix(draw ^ child.salt) + 0.5) / 2 ** 32;
      // Exponentially distributed with the weight as its rate: each target has the least key as often as its share says.
      const key = child.weight > 0 ? -Math.log(uniform) / child.weight : unhealthyKey / 2;
      if (key < least) {
        least = key;
        chosen = index;
      }
      keys[index] = healthy(child, ask) ? key : unhealthyKey;
      order[index] = index;
    }
    sortByKey(branch, children.length);
    // Keyed by the assigned arm, not the healthy one: arms of an experiment never share cached answers.
    ask.variant = Math.imul(ask.variant ^ (chosen + 1), 0x01000193);
    return children.length;
  },
};
