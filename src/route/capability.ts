/** Strategy `capability`: configured order, without targets that lack a capability the request needs. */
import { able, healthy, type Strategy, sortByKey } from './tree.ts';

export const capability: Strategy = {
  fixed: false,
  selects: true,
  arrange(branch, ask) {
    const { order, keys, children } = branch;
    let count = 0;
    for (let index = 0; index < children.length; index++) {
      const child = children[index];
      if (child === undefined || !able(child, ask)) continue;
      keys[index] = healthy(child, ask) ? 0 : 1;
      order[count++] = index;
    }
    sortByKey(branch, count);
    ask.variant = Math.imul(ask.variant ^ (ask.needs + 1), 0x01000193);
    return count;
  },
};
