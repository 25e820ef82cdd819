/** All strategies, by their names in the configuration. */

import { capability } from './capability.ts';
import { cost } from './cost.ts';
import { fallback } from './fallback.ts';
import { latency } from './latency.ts';
import { leastLoaded } from './least-loaded.ts';
import type { RouteConfig } from './settings.ts';
import type { Strategy } from './tree.ts';
import { weighted } from './weighted.ts';

export const strategies: Readonly<Record<RouteConfig['strategy'], Strategy>> = {
  fallback,
  cost,
  latency,
  capability,
  weighted,
  least_loaded: leastLoaded,
};
