/** Metrics of tokens, what they cost, and what was saved. */
import type { Registry } from 'prom-client';
import type { Charge } from '../count/usage.ts';
import type { ExchangeRecord } from './record.ts';
import { createTally } from './tally.ts';
import type { TargetNames } from './target-names.ts';

/** Counts what stored replies and the choice of targets saved. */
export function createSavingMetrics(
  registry: Registry,
): (record: ExchangeRecord, tenant: string, target: string) => void {
  const labels = ['tenant', 'target'];
  const stored = createTally(
    registry,
    'sidegate_saved_usd_total',
    'Dollars saved by answering from the cache or for a repeated idempotency key.',
    labels,
  );
  const routed = createTally(
    registry,
    'sidegate_routing_saved_usd_total',
    'Dollars saved by choosing this target by its price, against the dearest that might have answered.',
    labels,
  );
  return ({ savedNanoUsd, routingSavedNanoUsd }, tenant, target) => {
    if (savedNanoUsd > 0) stored.add(savedNanoUsd / 1e9, tenant, target);
    if (routingSavedNanoUsd > 0) routed.add(routingSavedNanoUsd / 1e9, tenant, target);
  };
}

/** What is counted about tokens and costs. */
export function createUsageMetrics(
  registry: Registry,
  names: TargetNames,
): (tenant: string, charge: Charge) => void {
  const tokens = createTally(registry, 'sidegate_tokens_total', 'Tokens used.', [
    'tenant',
    'target',
    'direction',
  ]);
  const searches = createTally(
    registry,
    'sidegate_search_units_total',
    'Search units that reranks were billed for.',
    ['tenant', 'target'],
  );
  const cost = createTally(
    registry,
    'sidegate_cost_usd_total',
    'Dollars spent, as far as prices are known.',
    ['tenant', 'target'],
  );
  const unpriced = createTally(
    registry,
    'sidegate_unpriced_requests_total',
    'Replies whose cost is unknown because their model has no price.',
    ['target'],
  );
  const cached = createTally(
    registry,
    'sidegate_cached_tokens_total',
    "Input tokens read from and written to providers' caches.",
    ['tenant', 'target', 'kind'],
  );
  return (tenant, { target: label, usage, costNanoUsd }) => {
    // A session charges its replies before its call ends.
    const target = names.served(label);
    if (usage.cachedInputTokens > 0) cached.add(usage.cachedInputTokens, tenant, target, 'read');
    if (usage.cacheWriteTokens > 0) cached.add(usage.cacheWriteTokens, tenant, target, 'write');
    if (usage.inputTokens > 0) tokens.add(usage.inputTokens, tenant, target, 'input');
    if (usage.outputTokens > 0) tokens.add(usage.outputTokens, tenant, target, 'output');
    if (usage.searchUnits !== undefined) searches.add(usage.searchUnits, tenant, target);
    if (costNanoUsd === null) unpriced.add(1, target);
    else if (costNanoUsd > 0) cost.add(costNanoUsd / 1e9, tenant, target);
  };
}
