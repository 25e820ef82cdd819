/** Alerts and dashboards for Prometheus and Grafana, generated into `deploy/`. Each row is one alert or one panel. */

import { catalogue } from '../src/base/errors.ts';

/** An alert. The runbook has a heading for each. */
interface Alert {
  readonly name: string;
  readonly expr: string;
  readonly for: string;
  readonly severity: 'warning' | 'critical';
  readonly summary: string;
}

/** Errors of the gateway and of providers. The status in the metric may be 200: the reply's head may go out before. */
const failures = Object.entries(catalogue).flatMap(([code, { status }]) => (status >= 500 ? [code] : []));
const failing = `sum(rate(sidegate_requests_total{error=~"${failures.join('|')}"}[5m]))`;

/** All alerts. */
export const alerts: readonly Alert[] = [
  {
    name: 'SidegateRequestsFail',
    expr: `${failing} / sum(rate(sidegate_requests_total[5m])) > 0.05`,
    for: '5m',
    severity: 'critical',
    summary: 'More than 5% of requests fail: by the gateway, or by providers.',
  },
  {
    name: 'SidegateBreakerOpen',
    // Half-open is 2, for a probe after each cooldown, and as long as nobody asks for the target any more.
    expr:
      'max by (target) (sidegate_breaker_state) > 0 ' +
      'and on (target) sum by (target) (increase(sidegate_upstream_calls_total[10m])) > 0',
    for: '5m',
    severity: 'warning',
    summary: 'The circuit breaker of {{ $labels.target }} is open or half-open.',
  },
  {
    name: 'SidegateProviderSlow',
    expr: 'histogram_quantile(0.95, sum by (target, le) (rate(sidegate_time_to_first_token_seconds_bucket[10m]))) > 10',
    for: '10m',
    severity: 'warning',
    summary: 'The first token of {{ $labels.target }} takes more than 10 s at the 95th percentile.',
  },
  {
    name: 'SidegateKeyRests',
    expr: 'max by (provider) (sidegate_resting_keys) > 0',
    for: '15m',
    severity: 'warning',
    summary: 'A key of {{ $labels.provider }} is cooling down: it is refused or limited.',
  },
  {
    name: 'SidegateCertificate',
    expr: 'sum by (target) (increase(sidegate_upstream_calls_total{outcome="certificate"}[5m])) > 0',
    for: '1m',
    severity: 'critical',
    summary: 'The TLS certificate of {{ $labels.target }} is invalid.',
  },
  {
    name: 'SidegateRecogniserDown',
    expr: 'min(sidegate_recogniser_up) == 0',
    for: '2m',
    severity: 'critical',
    summary: 'The recogniser of names fails, so requests are refused or pass unchecked.',
  },
  {
    name: 'SidegateBudgetEndsSoon',
    expr: 'predict_linear(sidegate_budget_spent_usd[1h], 6 * 3600) > sidegate_budget_limit_usd',
    for: '15m',
    severity: 'warning',
    summary:
      'At the rate of the last hour, the budget {{ $labels.budget }} of {{ $labels.scope }} ends within 6 hours.',
  },
  {
    name: 'SidegateBudgetEnds',
    expr: 'sidegate_limit_used{unit="usd"} / sidegate_limit_capacity{unit="usd"} > 0.9',
    for: '1m',
    severity: 'warning',
    summary: 'The budget {{ $labels.limit }} is used up to 90% for at least one caller.',
  },
  {
    name: 'SidegateLedgerLags',
    expr: 'max by (instance) (sidegate_ledger_lag_seconds) > 60 or sum by (instance) (rate(sidegate_ledger_rows_total{result="dropped"}[5m])) > 0',
    for: '1m',
    severity: 'critical',
    summary: 'The ledger of {{ $labels.instance }} cannot be written.',
  },
  {
    name: 'SidegateSinkLags',
    expr: 'max by (instance, sink) (sidegate_sink_lag_seconds) > 300 or sum by (instance, sink) (rate(sidegate_sink_records_total{sink!="otlp",result="dropped"}[5m])) > 0',
    for: '5m',
    severity: 'warning',
    summary: 'Records of {{ $labels.instance }} do not reach the sink {{ $labels.sink }}.',
  },
  {
    name: 'SidegateConfigRefused',
    expr: 'sidegate_config_last_reload_successful == 0',
    for: '1m',
    severity: 'warning',
    summary: '{{ $labels.instance }} refused its newest configuration and keeps the old one.',
  },
  {
    name: 'SidegateCatalogFile',
    expr: 'sidegate_catalog_file_ok == 0',
    for: '1m',
    severity: 'warning',
    summary: 'The catalog file of {{ $labels.instance }} can not be used, so its prices may be out of date.',
  },
  {
    name: 'SidegateRetryBudgetUsedUp',
    expr: 'sum by (kind) (rate(sidegate_retry_budget_refused_total[5m])) > 0.1',
    for: '10m',
    severity: 'warning',
    summary: 'So many calls fail that not all are retried.',
  },
  {
    name: 'SidegateEventLoopLags',
    expr: 'max by (instance) (sidegate_event_loop_lag_seconds{percentile="99"}) > 0.25',
    for: '10m',
    severity: 'warning',
    summary: '{{ $labels.instance }} has too little CPU time.',
  },
];

/** The file of rules, in Prometheus' own form. */
const groups = (): string => {
  const rules = alerts.map(
    ({ name, expr, for: wait, severity, summary }) => `      - alert: ${name}
        expr: ${JSON.stringify(expr)}
        for: ${wait}
        labels: { severity: ${severity} }
        annotations:
          summary: ${JSON.stringify(summary)}
          runbook: docs/guides/runbook.md#${name.toLowerCase()}
`,
  );
  return `groups:
  - name: sidegate
    rules:
${rules.join('')}`;
};

/** The alerts as Prometheus reads them. */
export const rulesFile = (): string =>
  `# Alerts for Prometheus, generated by \`npm run generate\`.\n${groups()}`;

/** The same for the Prometheus operator of Kubernetes. */
export const rulesManifest = (): string =>
  `# Alerts for the Prometheus operator, generated by \`npm run generate\`. Its selector may ask for other labels.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: sidegate
  labels: { app.kubernetes.io/name: sidegate }
spec:
${groups().replace(/^(?=.)/gm, '  ')}`;

/** A panel of the Grafana dashboard. */
interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly queries: readonly (readonly [expr: string, legend: string])[];
}

const quantiles = (metric: string, by: string): Panel['queries'] =>
  [0.5, 0.95, 0.99].map((share) => [
    `histogram_quantile(${share}, sum by (${by}le) (rate(${metric}_bucket[5m])))`,
    `p${share * 100}${by === '' ? '' : ' {{target}}'}`,
  ]);

/** All panels. */
export const panels: readonly Panel[] = [
  {
    title: 'Requests',
    unit: 'reqps',
    queries: [['sum by (status) (rate(sidegate_requests_total[5m]))', '{{status}}']],
  },
  {
    title: 'Errors by code',
    unit: 'reqps',
    queries: [['sum by (error) (rate(sidegate_requests_total{error!=""}[5m]))', '{{error}}']],
  },
  { title: 'Latency', unit: 's', queries: quantiles('sidegate_request_duration_seconds', '') },
  { title: 'Overhead', unit: 's', queries: quantiles('sidegate_overhead_seconds', '') },
  {
    title: 'Time to first token by target',
    unit: 's',
    queries: quantiles('sidegate_time_to_first_token_seconds', 'target, '),
  },
  {
    title: 'Duration of calls by target',
    unit: 's',
    queries: quantiles('sidegate_upstream_duration_seconds', 'target, '),
  },
  {
    title: 'Calls to providers',
    unit: 'reqps',
    queries: [
      ['sum by (target, outcome) (rate(sidegate_upstream_calls_total[5m]))', '{{target}} {{outcome}}'],
    ],
  },
  { title: 'Breakers', unit: 'none', queries: [['max by (target) (sidegate_breaker_state)', '{{target}}']] },
  {
    title: 'Resting keys',
    unit: 'none',
    queries: [['max by (provider) (sidegate_resting_keys)', '{{provider}}']],
  },
  {
    title: 'Tokens',
    unit: 'none',
    queries: [['sum by (target, direction) (rate(sidegate_tokens_total[5m]))', '{{target}} {{direction}}']],
  },
  {
    title: 'Dollars an hour by target',
    unit: 'currencyUSD',
    queries: [['sum by (target) (rate(sidegate_cost_usd_total[5m])) * 3600', '{{target}}']],
  },
  {
    title: 'Dollars an hour by team',
    unit: 'currencyUSD',
    queries: [['sum by (tenant, team) (rate(sidegate_spend_usd_total[5m])) * 3600', '{{tenant}} {{team}}']],
  },
  {
    title: 'Cache',
    unit: 'reqps',
    queries: [['sum by (cache) (rate(sidegate_requests_total[5m]))', '{{cache}}']],
  },
  {
    title: 'Saved in an hour',
    unit: 'currencyUSD',
    queries: [
      ['sum(increase(sidegate_saved_usd_total[1h]))', 'by stored replies'],
      ['sum(increase(sidegate_routing_saved_usd_total[1h]))', 'by routing'],
    ],
  },
  {
    title: 'Limits and budgets used',
    unit: 'percentunit',
    queries: [['sidegate_limit_used / sidegate_limit_capacity', '{{limit}}']],
  },
  {
    title: 'Limits refused',
    unit: 'reqps',
    queries: [['sum by (limit, event) (rate(sidegate_limit_events_total[5m]))', '{{limit}} {{event}}']],
  },
  {
    title: 'Personal data',
    unit: 'none',
    queries: [['sum by (kind) (rate(sidegate_pii_findings_total[5m]))', '{{kind}}']],
  },
  {
    title: 'In flight',
    unit: 'none',
    queries: [
      ['sum(sidegate_requests_in_flight)', 'requests'],
      ['sum(sidegate_batch_waiting)', 'batch waiting'],
    ],
  },
  {
    title: 'Memory',
    unit: 'bytes',
    queries: [
      ['sidegate_resident_memory_bytes', '{{instance}}'],
      ['sidegate_cache_bytes', '{{instance}} cache'],
    ],
  },
  {
    title: 'Event loop lag',
    unit: 's',
    queries: [['sidegate_event_loop_lag_seconds', '{{instance}} p{{percentile}}']],
  },
  {
    title: 'Budgets spent',
    unit: 'currencyUSD',
    queries: [['sidegate_budget_spent_usd', '{{budget}} {{scope}}']],
  },
  {
    title: 'Sinks: seconds behind',
    unit: 's',
    queries: [['max by (sink) (sidegate_sink_lag_seconds)', '{{sink}}']],
  },
  {
    title: 'Ledger',
    unit: 'none',
    queries: [
      ['sum by (result) (rate(sidegate_ledger_rows_total[5m]))', '{{result}}'],
      ['sum(sidegate_ledger_waiting)', 'waiting'],
    ],
  },
];

/** The Grafana dashboard, as its import takes it. */
export function grafanaFile(): string {
  const datasource = { type: 'prometheus', uid: '${datasource}' };
  const made = panels.map(({ title, unit, queries }, i) => ({
    id: i + 1,
    title,
    type: 'timeseries',
    datasource,
    gridPos: { x: (i % 3) * 8, y: Math.floor(i / 3) * 8, w: 8, h: 8 },
    fieldConfig: { defaults: { unit }, overrides: [] },
    targets: queries.map(([expr, legendFormat], n) => ({
      refId: String.fromCharCode(65 + n),
      datasource,
      expr,
      legendFormat,
    })),
  }));
  const dashboard = {
    title: 'Sidegate',
    uid: 'sidegate',
    schemaVersion: 39,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: {
      list: [{ name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' }],
    },
    panels: made,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
