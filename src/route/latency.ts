/** Strategy `latency`: the power of two choices over Peak EWMA, without outliers. */
import { ejected, healthy, latency as latencyOf, type Strategy, sortByKey } from './tree.ts';

/** A target this many times slower than the fastest one is passed over until its reading has decayed. */
const outlierFactor = 3;

/** Behind every target that may be chosen; added to the reading, in ms. */
const ejectedKey = 1e12;

const unhealthyKey = 1e15;

export const latency: Strategy = {
  fixed: false,
  selects: false,
  arrange(branch, ask) {
    const { order, keys, children } = branch;
    const count = children.length;
    let up = 0;
    for (let place = 0; place < count; place++) {
      const child = children[place];
      if (child === undefined) continue;
      const well = healthy(child, ask);
      const out = ejected(child, ask);
      if (well && !out) up += 1;
      const reading = Math.min(latencyOf(child, ask), ejectedKey - 1);
      keys[place] = reading + (out ? ejectedKey : 0) + (well ? 0 : unhealthyKey);
      order[place] = place;
    }
    sortByKey(branch, count);
    let choices = up;
    const fastest = keys[order[0] ?? 0] ?? 0;
    while (choices > 1 && fastest > 0 && (keys[order[choices - 1] ?? 0] ?? 0) > outlierFactor * fastest)
      choices--;
    if (choices < 2) return count;
    const first = Math.floor(ask.random() * choices);
    const second = Math.floor(ask.random() * (choices - 1));
    // They are sorted: of two, the one before is the faster.
    const winner = Math.min(first, second < first ? second : second + 1);
    const place = order[winner] ?? 0;
    order.copyWithin(1, 0, winner);
    order[0] = place;
    return count;
  },
};
