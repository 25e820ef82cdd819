/** Two workers decide as one: limits, budgets, breakers, cache, idempotency keys and single flight are exact across them. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { metricIn } from '../support/chain.ts';
import { type Client, meet, startPair, type Told } from '../support/crew.ts';
import { openaiWire } from '../support/replies.ts';
import { until } from '../support/until.ts';
import { answers, type Call, refuses } from '../support/upstream.ts';

const good = answers(openaiWire, 'Hello.');
const slow = { refillPerSecond: 1e-9, per: [] };
const count = (all: readonly Told[], status: number): number =>
  all.filter((told) => told.status === status).length;
const workersOf = (all: readonly Told[]): number => new Set(all.map(({ worker }) => worker)).size;
const times = (number: number, client: Client): Promise<Told[]> =>
  Promise.all(Array.from({ length: number }, (_, i) => client({ text: `Question ${i}.` })));

describe('limits', () => {
  test('of 1,000 concurrent calls over both workers, a limit of 100 admits exactly 100', async () => {
    const pair = await startPair([good], { limits: [{ name: 'calls', capacity: 100, ...slow }] });
    const all = await times(1000, pair.many(40));
    expect([count(all, 200), count(all, 429)]).toEqual([100, 900]);
    expect(workersOf(all)).toBe(2);
    expect(pair.upstream.calls).toHaveLength(100);
    const metrics = await pair.metrics();
    expect(metricIn(metrics, 'sidegate_limit_events_total', { limit: 'calls', event: 'refused' })).toBe(900);
    expect(metricIn(metrics, 'sidegate_limit_used', { limit: 'calls' })).toBeCloseTo(100);
    expect(metricIn(metrics, 'sidegate_limit_scopes')).toBe(1);
  });

  test('a limit of ten at once holds for both together', async () => {
    const held: Call[] = [];
    const pair = await startPair([(call) => held.push(call)], {
      limits: [{ name: 'at-once', unit: 'concurrency', capacity: 10, per: [] }],
    });
    const client = pair.many(40);
    let refused = 0;
    const all = Array.from({ length: 40 }, () =>
      client().then((told) => {
        if (told.status === 429) refused += 1;
        if (refused === 30) for (const call of held.splice(0)) good(call);
        return told;
      }),
    );
    const told = await Promise.all(all);
    expect([count(told, 200), count(told, 429), workersOf(told)]).toEqual([10, 30, 2]);
    pair.upstream.answer(good);
    expect((await client()).status).toBe(200);
  });

  test('a budget ends after the same calls as with one worker, and both see what is spent', async () => {
    const price = { model: 'test-model', inputUsdPerMTok: 0.6, outputUsdPerMTok: 1 };
    const sequence = async (workers: number): Promise<readonly unknown[]> => {
      const pair = await startPair([good], {
        workers,
        budgets: [{ name: 'day', usd: 20 * 30e-6, window: 'day', per: [] }],
        catalog: { models: [price] },
      });
      const all: Told[] = [];
      for (let i = 0; i < 30; i++)
        all.push(await (i % 2 === 0 ? pair.first : pair.second)({ fields: { max_tokens: 15 } }));
      expect(workersOf(all)).toBe(workers);
      const metrics = await pair.metrics();
      const spent = metricIn(metrics, 'sidegate_budget_spent_usd', { budget: 'day' }) ?? 0;
      expect(spent).toBeCloseTo(metricIn(metrics, 'sidegate_cost_usd_total') ?? 0, 9);
      return [...all.map(({ status }) => status), spent];
    };
    const both = await sequence(2);
    expect(both).toEqual(await sequence(1));
    // 25 tokens in and 15 out, as the provider states, are 0.00003 dollars.
    expect(both.at(-1)).toBeGreaterThan(18 * 30e-6);
  });

  test("a provider's own limit counts the calls of both", async () => {
    const pair = await startPair([good], {});
    await pair.sidecar.reload(
      await import('../../src/config/schema.ts').then(({ configSchema }) =>
        configSchema.parse({
          authenticate: { anonymousTenant: 'test' },
          cache: { enabled: false },
          attempt: { retriesMax: 0, totalTimeoutMs: 2000 },
          providers: {
            first: { dialect: 'openai', baseUrl: pair.upstream.baseUrl, limits: { requestsPerMinute: 10 } },
          },
          routes: [{ model: 'test-model', targets: [{ provider: 'first' }] }],
        }),
      ),
    );
    const all = await times(100, pair.many(20));
    expect([pair.upstream.calls.length, count(all, 200), workersOf(all)]).toEqual([10, 10, 2]);
  });
});

describe('breakers', () => {
  test('one that the first worker opened is open in the second, and the other way round', async () => {
    const pair = await startPair([good, good, refuses(openaiWire.error(500, 'Broken.'))]);
    await meet(pair);
    expect((await pair.first()).status).toBe(503);
    const told = await pair.second();
    expect([told.status, pair.upstream.calls.length]).toEqual([503, 3]);
    expect(told.text).toContain('breaker_open');
    expect(metricIn(await pair.metrics(), 'sidegate_breaker_state', { target: 'first/test-model' })).toBe(1);
  });
});

test('calls in flight at a model that only requests name are those of both, and looking makes it no target', async () => {
  const held: Call[] = [];
  const routes = [{ model: '*', targets: [{ provider: 'first' }] }];
  const pair = await startPair([good, good, (call) => void held.push(call)], { routes });
  await meet(pair);
  const asked = [pair.first, pair.second].map((client) => client({ text: 'Wait.', fields: { model: 'm' } }));
  await pair.upstream.call(3);
  for (let i = 0; i < 2; i++) {
    const { targets } = JSON.parse(await (await fetch(`${pair.adminUrl}/api/overview`)).text());
    const [found, ...more] = targets.filter(({ label }: { label: string }) => label === 'first/m');
    expect([found.inFlight, more]).toEqual([2, []]);
  }
  for (const call of held) good(call);
  expect(count(await Promise.all(asked), 200)).toBe(2);
});

describe('the cache', () => {
  const cache = { enabled: true, singleFlight: true };

  test('a reply that one worker stored is served by the other, until it is purged for both', async () => {
    const pair = await startPair([good], { cache, admin: { token: 'a-token-for-admins' } });
    const status = (told: Told): string => String(told.headers['cache-status']);
    const [one, other] = [await pair.first(), await pair.second()];
    expect(one.worker).not.toBe(other.worker);
    expect([status(one), status(other)]).toEqual([
      expect.stringContaining('fwd=uri-miss'),
      expect.stringContaining('hit'),
    ]);
    // So is one that is spaced otherwise: what leads to it is shared, too.
    const words = await pair.second({ text: ' Say  hello. ' });
    expect(status(words)).toContain('hit');
    const headers = { authorization: 'Bearer a-token-for-admins' };
    const report = await (await fetch(`${pair.adminUrl}/cache`, { headers })).json();
    expect(report).toMatchObject({ entries: 1, places: [{ hits: { exact: 1, normalised: 1 } }] });
    expect((await fetch(`${pair.adminUrl}/cache`, { method: 'DELETE', headers })).status).toBe(204);
    expect(status(await pair.second())).toContain('fwd=uri-miss');
    expect(status(await pair.first())).toContain('hit');
    expect(pair.upstream.calls).toHaveLength(2);
  });

  test('that an answer in other words was wrong can be said to either worker, and counts for both', async () => {
    const pair = await startPair([good], { cache: { enabled: true, semantic: { mode: 'on' } } });
    await pair.first({ text: 'How do I reset my password?' });
    const reworded = { text: 'How can I reset my password?' };
    const hit = await pair.second(reworded);
    expect(hit.headers['cache-status']).toContain('hit');
    const body = { request_id: hit.headers['x-request-id'], correct: false };
    const said = [];
    for (const client of [pair.first, pair.second])
      said.push(await client({ path: '/v1/cache/feedback', body }));
    expect(said.map(({ status }) => status)).toEqual([200, 404]);
    expect((await pair.second(reworded)).headers['cache-status']).toContain('fwd=uri-miss');
  });

  test('identical requests at once share one call, whichever worker has them', async () => {
    const pair = await startPair([good, () => {}], { cache });
    await meet(pair);
    const text = 'What do all want to know?';
    const sent = [
      pair.first({ text }),
      pair.second({ text }),
      pair.many(1)({ text }),
      pair.many(1)({ text }),
    ];
    const call = await pair.upstream.call(1);
    // The others have come, and wait.
    await inFlight(pair, 4);
    good(call);
    const all = await Promise.all(sent);
    expect([count(all, 200), workersOf(all), pair.upstream.calls.length]).toEqual([4, 2, 2]);
    expect(all.filter(({ headers }) => String(headers['cache-status']).includes('collapsed'))).toHaveLength(
      3,
    );
  });

  test('if that call fails, each goes itself', async () => {
    const pair = await startPair([good, () => {}, good], { cache, attempt: { breaker: { failures: 100 } } });
    await meet(pair);
    const text = 'Will this go well?';
    const sent = [pair.first({ text }), pair.second({ text })];
    const call = await pair.upstream.call(1);
    await inFlight(pair, 2);
    refuses(openaiWire.error(500, 'Broken.'))(call);
    const all = await Promise.all(sent);
    expect([count(all, 200), count(all, 503)]).toEqual([1, 1]);
  });
});

describe('idempotency keys', () => {
  const headers = { 'idempotency-key': 'order-1' };

  test('one that is in use in one worker waits in the other, and gets the same reply', async () => {
    const pair = await startPair([good, good, () => {}]);
    await meet(pair);
    const first = pair.first({ headers });
    const call = await pair.upstream.call(2);
    const second = pair.second({ headers });
    await inFlight(pair, 2);
    const other = await pair.many(1)({ headers, text: 'Another request.' });
    expect([other.status, other.text]).toEqual([422, expect.stringContaining('idempotency_mismatch')]);
    good(call);
    const [one, two] = await Promise.all([first, second]);
    expect(one.worker).not.toBe(two.worker);
    expect([one.status, two.status, two.text]).toEqual([200, 200, one.text]);
    expect(two.headers['idempotent-replayed']).toBe('true');
    // Later repeats find it in both, and others don't.
    for (const client of [pair.first, pair.second]) {
      expect((await client({ headers })).headers['idempotent-replayed']).toBe('true');
      expect((await client({ headers, text: 'Another request.' })).status).toBe(422);
    }
    expect(pair.upstream.calls).toHaveLength(3);
  });

  test('if the first request fails, the one that waits in the other worker goes itself', async () => {
    const pair = await startPair([good, good, () => {}, good], { attempt: { breaker: { failures: 100 } } });
    await meet(pair);
    const first = pair.first({ headers });
    const call = await pair.upstream.call(2);
    const second = pair.second({ headers });
    await inFlight(pair, 2);
    refuses(openaiWire.error(500, 'Broken.'))(call);
    expect([(await first).status, (await second).status]).toEqual([503, 200]);
    expect((await pair.first({ headers })).headers['idempotent-replayed']).toBe('true');
    expect(pair.upstream.calls).toHaveLength(4);
  });

  test('of 200 requests with one key over both workers, one reaches the provider', async () => {
    const pair = await startPair([good], { replay: { joinersMax: 200 } });
    const client = pair.many(40);
    const all = await Promise.all(Array.from({ length: 200 }, () => client({ headers })));
    expect([count(all, 200), workersOf(all), pair.upstream.calls.length]).toEqual([200, 2, 1]);
  });
});

/** Resolves once so many requests are in flight in both workers together. */
async function inFlight(pair: { metrics(): Promise<string> }, wanted: number): Promise<void> {
  while (metricIn(await pair.metrics(), 'sidegate_requests_in_flight') !== wanted);
}

test('where memory runs short, both workers keep less: cached replies and bodies', async () => {
  const resident = vi.spyOn(process.memoryUsage, 'rss').mockReturnValue(10e6);
  onTestFinished(() => resident.mockRestore());
  const pair = await startPair([good, good], { cache: { enabled: true }, memory: { maxMb: 100 } });
  const entries = async () => metricIn(await pair.metrics(), 'sidegate_cache_entries');
  await meet(pair);
  expect(await entries()).toBe(1);
  resident.mockReturnValue(85e6);
  await until(async () => (await entries()) === 0);
  for (const client of [pair.first, pair.second]) expect((await client()).status).toBe(200);
  expect(await entries()).toBe(0);

  // Two bodies of 700 KB are more than what each worker takes at once now.
  const four = pair.many(4);
  const held: Call[] = [];
  pair.upstream.answer((call) => held.push(call));
  const refused: Told[] = [];
  const sent = Array.from({ length: 4 }, (_, i) =>
    four({ text: `${i} ${'word '.repeat(140_000)}` }).then((told) => {
      if (told.status !== 200) refused.push(told);
      return told;
    }),
  );
  await until(async () => held.length + refused.length === 4);
  expect([refused.map(({ status }) => status), workersOf(refused)]).toEqual([[503, 503], 2]);
  for (const call of held) good(call);
  await Promise.all(sent);
});
