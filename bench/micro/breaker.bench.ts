/** Times a circuit breaker's two calls an attempt. */
import { breaker, breakerOutcome } from '../../src/native.ts';

export const subject = 'breaker';

export function tasks(): Record<string, () => unknown> {
  const id = breaker.open(5, 30_000);
  let nowMs = 0;
  return {
    'admit and report': () => {
      nowMs += 0.001;
      breaker.report(id, breaker.admit(id, nowMs), breakerOutcome.success, nowMs);
    },
  };
}
