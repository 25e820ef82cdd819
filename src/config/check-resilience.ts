/** Checks across the settings of stage attempt: keys, limits of targets, backoff, breakers, and the peers' Redis. */

import type { Path } from './faults.ts';
import { absent, type Draft, type DraftProvider, type Report } from './report.ts';
import { configSchema } from './schema.ts';
import { redisUrlFault, sentSecretFault } from './syntax.ts';

/** Checks these settings, except those inside providers. */
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
  if (draft.replay?.scope === 'shared' && absent(draft.sync, 'redis'))
    report.fault(['replay', 'scope'], '`shared` needs `sync.redis`, through which pods share keys');
  else if (draft.replay?.scope === 'shared' && draft.scrub?.secret === undefined)
    report.warn(
      ['replay', 'scope'],
      '`shared` needs `scrub.secret` too: without it each pod has placeholders of its own, and a request with personal data is sent again in another one',
    );
  const fault = redis === undefined ? null : redisUrlFault(redis);
  if (fault !== null) report.fault(['sync', 'redis'], fault);
  draft.sync?.nodes?.forEach((node, index) => {
    const wrong = node === undefined ? null : redisUrlFault(node);
    if (wrong !== null) report.fault(['sync', 'nodes', index], wrong);
  });
  checkTargetLimits(draft, report);
}

/** Checks that a target has the same limits in every route: it is one target, whatever route it is in. */
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
      if (before !== text)
        report.fault(path, `${report.show(label)} has different limits in an earlier route: make them equal`);
      seen.set(label, before);
    });
  });
}

/** Checks the credentials of one provider. No message quotes any of them. */
export function checkKeysOf(path: Path, { apiKey, apiKeys }: DraftProvider, report: Report): void {
  const seen = new Set<string>();
  const check = (key: string | undefined, at: Path): void => {
    if (key === undefined) return;
    const wrong = sentSecretFault(key);
    if (wrong !== null) report.fault(at, wrong);
    else if (seen.has(key)) report.fault(at, 'is a duplicate of an earlier credential');
    seen.add(key);
  };
  check(apiKey, [...path, 'apiKey']);
  for (const [index, key] of (apiKeys ?? []).entries()) check(key, [...path, 'apiKeys', index]);
}
