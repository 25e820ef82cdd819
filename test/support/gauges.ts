/** Gauges of a process that does nothing. */
import type { Gauges } from '../../src/observe/metrics.ts';
import type { Spend } from '../../src/observe/spend.ts';

/** Nothing but spending is to be seen; more where it is given. */
export const idleGauges = (spend: Spend, more: Partial<Gauges> = {}): Gauges => ({
  inFlight: () => 0,
  cacheEntries: () => 0,
  cacheBytes: () => 0,
  breakers: () => [],
  limitScopes: () => 0,
  budgets: () => [],
  batchWaiting: () => 0,
  batchBytes: () => 0,
  upstreamInFlight: () => 0,
  engines: () => [],
  limits: () => [],
  restingKeys: () => [],
  ledger: () => null,
  sinks: () => [],
  spend,
  showsSpend: () => true,
  isTenant: () => true,
  ...more,
});
