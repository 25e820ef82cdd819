/** Metrics of what pods share over Redis: limits, idempotency keys and stored keys. */
import type { Registry } from 'prom-client';
import Gauge from 'prom-client/lib/gauge.js';
import { type CacheNewsEvent, cacheNewsEvents } from '../base/telemetry.ts';
import { createTally } from './tally.ts';

/** What is counted, as in base/telemetry.ts. */
export interface LeaseMetrics {
  leases(up: boolean): void;
  leaseCall(outcome: 'answered' | 'failed'): void;
  leasePods(pods: number): void;
  leaseAsk(outcome: 'answered' | 'late'): void;
  leasesForeign(limits: number): void;
  keysShared(sent: number, adopted: number): void;
  claim(result: 'mine' | 'running' | 'stored' | 'alone'): void;
  cacheNews(event: CacheNewsEvent): void;
}

/** Creates them. */
export function createLeaseMetrics(registry: Registry): LeaseMetrics {
  const calls = createTally(registry, 'sidegate_lease_calls_total', 'Calls to Redis for leases.', [
    'outcome',
  ]);
  const asks = createTally(
    registry,
    'sidegate_lease_asks_total',
    'Requests that waited for Redis, since their limit is too small to be sliced.',
    ['outcome'],
  );
  const claims = createTally(
    registry,
    'sidegate_replay_shared_total',
    'Idempotency keys that other pods were asked about.',
    ['result'],
  );
  const keys = createTally(
    registry,
    'sidegate_shared_keys_total',
    'Stored keys, made or revoked, that were sent to other pods and adopted from them.',
    ['direction'],
  );
  const news = createTally(
    registry,
    'sidegate_cache_news_total',
    'What pods tell each other of their caches: sent, adopted, dropped for want of room or Redis, refused as not ours.',
    ['event'],
  );
  // Series must exist from the start to be usable in alerts.
  for (const outcome of ['answered', 'failed']) calls.add(0, outcome);
  for (const outcome of ['answered', 'late']) asks.add(0, outcome);
  for (const result of ['mine', 'running', 'stored', 'alone']) claims.add(0, result);
  for (const event of cacheNewsEvents) news.add(0, event);
  for (const direction of ['sent', 'adopted']) keys.add(0, direction);
  const registers = [registry];
  const up = new Gauge({
    name: 'sidegate_leases_up',
    help: '1: limits are shared over Redis; 0: this pod uses its share of each, or shares none.',
    registers,
  });
  const pods = new Gauge({
    name: 'sidegate_lease_pods',
    help: 'Sidecars that share limits over Redis, as last heard; 0: none is configured, or it never answered.',
    registers,
  });
  const foreign = new Gauge({
    name: 'sidegate_lease_foreign_limits',
    help: 'Limits whose key in Redis holds something else, so that this pod uses its share of them.',
    registers,
  });
  return {
    leases: (is) => up.set(is ? 1 : 0),
    leaseCall: (outcome) => calls.add(1, outcome),
    leasePods: (count) => pods.set(count),
    leaseAsk: (outcome) => asks.add(1, outcome),
    keysShared(sent, adopted) {
      keys.add(sent, 'sent');
      keys.add(adopted, 'adopted');
    },
    claim: (result) => claims.add(1, result),
    cacheNews: (event) => news.add(1, event),
    leasesForeign: (count) => foreign.set(count),
  };
}
