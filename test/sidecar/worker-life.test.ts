/** Two workers are one sidecar: started, reloaded, watched, logged and ended together. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { chainConfig, metricIn } from '../support/chain.ts';
import { meet, startPair, type Told } from '../support/crew.ts';
import { openaiWire } from '../support/replies.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import { answers } from '../support/upstream.ts';

const good = answers(openaiWire, 'Hello.');
const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'sidegate-crew-'));

describe('two workers', () => {
  test('log, metrics, dashboard and ledger have the requests of both', async () => {
    const path = join(await folder(), 'ledger.db');
    const pair = await startPair([good], { observe: { ledger: { path }, recent: 100 } });
    await meet(pair);
    for (let i = 0; i < 4; i++) await (i % 2 === 0 ? pair.first : pair.second)();
    const metrics = await pair.metrics();
    expect(metricIn(metrics, 'sidegate_requests_total', { status: '200' })).toBe(6);
    expect(metricIn(metrics, 'sidegate_request_duration_seconds_count')).toBe(6);
    expect(metricIn(metrics, 'sidegate_upstream_calls_total', { outcome: 'ok' })).toBe(6);
    expect(metricIn(metrics, 'sidegate_config_last_reload_successful')).toBe(1);
    expect(metricIn(metrics, 'sidegate_catalog_file_ok')).toBe(1);
    const overview = await (await fetch(`${pair.adminUrl}/api/overview`)).json();
    expect(overview).toMatchObject({ newest: 6, spend: [{ requests: 6 }], numbers: { inFlight: 0 } });
    const requests = (await (await fetch(`${pair.adminUrl}/api/requests`)).json()) as object[];
    expect(requests).toHaveLength(6);
    await pair.stop();
    expect(pair.records()).toHaveLength(6);
    const ledger = new DatabaseSync(path, { readOnly: true });
    expect(ledger.prepare('SELECT sum(count) AS rows FROM segment').get()).toMatchObject({ rows: 6 });
    ledger.close();
  });

  test('a reload is adopted by both, and limits keep their level', async () => {
    const limits = (capacity: number): ConfigInput => ({
      limits: [{ name: 'calls', capacity, refillPerSecond: 1e-9, per: [] }],
    });
    const pair = await startPair([good], limits(2));
    await meet(pair);
    expect([(await pair.first()).status, (await pair.second()).status]).toEqual([429, 429]);
    const next = { ...chainConfig(openaiWire, [pair.upstream.baseUrl], limits(4)), workers: 2 };
    await pair.sidecar.reload(configSchema.parse({ authenticate: { anonymousTenant: 'test' }, ...next }));
    // A bucket that grows has the new room, but isn't full anew.
    const more = [await pair.second(), await pair.first(), await pair.second()];
    expect(more.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(2);
    await pair.sidecar.reload(
      configSchema.parse({ authenticate: { anonymousTenant: 'test' }, ...next, limits: [] }),
    );
    expect([(await pair.first()).status, (await pair.second()).status]).toEqual([200, 200]);
  });

  test('a key that is made while they run opens both, and is revoked for both', async () => {
    const token = 'a-token-for-admins';
    const store = { path: join(await folder(), 'store.db') };
    const pair = await startPair([good], {
      admin: { token },
      store,
      authenticate: { anonymousTenant: undefined },
    });
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const refused = [await pair.first(), await pair.second()];
    expect(refused.map(({ status }) => status)).toEqual([401, 401]);
    const body = JSON.stringify({ id: 'app', tenant: 'acme' });
    const made = (await (await fetch(`${pair.adminUrl}/keys`, { method: 'POST', headers, body })).json()) as {
      key: string;
    };
    const mine = { headers: { authorization: `Bearer ${made.key}` } };
    expect([(await pair.first(mine)).status, (await pair.second(mine)).status]).toEqual([200, 200]);
    await fetch(`${pair.adminUrl}/keys/app`, { method: 'DELETE', headers });
    expect([(await pair.first(mine)).status, (await pair.second(mine)).status]).toEqual([401, 401]);
  });

  test('what a budget spent in the second worker is saved, and counts for both after a restart', async () => {
    const more: ConfigInput = {
      store: { path: join(await folder(), 'store.db') },
      // 25 tokens in and 15 out, as the provider states, are 0.00003 dollars: enough for two calls.
      budgets: [{ name: 'month', usd: 80e-6, window: 'month', per: [] }],
      catalog: { models: [{ model: 'test-model', inputUsdPerMTok: 0.6, outputUsdPerMTok: 1 }] },
    };
    const ask = { fields: { max_tokens: 15 } };
    const before = await startPair([good], more);
    await before.first({ text: 'Nothing.', path: '/v1/nowhere' });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await before.second(ask)).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
    await before.stop();
    const after = await startPair([good], more);
    const told = [await after.first(ask), await after.second(ask)];
    expect(told.map(({ status }) => status)).toEqual([429, 429]);
    expect(metricIn(await after.metrics(), 'sidegate_budget_spent_usd')).toBeCloseTo(90e-6, 9);
  });

  test('a drain lets both finish what they have', async () => {
    const pair = await startPair([good, good, () => {}], { listen: { drainMs: 60_000 } });
    await meet(pair);
    const sent = [pair.first(), pair.second()];
    const calls = [await pair.upstream.call(2), await pair.upstream.call(3)];
    const drained = pair.stop();
    for (const call of calls) good(call);
    expect((await Promise.all(sent)).map(({ status }) => status)).toEqual([200, 200]);
    await drained;
    expect(pair.records()).toHaveLength(4);
    await expect(fetch(pair.url)).rejects.toThrow();
  });

  test('what was purged stays purged in both over a restart, and all else comes back to both', async () => {
    const token = 'a-token-for-admins';
    const snapshot = join(await folder(), 'cache.snapshot');
    const more: ConfigInput = {
      admin: { token },
      cache: { enabled: true, snapshot },
      scrub: { secret: 'placeholders of both processes' },
    };
    const before = await startPair([good], more);
    const tagged = { text: 'What does it cost?', headers: { 'x-sidegate-tags': 'prices' } };
    await meet(before, tagged);
    await before.second({ text: 'Where are you?' });
    const headers = { authorization: `Bearer ${token}` };
    await fetch(`${before.adminUrl}/cache?tag=prices`, { method: 'DELETE', headers });
    await before.stop();
    const after = await startPair(before.upstream, more);
    await until(() => after.logText().includes('the cache begins with what an earlier process kept'));
    const fresh = { ...tagged, headers: { ...tagged.headers, 'cache-control': 'no-store' } };
    await meet(after, fresh);
    const status = ({ headers }: Told): string => String(headers['cache-status']);
    for (const client of [after.second, after.first])
      expect(status(await client({ text: 'Where are you?' }))).toContain('hit');
    expect(status(await after.second(tagged))).toContain('fwd=uri-miss');
    expect(status(await after.first(tagged))).toContain('hit');
  });

  test('they serve a Unix socket too', async () => {
    const socket = join(await folder(), 'data.sock');
    const pair = await startPair([good], { listen: { socket } });
    expect(pair.url).toBe(`unix:${socket}`);
  });
});
