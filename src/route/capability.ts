/** Strategy `capability`: in the order of the configuration, without those that can't do what the request needs. */
import { able, healthy, type Strategy, sortByKey } from './tree.ts';

export const capability: Strategy = {
  fixed: false,
  selects: true,
  arrange(branch, ask) {
    const { order, keys, children } = branch;
    let count = 0;
    for (let place = 0; place < children.length; place++) {
      const child = children[place];
      if (child === undefined || !able(child, ask)) continue;
      keys[place] = healthy(child, ask) ? 0 : 1;
      order[count++] = place;
    }
    sortByKey(branch, count);
    ask.variant = Math.imul(ask.variant ^ (ask.needs + 1), 0x01000193);
    return count;
  },
};
