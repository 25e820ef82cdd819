/** Times the two circuit breaker calls of an attempt, and the retry budget's call per request. */

import { configSchema } from '../../src/config/schema.ts';
import { breaker, breakerOutcome } from '../../src/native/breaker.ts';
import { retryBudget } from '../../src/native/retries.ts';
import { breakerSettings } from '../../src/upstream/health.ts';

/** Name of this group in the report. */
export const subject = 'breaker';

/** The tasks to time. */
export function tasks(): Record<string, () => unknown> {
  const id = breaker.open(breakerSettings(configSchema.parse({}).attempt, 1));
  const budgetId = retryBudget.open(0.2, 3);
  let nowMs = 0;
  return {
    'admit and report': () => {
      nowMs += 0.001;
      breaker.report(id, breaker.admit(id, nowMs), breakerOutcome.success, 0, nowMs);
    },
    'a request in the retry budget': () => {
      nowMs += 0.001;
      retryBudget.request(budgetId, nowMs);
    },
  };
}
