/** Retry budgets in the native core. */
import { native } from './load.ts';

/**
 * Retry budgets by id, which limit retries to a share of requests; times are monotonic ms.
 * See `native/core/src/resilience/retry_budget.rs`.
 */
export const retryBudget = {
  open: native.retriesOpen,
  set: native.retriesSet,
  /** Counts a request, which adds to the budget. */
  request: native.retriesRequest,
  /** Takes one extra call from the budget; false: it is used up. */
  spend: native.retriesSpend,
  close: native.retriesClose,
};
