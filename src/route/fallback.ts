/** Strategy `fallback`: configured order, each target for the failures its `on` names. */
import type { Strategy } from './tree.ts';

export const fallback: Strategy = {
  fixed: true,
  selects: false,
  arrange({ order, children }) {
    for (let i = 0; i < children.length; i++) order[i] = i;
    return children.length;
  },
};
