/** What follows from a decision that allows a request: events, and the headers of the reply. */
import type { Telemetry } from '../base/telemetry.ts';
import { type AskEntries, meterTold } from '../native/meters.ts';
import type { Applied } from './applied.ts';
import { addTokenHeaders, countsTokens, rateLimitHeaders } from './headers.ts';

/** Names the limits that would have refused the request if they weren't only observed. */
export const observedLimitHeader = 'x-sidegate-observed-limit';

/**
 * Reports a decision's events, and returns the reply's headers: what is left of the limit and of the token limit closest
 * to exhaustion, and the names of limits that warn or would have refused.
 * @param entries the entries after the decision
 */
export function report(
  { rules: { rules }, scopes }: Applied,
  entries: AskEntries,
  waitMs: number,
  telemetry: Pick<Telemetry, 'limit'>,
): string[] {
  let least = -1;
  let leastTokens = -1;
  let leastShare = Number.POSITIVE_INFINITY;
  let leastTokensShare = Number.POSITIVE_INFINITY;
  let told = 0;
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i] as (typeof rules)[number];
    told |= entries.told(i);
    if (rule.unit === 'usd' || rule.observed) continue;
    const share = entries.left(i) / rule.capacity;
    if (share < leastShare) {
      least = i;
      leastShare = share;
    }
    if (share < leastTokensShare && countsTokens(rule)) {
      leastTokens = i;
      leastTokensShare = share;
    }
  }
  const rule = rules[least];
  const tokenRule = rules[leastTokens];
  const headers = rule === undefined ? [] : rateLimitHeaders(rule, entries.left(least), 0);
  if (tokenRule !== undefined) addTokenHeaders(tokenRule, entries.left(leastTokens), headers);
  if (told !== 0) reportTold(scopes, entries, headers, telemetry);
  if (waitMs > 0)
    for (const { rule, place } of scopes)
      if (rule.algorithm.delays && !rule.observed) telemetry.limit(rule.name, 'delayed', place.label);
  return headers;
}

/** Headers of a reply that also name a limit that would have refused; the same if they name it already. */
export function withObserved(headers: readonly string[], name: string): readonly string[] {
  const at = headers.indexOf(observedLimitHeader) + 1;
  if (at === 0) return [...headers, observedLimitHeader, name];
  const names = headers[at] ?? '';
  return names.split(', ').includes(name) ? headers : headers.with(at, `${names}, ${name}`);
}

/** Rare events: a soft limit was crossed, or a limit that is only observed would have refused. */
function reportTold(
  scopes: Applied['scopes'],
  entries: AskEntries,
  headers: string[],
  telemetry: Pick<Telemetry, 'limit'>,
): void {
  const soft: string[] = [];
  const observed: string[] = [];
  scopes.forEach(({ rule: { name }, place }, i) => {
    const told = entries.told(i);
    if ((told & meterTold.crossed) !== 0) telemetry.limit(name, 'soft', place.label);
    if ((told & meterTold.say) !== 0) soft.push(name);
    if ((told & meterTold.wouldRefuse) === 0) return;
    telemetry.limit(name, 'observed', place.label);
    observed.push(name);
  });
  if (soft.length > 0) headers.push('x-sidegate-soft-limit', [...new Set(soft)].join(', '));
  if (observed.length > 0) headers.push(observedLimitHeader, [...new Set(observed)].join(', '));
}
