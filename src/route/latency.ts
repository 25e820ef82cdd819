/** Strategy `latency`: power of two choices by Peak EWMA, without outliers. */
import { ejected, healthy, latency as latencyOf, type Strategy, sortByKey } from './tree.ts';

/** A target this many times slower than the fastest one is skipped until its reading has decayed. */
const outlierFactor = 3;

/** Added to the reading, in ms, to sort ejected targets behind all others. */
const ejectedKey = 1e12;

const unhealthyKey = 1e15;

export const latency: Strategy = {
  fixed: false,
  selects: false,
  arrange(branch, ask) {
    const { order, keys, children } = branch;
    const count = children.length;
    let up = 0;
    for (let index = 0; index < count; index++) {
      const child = children[index];
      if (child === undefined) continue;
      const well = healthy(child, ask);
      const out = ejected(child, ask);
      if (well && !out) up += 1;
      const reading = Math.min(latencyOf(child, ask), ejectedKey - 1);
      keys[index] = reading + (out ? ejectedKey : 0) + (well ? 0 : unhealthyKey);
      order[index] = index;
    }
    sortByKey(branch, count);
    let choices = up;
    const fastest = keys[order[0] ?? 0] ?? 0;
    while (choices > 1 && fastest > 0 && (keys[order[choices - 1] ?? 0] ?? 0) > outlierFactor * fastest)
      choices--;
    if (choices < 2) return count;
    const first = Math.floor(ask.random() * choices);
    const second = Math.floor(ask.random() * (choices - 1));
    // They are sorted, so of two the earlier one is faster.
    const winner = Math.min(first, second < first ? second : second + 1);
    const index = order[winner] ?? 0;
    order.copyWithin(1, 0, winner);
    order[0] = index;
    return count;
  },
};
