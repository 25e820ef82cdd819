/** How long to wait before a retry. */
import type { AttemptDeps } from './deps.ts';

/**
 * Ms to wait: capped exponential with full jitter, or as long as the provider asks if that is longer; null: longer than
 * the longest backoff or the request's deadline. https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 * @param retry number of the retry, from 0
 * @param askedMs how long the provider asks to wait; null: it doesn't say
 * @param deadlineMs monotonic ms
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
