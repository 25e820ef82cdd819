/** What Prometheus gets: metrics, rules and the Grafana dashboard, checked by its own tool and against a scrape. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { alerts, grafanaFile, panels, rulesFile, rulesManifest } from '../../scripts/alerts.ts';
import { catalogue } from '../../src/base/errors.ts';
import { logLines } from '../../src/base/log-lines.ts';
import { readDocument, root } from '../support/documents.ts';
import { startGate } from '../support/gate.ts';
import { openaiWire } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';

const rulesPath = new URL('deploy/prometheus-rules.yaml', root);
const manifestPath = new URL('deploy/prometheus-rule.kubernetes.yaml', root);
const grafanaPath = new URL('deploy/grafana-dashboard.json', root);

test('promtool finds no fault in a scrape', async () => {
  const gate = await startGate([answers(openaiWire, 'ok')], {
    limits: [{ name: 'l', capacity: 10, refillPerSecond: 1 }],
    observe: { spendMetrics: true },
  });
  onTestFinished(() => gate.stop());
  await gate.ask(openaiWire, 'hi ann@example.com');
  const { status, stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], {
    input: await gate.sidecar.metrics(),
    encoding: 'utf8',
  });
  expect(`${stdout}${stderr}`).toBe('');
  expect(status).toBe(0);
});

test('promtool accepts the rules, and all files are as generated', () => {
  const told = execFileSync('promtool', ['check', 'rules', rulesPath.pathname], { encoding: 'utf8' });
  expect(told).toContain(`SUCCESS: ${alerts.length} rules found`);
  expect(readFileSync(rulesPath, 'utf8')).toBe(rulesFile());
  expect(readFileSync(grafanaPath, 'utf8')).toBe(grafanaFile());
  expect(readFileSync(manifestPath, 'utf8')).toBe(rulesManifest());
  const { kind, spec } = parse(rulesManifest());
  expect([kind, spec]).toEqual(['PrometheusRule', parse(rulesFile())]);
});

/** Series by time, one value each minute, and what fires after ten. */
const courses: readonly (readonly [
  what: string,
  series: Readonly<Record<string, string>>,
  fires: string | null,
])[] = [
  [
    'a breaker that is open, and after each cooldown half-open for a moment',
    {
      'sidegate_breaker_state{target="p/m"}': '1 2 1 1 2 1 2 2 1 2 1',
      'sidegate_upstream_calls_total{target="p/m"}': '5 6 6 7 7 8 8 9 9 10 10',
    },
    'SidegateBreakerOpen',
  ],
  [
    'a breaker that stays half-open, since nobody asks for its target',
    {
      'sidegate_breaker_state{target="p/m"}': '2+0x10',
      'sidegate_upstream_calls_total{target="p/m"}': '5+0x10',
    },
    null,
  ],
  [
    'a target that fails now and then, whose breaker closes again',
    {
      'sidegate_breaker_state{target="p/m"}': '1 2 0 0 1 2 0 0 1 2 0',
      'sidegate_upstream_calls_total{target="p/m"}': '0+5x10',
    },
    null,
  ],
  [
    'requests that fail after the head of their reply has gone out',
    { 'sidegate_requests_total{status="200",error="upstream_timeout"}': '0+60x10' },
    'SidegateRequestsFail',
  ],
  [
    'requests that are refused, also after the head of their reply has gone out',
    { 'sidegate_requests_total{status="200",error="rate_limited"}': '0+60x10' },
    null,
  ],
];

test.each(courses)('%s: the alert for it fires, and no other', (_, given, fires) => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-rules-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'test.json');
  // The rules alone count, not what they say.
  const rules = join(folder, 'rules.json');
  const bare = alerts.map(({ name, expr, for: wait }) => ({ alert: name, expr, for: wait }));
  writeFileSync(rules, JSON.stringify({ groups: [{ name: 'sidegate', rules: bare }] }));
  const alertRules = alerts.map(({ name }) => ({
    eval_time: '10m',
    alertname: name,
    exp_alerts:
      name === fires ? [{ exp_labels: name === 'SidegateBreakerOpen' ? { target: 'p/m' } : {} }] : [],
  }));
  const input = Object.entries(given).map(([series, values]) => ({ series, values }));
  const tests = [{ interval: '1m', input_series: input, alert_rule_test: alertRules }];
  writeFileSync(path, JSON.stringify({ rule_files: [rules], evaluation_interval: '1m', tests }));
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', path], { encoding: 'utf8' });
  expect([status, `${stdout}${stderr}`]).toEqual([0, expect.stringContaining('SUCCESS')]);
});

test('alerts and panels name only metrics of the reference, and the runbook every alert', () => {
  const known = new Set(
    readDocument('docs/reference/metrics.md')
      .table('metric')
      .flatMap(([names = '']) => [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)),
  );
  const used = [
    ...alerts.map(({ expr }) => expr),
    ...panels.flatMap(({ queries }) => queries.map(([expr]) => expr)),
  ]
    .flatMap((expr) => expr.match(/sidegate_\w+/g) ?? [])
    .map((name) => name.replace(/_bucket$/, ''));
  expect(used.filter((name) => !known.has(name))).toEqual([]);
});

test('the runbook has a heading with advice for each alert, line of the log and error code', () => {
  const { text } = readDocument('docs/guides/runbook.md');
  const parts = new Map(
    text.split('\n### ').map((part) => {
      const [heading = '', ...rest] = part.split('\n');
      return [heading, rest.join(' ').trim()] as const;
    }),
  );
  const headings = [
    ...alerts.map(({ name }) => name),
    ...Object.values(logLines).map((line) => `Line: ${line.text}`),
    ...Object.keys(catalogue).map((code) => `Error: ${code}`),
  ];
  expect(headings.filter((heading) => (parts.get(heading)?.length ?? 0) < 20)).toEqual([]);
  // More than the summary: what to do.
  for (const { name } of alerts) expect(parts.get(name)).toMatch(/Severity: \w+\. \S+/);
});

test('no line is written that the table lacks', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const direct = files.filter(
    (file) =>
      file !== 'base/log-lines.ts' &&
      /\blog\.(info|warn|error|debug)\(/.test(readFileSync(join('src', file), 'utf8')),
  );
  expect(direct).toEqual([]);
});
