/**
 * The metrics, for Prometheus. Label values come from the configuration or a closed list; names of targets and tenants,
 * which requests and tokens may make up, are bounded.
 */
// Imported file by file: all of prom-client would also load its push gateway, OpenTelemetry's API and Node's cluster.
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Registry from 'prom-client/lib/registry.js';
import { catalogue, type ErrorCode } from '../base/errors.ts';
import type { BatchRefusal, CountResult } from '../base/telemetry.ts';
import type { Charge } from '../count/usage.ts';
import { type Priority, priorities } from '../exchange/priority.ts';
import type { Engine } from '../upstream/target.ts';
import { type CacheMetrics, createCacheMetrics } from './cache-metrics.ts';
import { collectEngines } from './engine-metrics.ts';
import { createLeaseMetrics, type LeaseMetrics } from './lease-metrics.ts';
import { createRecogniserMetrics, type RecogniserMetrics } from './recogniser-metrics.ts';
import type { ExchangeRecord } from './record.ts';
import { registerState, type StateGauges } from './state-metrics.ts';
import { createDistribution, createTally } from './tally.ts';
import type { TargetNames } from './target-names.ts';
import { createTenantNames } from './tenant-names.ts';
import { createSavingMetrics, createUsageMetrics } from './usage-metrics.ts';

/** Values read when Prometheus scrapes. */
export interface Gauges extends StateGauges {
  inFlight(): number;
  cacheEntries(): number;
  cacheBytes(): number;
  limitScopes(): number;
  /** Dollar budgets and whose they are. */
  budgets(): Iterable<{
    readonly budget: string;
    readonly scope: string;
    readonly limitUsd: number;
    readonly spentUsd: number;
  }>;
  /** Target label or provider name → 0 closed, 1 open, 2 half-open; and whether the configuration names it. */
  breakers(subject: 'target' | 'provider'): Iterable<readonly [string, number, boolean]>;
  /** Requests waiting in the batch queue, and the bytes of their bodies. */
  batchWaiting(): number;
  batchBytes(): number;
  /** Requests being processed by providers. */
  upstreamInFlight(priority: Priority): number;
  /** By provider: the self-hosted engine behind it. */
  engines(): Iterable<readonly [string, Engine]>;
  /** Whether the configuration names a tenant. */
  isTenant(name: string): boolean;
}

/** The metrics of a sidecar: each method counts one event. */
export interface Metrics extends LeaseMetrics, CacheMetrics, RecogniserMetrics {
  readonly registry: Registry;
  /** A request is finished. */
  record(record: ExchangeRecord): void;
  /** Usage and cost of one call for a tenant's request. */
  charge(tenant: string, charge: Charge): void;
  /** A reply's tokens were counted, or could not be. */
  count(result: CountResult): void;
  /** A call to a provider has ended. @param target `provider/model` @param made only the request names it */
  call(target: string, outcome: string, durationMs: number, ttftMs: number | null, made: boolean): void;
  /** A call was not made for want of a connection. */
  connectionsSpent(provider: string): void;
  /** The retry budget refused a call. */
  retryBudgetSpent(kind: 'retry' | 'hedge'): void;
  /** A hedged request was sent, or answered first. */
  hedge(what: 'sent' | 'won'): void;
  /** Redis, through which peers communicate, became reachable or unreachable. */
  peers(up: boolean): void;
  /** A hint to or from a peer. */
  hint(what: 'sent' | 'received' | 'dropped'): void;
  /** A batch request left the queue without being processed. */
  batchRefused(reason: BatchRefusal): void;
  /** A limit or budget did more than let a request pass. @param limit its name */
  limit(limit: string, event: string): void;
  /** A new configuration was adopted, or refused. */
  reload(ok: boolean): void;
  /** The catalog file is in use or not configured (true), or can't be used. */
  catalogFile(ok: boolean): void;
  /** An issuer's public keys were fetched, or could not be. */
  jwks(issuer: string, ok: boolean): void;
}

/** Error codes of stage authenticate. */
const authCodes: ReadonlySet<string> = new Set(
  (Object.keys(catalogue) as ErrorCode[]).filter(
    (code) =>
      catalogue[code].status === 401 || /^(?:model_forbidden|endpoint_forbidden|callers_unknown)$/.test(code),
  ),
);
/** Bounds of histogram buckets, in seconds. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const queuedBuckets = [0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600];
const overheadBuckets = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1];

/** Creates the metrics of a sidecar, in a registry of their own. @param names those of targets */
export function createMetrics(gauges: Gauges, names: TargetNames): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = createTally(registry, 'sidegate_requests_total', 'Requests answered.', [
    'endpoint',
    'tenant',
    'target',
    'status',
    'error',
    'cache',
  ]);
  const duration = createDistribution(
    registry,
    'sidegate_request_duration_seconds',
    'Time from the first byte received to the last byte sent.',
    'endpoint',
    durationBuckets,
  );
  const overhead = createDistribution(
    registry,
    'sidegate_overhead_seconds',
    'Time of non-streamed requests not spent waiting for a provider or in a queue.',
    'endpoint',
    overheadBuckets,
  );
  const tenantOf = createTenantNames(gauges.isTenant);
  const used = createUsageMetrics(registry, names);
  const saved = createSavingMetrics(registry);
  const counts = createTally(
    registry,
    'sidegate_token_counts_total',
    'Replies without usage from the provider, by the outcome of counting their tokens.',
    ['result'],
  );
  const upstream = createUpstreamMetrics(registry, names);
  const leases = createLeaseMetrics(registry);
  const limits = createTally(
    registry,
    'sidegate_limit_events_total',
    'What limits and budgets did, other than letting requests pass.',
    ['limit', 'event'],
  );
  const pii = createTally(
    registry,
    'sidegate_pii_findings_total',
    'Personal data and secrets found in requests, and in replies where those are searched.',
    ['kind', 'direction'],
  );
  const queued = createDistribution(
    registry,
    'sidegate_batch_queued_seconds',
    'Time batch requests waited in the queue.',
    'endpoint',
    queuedBuckets,
  );
  const batchRefused = createTally(
    registry,
    'sidegate_batch_refused_total',
    'Batch requests that left the queue unprocessed, by reason.',
    ['reason'],
  );
  const refusals = createTally(
    registry,
    'sidegate_auth_refusals_total',
    'Callers refused, or let pass in observe mode.',
    ['reason', 'outcome'],
  );
  const jwks = createTally(registry, 'sidegate_jwks_refreshes_total', "Fetches of issuers' public keys.", [
    'issuer',
    'result',
  ]);
  const reloads = new Counter({
    name: 'sidegate_config_reloads_total',
    help: 'Configuration reloads, by result.',
    labelNames: ['result'],
    registers,
  });
  const reloadOk = new Gauge({
    name: 'sidegate_config_last_reload_successful',
    help: '1: the newest configuration is in use; 0: a newer one was refused.',
    aggregator: 'first',
    registers,
  });
  reloadOk.set(1);
  const catalogOk = new Gauge({
    name: 'sidegate_catalog_file_ok',
    help: '0: catalog.file can not be used, so earlier prices or the built-in ones apply; 1: it is used, or not set.',
    aggregator: 'first',
    registers,
  });
  catalogOk.set(1);
  collectGauges(gauges, names, registers);
  registerState(registry, gauges);

  return {
    registry,
    record(r) {
      const { endpoint } = r;
      const tenant = tenantOf(r.tenant);
      const target = targetOf(r, names);
      requests.add(1, endpoint, tenant, target, String(r.status), r.error, r.cache);
      duration.observe(endpoint, r.durationMs / 1000);
      if (!r.stream) overhead.observe(endpoint, Math.max(0, r.durationMs - r.upstreamMs - r.queuedMs) / 1000);
      if (r.priority === 'batch') queued.observe(endpoint, r.queuedMs / 1000);
      if (r.error !== '' && authCodes.has(r.error)) refusals.add(1, r.error, 'refused');
      if (r.observed !== '') {
        for (const code of r.observed.split(',')) if (authCodes.has(code)) refusals.add(1, code, 'passed');
      }
      saved(r, tenant, target);
      for (const { kind, count } of r.findings) pii.add(count, kind, 'request');
      for (const { kind, count } of r.replyFindings) pii.add(count, kind, 'reply');
    },
    charge: (tenant, charge) => used(tenantOf(tenant), charge),
    count: (result) => counts.add(1, result),
    ...upstream,
    ...leases,
    ...createRecogniserMetrics(registry),
    batchRefused: (reason) => batchRefused.add(1, reason),
    jwks: (issuer, ok) => jwks.add(1, issuer, ok ? 'ok' : 'failed'),
    limit: (limit, event) => limits.add(1, limit, event),
    ...createCacheMetrics(registry),
    reload(ok) {
      reloads.inc({ result: ok ? 'ok' : 'refused' });
      reloadOk.set(ok ? 1 : 0);
    },
    catalogFile: (ok) => catalogOk.set(ok ? 1 : 0),
  };
}

/** Name of the target that answered. A reply that was stored may be of one that this process has never called. */
const targetOf = ({ target, cache, replayed }: ExchangeRecord, names: TargetNames): string =>
  cache === 'hit' || replayed ? names.served(target) : names.of(target);

/** What is counted about calls to providers, and about peers. */
function createUpstreamMetrics(
  registry: Registry,
  names: TargetNames,
): Pick<Metrics, 'call' | 'connectionsSpent' | 'retryBudgetSpent' | 'hedge' | 'peers' | 'hint'> {
  const calls = createTally(registry, 'sidegate_upstream_calls_total', 'Calls to providers, by outcome.', [
    'target',
    'outcome',
  ]);
  const duration = createDistribution(
    registry,
    'sidegate_upstream_duration_seconds',
    'Time from sending a call to a provider to the end of its reply.',
    'target',
    durationBuckets,
  );
  const firstToken = createDistribution(
    registry,
    'sidegate_time_to_first_token_seconds',
    'Time from sending a call to a provider to the first content of its reply.',
    'target',
    durationBuckets,
  );
  const connections = createTally(
    registry,
    'sidegate_connections_refused_total',
    'Calls that were not made because attempt.connectionsMax was reached.',
    ['provider'],
  );
  const spent = createTally(
    registry,
    'sidegate_retry_budget_refused_total',
    'Retries and hedges that were not sent because the retry budget was used up.',
    ['kind'],
  );
  const hedges = createTally(
    registry,
    'sidegate_hedges_total',
    'Hedges sent, and hedges that answered first.',
    ['outcome'],
  );
  const hints = createTally(registry, 'sidegate_peer_hints_total', 'Hints sent to and received from peers.', [
    'outcome',
  ]);
  const peersUp = new Gauge({
    name: 'sidegate_peers_up',
    help: '1: Redis, through which peers communicate, answers; 0: it does not, or none is configured.',
    registers: [registry],
  });
  // Series must exist from the start to be usable in alerts.
  for (const kind of ['retry', 'hedge']) spent.add(0, kind);
  for (const outcome of ['sent', 'won']) hedges.add(0, outcome);
  for (const outcome of ['sent', 'received', 'dropped']) hints.add(0, outcome);
  return {
    call(label, outcome, durationMs, ttftMs, made) {
      const target = names.called(label, outcome, made);
      calls.add(1, target, outcome);
      duration.observe(target, durationMs / 1000);
      if (ttftMs !== null) firstToken.observe(target, ttftMs / 1000);
    },
    connectionsSpent: (provider) => connections.add(1, provider),
    retryBudgetSpent: (kind) => spent.add(1, kind),
    hedge: (what) => hedges.add(1, what),
    peers: (up) => peersUp.set(up ? 1 : 0),
    hint: (what) => hints.add(1, what),
  };
}

function collectGauges(gauges: Gauges, names: TargetNames, registers: Registry[]): void {
  // What all workers see alike is `first`; what each has of its own is added up.
  const gauge = (name: string, help: string, read: () => number, alike?: 'first'): void => {
    new Gauge({
      name,
      help,
      aggregator: alike ?? 'sum',
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  gauge('sidegate_requests_in_flight', 'Requests in flight.', gauges.inFlight);
  gauge('sidegate_cache_entries', 'Entries in the cache.', gauges.cacheEntries, 'first');
  gauge('sidegate_cache_bytes', 'Memory used by cache entries.', gauges.cacheBytes, 'first');
  gauge('sidegate_limit_scopes', 'Meters of limits and budgets in use.', gauges.limitScopes, 'first');
  const { rss } = process.memoryUsage;
  gauge('sidegate_resident_memory_bytes', 'Resident memory of the process.', rss, 'first');
  gauge('sidegate_batch_waiting', 'Requests in the batch queue.', gauges.batchWaiting);
  gauge('sidegate_batch_waiting_bytes', 'Bytes of the bodies in the batch queue.', gauges.batchBytes);
  new Gauge({
    name: 'sidegate_upstream_in_flight',
    help: 'Requests being processed by providers, by traffic class.',
    labelNames: ['priority'],
    registers,
    collect() {
      for (const priority of priorities) this.set({ priority }, gauges.upstreamInFlight(priority));
    },
  });
  collectEngines(gauges, registers);
  const budgetGauge = (name: string, help: string, read: 'limitUsd' | 'spentUsd'): void => {
    new Gauge({
      name,
      help,
      labelNames: ['budget', 'scope'],
      aggregator: 'first',
      registers,
      collect() {
        this.reset();
        for (const { budget, scope, ...usd } of gauges.budgets()) this.set({ budget, scope }, usd[read]);
      },
    });
  };
  budgetGauge('sidegate_budget_limit_usd', 'Dollars that a budget has in its window.', 'limitUsd');
  budgetGauge('sidegate_budget_spent_usd', 'Dollars spent of a budget in its window.', 'spentUsd');
  for (const subject of ['target', 'provider'] as const) {
    new Gauge({
      name: subject === 'target' ? 'sidegate_breaker_state' : 'sidegate_provider_breaker_state',
      help: `Circuit breaker of a ${subject}: 0 closed, 1 open, 2 half-open.`,
      labelNames: [subject],
      aggregator: 'first',
      registers,
      collect() {
        this.reset();
        for (const [name, state, configured] of gauges.breakers(subject))
          if (configured || names.of(name) === name) this.set({ [subject]: name }, state);
      },
    });
  }
}
