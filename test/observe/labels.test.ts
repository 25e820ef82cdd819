/** Names that requests and tokens make up: they make no more series of metrics than their bounds. */
import { expect, test } from 'vitest';
import { noUsage } from '../../src/exchange/usage.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { createSpend } from '../../src/observe/spend.ts';
import { createTargetNames } from '../../src/observe/target-names.ts';
import { createTenantNames, tenantsMax } from '../../src/observe/tenant-names.ts';
import { idleGauges } from '../support/gauges.ts';
import { recordOf } from '../support/segments.ts';

const valuesOf = (text: string, metric: string, label: string): Set<string> =>
  new Set(
    [...text.matchAll(new RegExp(`^${metric}{[^}]*\\b${label}="([^"]*)"`, 'gm'))].map(
      ([, value = '']) => value,
    ),
  );

test('of tenants that only tokens name, so many are named; those of the configuration always are', () => {
  const nameOf = createTenantNames((tenant) => tenant.startsWith('own-'));
  for (let i = 0; i < 3 * tenantsMax; i++) {
    expect(nameOf(`token-${i}`)).toBe(i < tenantsMax ? `token-${i}` : 'other');
    expect(nameOf(`own-${i}`)).toBe(`own-${i}`);
  }
  expect(nameOf('token-0')).toBe('token-0');
});

test('a target has its name before its first call ends: in a session, and where another process stored its reply', async () => {
  const names = createTargetNames((label) => label.startsWith('own/'));
  const spend = createSpend(names.of);
  const metrics = createMetrics(idleGauges(spend), names);
  const usage = { ...noUsage, inputTokens: 1, outputTokens: 1 };
  for (const target of ['own/m', 'pattern/gpt']) {
    const hit = recordOf('r', { target, cache: 'hit', savedNanoUsd: 1 });
    metrics.record(hit);
    spend.add(hit);
  }
  for (const target of ['own/voice', 'pattern/voice'])
    metrics.charge('acme', { target, usage, costNanoUsd: 1_000_000_000 });
  const text = await metrics.registry.metrics();
  expect(valuesOf(text, 'sidegate_requests_total', 'target')).toEqual(new Set(['own/m', 'pattern/gpt']));
  expect(valuesOf(text, 'sidegate_cost_usd_total', 'target')).toEqual(
    new Set(['own/voice', 'pattern/voice']),
  );
  expect([...spend.rows()].map(({ target }) => target)).toEqual(['own/m', 'pattern/gpt']);
  // One that only a request names, and that its provider may not know, isn't named.
  expect(names.of('own-not/m')).toBe('other');
  for (let i = 0; i < 200; i++) names.served(`pattern/m-${i}`);
  expect(names.served('pattern/m-199')).toBe('other');
  expect(names.served('own/late')).toBe('own/late');
});

test('tenants and models that requests make up make no more series than their bounds', async () => {
  const names = createTargetNames(() => false);
  const spend = createSpend(names.of);
  const metrics = createMetrics(idleGauges(spend, { isTenant: () => false }), names);
  const usage = { ...noUsage, inputTokens: 1, outputTokens: 1 };
  for (let i = 0; i < 2 * tenantsMax; i++) {
    const charge = { target: `p/made-up-${i}`, usage, costNanoUsd: 1_000_000_000 };
    const tenant = `tenant-${i}`;
    metrics.call(charge.target, 'ok', 1, 1, true);
    const record = recordOf(`r${i}`, { tenant, target: charge.target, charges: [charge], savedNanoUsd: 1 });
    metrics.record(record);
    metrics.charge(tenant, charge);
    // One tenant's apps can't use up the rows of all others by making up models.
    spend.add({ ...record, tenant: 'acme' });
  }
  const text = await metrics.registry.metrics();
  for (const metric of ['requests_total', 'tokens_total', 'cost_usd_total', 'saved_usd_total']) {
    const tenants = valuesOf(text, `sidegate_${metric}`, 'tenant');
    expect([metric, tenants.size]).toEqual([metric, tenantsMax + 1]);
    expect(tenants.has('other')).toBe(true);
  }
  expect(valuesOf(text, 'sidegate_spend_usd_total', 'target').size).toBeLessThanOrEqual(101);
  // Nothing is lost by it.
  const spent = [...text.matchAll(/^sidegate_(?:cost|spend)_usd_total{.*} (\S+)$/gm)].map(([, n]) =>
    Number(n),
  );
  expect(spent.reduce((sum, n) => sum + n, 0)).toBeCloseTo(2 * 2 * tenantsMax, 3);
});
