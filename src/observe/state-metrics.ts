/** Metrics of the process's own state, read when Prometheus scrapes: limits, keys, the ledger, the event loop, spending. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import type { LedgerState } from './ledger/ledger.ts';
import type { SinkState } from './sink-state.ts';
import type { Spend } from './spend.ts';

/** How far the fullest meter of a limit or budget is used up. Dollars are nano-dollars. */
export interface FullestMeter {
  readonly limit: string;
  readonly unit: string;
  readonly capacity: number;
  readonly used: number;
}

/** What these metrics read. */
export interface StateGauges {
  /** For each limit or budget by name: its fullest meter. */
  limits(): Iterable<FullestMeter>;
  /** By provider: keys that are cooling down. */
  restingKeys(): Iterable<readonly [string, number]>;
  /** Null: none is kept. */
  ledger(): LedgerState | null;
  /** By name: what takes records besides the ledger. */
  sinks(): Iterable<readonly [string, SinkState]>;
  readonly spend: Pick<Spend, 'rows'>;
  /** Whether spending is shown by tenant, team and key. */
  showsSpend(): boolean;
}

/** How often the event loop's delay is sampled. */
const sampleMs = 50;
const nanoPerUsd = 1e9;

/** Registers the metrics. */
export function registerState(registry: Registry, gauges: StateGauges): void {
  registerLimits(registry, gauges);
  registerLedger(registry, gauges);
  registerSinks(registry, gauges);
  registerSpend(registry, gauges);
  registerLoop(registry);
  new Gauge({
    name: 'sidegate_resting_keys',
    help: 'Keys of a provider that are cooling down.',
    labelNames: ['provider'],
    aggregator: 'max',
    registers: [registry],
    collect() {
      this.reset();
      for (const [provider, count] of gauges.restingKeys()) this.set({ provider }, count);
    },
  });
}

function registerLimits(registry: Registry, gauges: StateGauges): void {
  const amounts: readonly (readonly [string, string, (meter: FullestMeter) => number])[] = [
    ['sidegate_limit_capacity', 'Size of a limit or budget.', ({ capacity }) => capacity],
    ['sidegate_limit_used', 'Used up of the fullest meter of a limit or budget.', ({ used }) => used],
    [
      'sidegate_limit_remaining',
      'Left in the fullest meter of a limit or budget.',
      ({ capacity, used }) => capacity - used,
    ],
  ];
  for (const [name, help, of] of amounts)
    new Gauge({
      name,
      help,
      labelNames: ['limit', 'unit'],
      aggregator: 'first',
      registers: [registry],
      collect() {
        this.reset();
        for (const meter of gauges.limits()) {
          const { limit, unit } = meter;
          this.set({ limit, unit }, of(meter));
        }
      },
    });
}

function registerLedger(registry: Registry, gauges: StateGauges): void {
  new Counter({
    name: 'sidegate_ledger_rows_total',
    help: 'Rows of the ledger that were written, and that were dropped because too many waited.',
    labelNames: ['result'],
    registers: [registry],
    collect() {
      this.reset();
      const { written = 0, dropped = 0 } = gauges.ledger() ?? {};
      this.inc({ result: 'written' }, written);
      this.inc({ result: 'dropped' }, dropped);
    },
  });
  const gauge = (name: string, help: string, of: (state: LedgerState) => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const state = gauges.ledger();
        this.set(state === null ? 0 : of(state));
      },
    });
  };
  gauge('sidegate_ledger_waiting', 'Rows that wait to be written.', ({ waiting }) => waiting);
  gauge('sidegate_ledger_lag_seconds', 'Age of the oldest row that waits.', ({ lagMs }) => lagMs / 1000);
}

function registerSinks(registry: Registry, gauges: StateGauges): void {
  new Counter({
    name: 'sidegate_sink_records_total',
    help: 'Records that a sink took, and that were dropped because too many waited for it.',
    labelNames: ['sink', 'result'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [sink, { sent, dropped }] of gauges.sinks()) {
        this.inc({ sink, result: 'sent' }, sent);
        this.inc({ sink, result: 'dropped' }, dropped);
      }
    },
  });
  const gauge = (name: string, help: string, of: (state: SinkState) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['sink'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [sink, state] of gauges.sinks()) this.set({ sink }, of(state));
      },
    });
  };
  gauge('sidegate_sink_waiting', 'Records that wait for a sink.', ({ waiting }) => waiting);
  gauge('sidegate_sink_lag_seconds', 'Age of the oldest record that waits.', ({ lagMs }) => lagMs / 1000);
}

function registerSpend(registry: Registry, { spend, showsSpend }: StateGauges): void {
  const labelNames = ['tenant', 'team', 'key', 'target'] as const;
  new Counter({
    name: 'sidegate_spend_usd_total',
    help: 'Dollars spent by tenant, team, key and target (observe.spendMetrics).',
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      if (!showsSpend()) return;
      for (const { tenant, team, keyId: key, target, costNanoUsd } of spend.rows())
        this.inc({ tenant, team, key, target }, costNanoUsd / nanoPerUsd);
    },
  });
  new Counter({
    name: 'sidegate_spend_tokens_total',
    help: 'Tokens used by tenant, team, key and target (observe.spendMetrics).',
    labelNames: [...labelNames, 'direction'],
    registers: [registry],
    collect() {
      this.reset();
      if (!showsSpend()) return;
      for (const { tenant, team, keyId: key, target, inputTokens, outputTokens } of spend.rows()) {
        this.inc({ tenant, team, key, target, direction: 'input' }, inputTokens);
        this.inc({ tenant, team, key, target, direction: 'output' }, outputTokens);
      }
    },
  });
}

function registerLoop(registry: Registry): void {
  // Sampled from the first scrape on: who isn't scraped pays nothing.
  let loop: ReturnType<typeof monitorEventLoopDelay> | null = null;
  new Gauge({
    name: 'sidegate_event_loop_lag_seconds',
    help: 'How late the event loop ran since the last scrape.',
    labelNames: ['percentile'],
    aggregator: 'max',
    registers: [registry],
    collect() {
      if (loop === null) {
        loop = monitorEventLoopDelay({ resolution: sampleMs });
        loop.enable();
      }
      const lag = (ns: number): number => Math.max(0, ns / 1e9 - sampleMs / 1000);
      const isEmpty = loop.count === 0;
      this.set({ percentile: '50' }, isEmpty ? 0 : lag(loop.percentile(50)));
      this.set({ percentile: '99' }, isEmpty ? 0 : lag(loop.percentile(99)));
      this.set({ percentile: '100' }, isEmpty ? 0 : lag(loop.max));
      loop.reset();
    },
  });
}
