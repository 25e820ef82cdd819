/** What fits together in the settings of stage attempt: keys, limits of targets, backoff, breakers, and the peers' Redis. */

import type { Path } from './faults.ts';
import { absent, type Draft, type DraftProvider, type Report } from './report.ts';
import { configSchema } from './schema.ts';
import { isHeaderSafe, redisUrlFault } from './syntax.ts';

/** Settings that are out of order or out of place, besides a provider's own. */
export function checkResilience(draft: Draft, report: Report): void {
  const defaults = configSchema.parse({}).attempt;
  const { backoffBaseMs, backoffMaxMs } = { ...defaults, ...draft.attempt };
  if (backoffBaseMs !== undefined && backoffMaxMs !== undefined && backoffBaseMs > backoffMaxMs) {
    const key = absent(draft.attempt, 'backoffBaseMs') ? 'backoffMaxMs' : 'backoffBaseMs';
    report.fault(['attempt', key], `${backoffBaseMs} is more than backoffMaxMs, ${backoffMaxMs}`);
  }
  const own = draft.attempt?.breaker;
  const { cooldownMs, cooldownMaxMs } = { ...defaults.breaker, ...own };
  if (cooldownMs !== undefined && cooldownMaxMs !== undefined && cooldownMs > cooldownMaxMs) {
    const key = absent(own, 'cooldownMs') ? 'cooldownMaxMs' : 'cooldownMs';
    report.fault(['attempt', 'breaker', key], `${cooldownMs} is more than cooldownMaxMs, ${cooldownMaxMs}`);
  }
  const redis = draft.sync?.redis;
  const fault = redis === undefined ? null : redisUrlFault(redis);
  if (fault !== null) report.fault(['sync', 'redis'], fault);
  checkTargetLimits(draft, report);
}

/** A target that stands in several routes is one target, so its limits must be the same, wherever they stand. */
function checkTargetLimits(draft: Draft, report: Report): void {
  const seen = new Map<string, string>();
  draft.routes?.forEach((route, index) => {
    route?.targets?.forEach((target, position) => {
      if (target?.limits === undefined || target.provider === undefined) return;
      const label = `${target.provider}/${target.model ?? route.model ?? ''}`;
      const { requestsPerMinute, tokensPerMinute } = target.limits;
      const text = `${requestsPerMinute}/${tokensPerMinute}`;
      const path = ['routes', index, 'targets', position, 'limits'];
      const before = seen.get(label) ?? text;
      if (before !== text) report.fault(path, `${report.show(label)} has other limits in a route before`);
      seen.set(label, before);
    });
  });
}

/** The credentials of one provider; no message repeats any of them. */
export function checkKeysOf(path: Path, { apiKey, apiKeys }: DraftProvider, report: Report): void {
  const seen = new Set<string>();
  const check = (key: string | undefined, at: Path): void => {
    if (key === undefined) return;
    if (!isHeaderSafe(key)) {
      report.fault(at, 'holds a space, line break or other character no header can carry');
    } else if (seen.has(key)) {
      report.fault(at, 'is the same credential as one before');
    }
    seen.add(key);
  };
  check(apiKey, [...path, 'apiKey']);
  for (const [index, key] of (apiKeys ?? []).entries()) check(key, [...path, 'apiKeys', index]);
}
