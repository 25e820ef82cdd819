/** How long to wait before a retry, and the waiting itself. */
import type { AttemptDeps } from './deps.ts';

/**
 * Ms to wait: capped exponential with full jitter, or as long as the provider says if that is more; null: too long for
 * the largest backoff or the request's deadline. https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 * @param retry from 0
 * @param askedMs what the provider says; null: nothing
 */
export function backoffMs(
  retry: number,
  askedMs: number | null,
  deadlineMs: number,
  deps: AttemptDeps,
): number | null {
  const { backoffBaseMs, backoffMaxMs } = deps.policy;
  const jitteredMs = deps.random() * Math.min(backoffMaxMs, backoffBaseMs * 2 ** retry);
  const waitMs = Math.max(jitteredMs, askedMs ?? 0);
  return waitMs > backoffMaxMs || deps.clock() + waitMs >= deadlineMs ? null : waitMs;
}
