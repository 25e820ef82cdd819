/** The metrics, for Prometheus. Every label value comes from the configuration or a closed list. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ExchangeRecord } from './record.ts';

/** Values read when Prometheus asks. */
export interface Gauges {
  inFlight(): number;
  cacheEntries(): number;
  cacheBytes(): number;
  /** Target label → 0 closed, 1 open, 2 half-open. */
  breakers(): Iterable<readonly [string, number]>;
}

export interface Metrics {
  readonly registry: Registry;
  record(record: ExchangeRecord): void;
  call(target: string, outcome: string): void;
  reload(ok: boolean): void;
}

const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const overheadBuckets = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1];

export function createMetrics(gauges: Gauges): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: 'sidegate_requests_total',
    help: 'Requests answered.',
    labelNames: ['endpoint', 'tenant', 'target', 'status', 'error', 'cache'],
    registers,
  });
  const duration = new Histogram({
    name: 'sidegate_request_duration_seconds',
    help: 'From the first byte in to the last byte out.',
    labelNames: ['endpoint'],
    buckets: durationBuckets,
    registers,
  });
  const overhead = new Histogram({
    name: 'sidegate_overhead_seconds',
    help: 'Of a whole reply, the time not spent waiting for a provider.',
    labelNames: ['endpoint'],
    buckets: overheadBuckets,
    registers,
  });
  const tokens = new Counter({
    name: 'sidegate_tokens_total',
    help: 'Tokens used.',
    labelNames: ['tenant', 'target', 'direction'],
    registers,
  });
  const calls = new Counter({
    name: 'sidegate_upstream_calls_total',
    help: 'Calls to providers, by what came of them.',
    labelNames: ['target', 'outcome'],
    registers,
  });
  const pii = new Counter({
    name: 'sidegate_pii_findings_total',
    help: 'Personal data found in requests.',
    labelNames: ['kind'],
    registers,
  });
  const reloads = new Counter({
    name: 'sidegate_config_reloads_total',
    help: 'Configuration reloads, by result.',
    labelNames: ['result'],
    registers,
  });
  const reloadOk = new Gauge({
    name: 'sidegate_config_last_reload_successful',
    help: '1: the configuration in use is the newest one; 0: a newer one was refused.',
    registers,
  });
  reloadOk.set(1);
  collectGauges(gauges, registers);

  return {
    registry,
    record(r) {
      const { endpoint, tenant, target, error, cache } = r;
      requests.inc({ endpoint, tenant, target, status: r.status, error, cache });
      duration.observe({ endpoint }, r.durationMs / 1000);
      if (!r.stream) overhead.observe({ endpoint }, Math.max(0, r.durationMs - r.upstreamMs) / 1000);
      if (r.inputTokens > 0) tokens.inc({ tenant, target, direction: 'input' }, r.inputTokens);
      if (r.outputTokens > 0) tokens.inc({ tenant, target, direction: 'output' }, r.outputTokens);
      if (r.emails > 0) pii.inc({ kind: 'email' }, r.emails);
      if (r.cards > 0) pii.inc({ kind: 'card' }, r.cards);
    },
    call: (target, outcome) => calls.inc({ target, outcome }),
    reload(ok) {
      reloads.inc({ result: ok ? 'ok' : 'refused' });
      reloadOk.set(ok ? 1 : 0);
    },
  };
}

function collectGauges(gauges: Gauges, registers: Registry[]): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  gauge('sidegate_requests_in_flight', 'Requests at work.', gauges.inFlight);
  gauge('sidegate_cache_entries', 'Entries of the cache.', gauges.cacheEntries);
  gauge('sidegate_cache_bytes', 'Memory of the cache.', gauges.cacheBytes);
  gauge('sidegate_resident_memory_bytes', 'Resident memory of the process.', () => process.memoryUsage.rss());
  new Gauge({
    name: 'sidegate_breaker_state',
    help: 'Circuit breaker of a target: 0 closed, 1 open, 2 half-open.',
    labelNames: ['target'],
    registers,
    collect() {
      this.reset();
      for (const [target, state] of gauges.breakers()) this.set({ target }, state);
    },
  });
}
