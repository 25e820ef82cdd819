/** Times a circuit breaker's two calls an attempt, and the retry budget's one a request. */

import { configSchema } from '../../src/config/schema.ts';
import { breaker, breakerOutcome } from '../../src/native/breaker.ts';
import { retryBudget } from '../../src/native/retries.ts';
import { breakerSettings } from '../../src/upstream/health.ts';

export const subject = 'breaker';

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
