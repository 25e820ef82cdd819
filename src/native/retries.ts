/** Retry budgets in the native core. */
import { native } from './load.ts';

/** Retry budgets by id; times are monotonic ms. See `native/core/src/resilience/retry_budget.rs`. */
export const retryBudget = {
  open: native.retriesOpen,
  set: native.retriesSet,
  request: native.retriesRequest,
  /** False: it is used up. */
  spend: native.retriesSpend,
  close: native.retriesClose,
};
