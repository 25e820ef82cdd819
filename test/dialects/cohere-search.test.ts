/** Rerank and embed: passed through to Cohere, and priced as Cohere bills them. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, send } from '../support/client.ts';
import { cohereWire } from '../support/cohere-wire.ts';
import { testModel } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const json = { 'content-type': 'application/json', 'x-endpoint-monthly-call-limit': '1000' };

const reranked = {
  id: '07734bd2-2473-4f07-94e1-0d9f0e6843cf',
  results: [
    { index: 1, relevance_score: 0.999071 },
    { index: 0, relevance_score: 0.32713068 },
  ],
  meta: { api_version: { version: '2' }, billed_units: { search_units: 3 } },
};
const embedded = {
  id: '5807ee2e-0cda-445a-9ec8-864c60a06606',
  embeddings: { float: [[0.016296387, -0.008354187]] },
  texts: ['hello'],
  response_type: 'embeddings_by_type',
  meta: { api_version: { version: '2' }, billed_units: { input_tokens: 7 } },
};
const rerank = {
  model: testModel,
  query: 'Where is it?',
  documents: ['Here.', { text: 'There.' }],
  top_n: 2,
};
const embed = { model: testModel, input_type: 'search_query', embedding_types: ['float'], texts: ['hello'] };

const gives =
  (body: unknown, status = 200): Script =>
  (call) =>
    call.whole(status, json, typeof body === 'string' ? body : JSON.stringify(body));

async function start(
  scripts: readonly Script[],
  more: ConfigInput = {},
): Promise<TestSidecar & { upstreams: readonly Upstream[] }> {
  const upstreams = await Promise.all(scripts.map((script) => startUpstream(script)));
  const providers = upstreams.map(({ baseUrl }, index) => [
    `p${index}`,
    { dialect: 'cohere', baseUrl: baseUrl.replace('/v1', '/v2'), apiKey: 'provider-key' },
  ]);
  const sidecar = await startTestSidecar({
    providers: Object.fromEntries(providers),
    routes: [{ model: testModel, targets: providers.map(([provider]) => ({ provider: String(provider) })) }],
    ...more,
    attempt: { retriesMax: 0, backoffBaseMs: 0 },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });
  return { ...sidecar, upstreams };
}

const kinds = [
  { name: 'rerank', path: '/v2/rerank', body: rerank, reply: reranked },
  { name: 'embed', path: '/v2/embed', body: embed, reply: embedded },
] as const;

describe.each(kinds)('$name', ({ name, path, body, reply }) => {
  test('passes byte for byte in both directions, and a repetition is a cache hit', async () => {
    const { url, upstreams, recordWhere } = await start([gives(reply)]);
    const sent = JSON.stringify({ ...body, x_unknown: [1.5] }, null, 1);
    for (const use of ['miss', 'hit']) {
      const got = await ask(url, path, { body: sent });
      expect(got.status).toBe(200);
      expect(got.text).toBe(JSON.stringify(reply));
      expect((await recordWhere(({ cache }) => cache === use)).endpoint).toBe(name);
      if (use === 'miss') expect(got.headers['x-endpoint-monthly-call-limit']).toBe('1000');
    }
    const [call, ...others] = upstreams[0]?.calls ?? [];
    expect(others).toEqual([]);
    expect(call?.path).toBe(path);
    expect(call?.body.toString()).toBe(sent);
    expect(call?.headers.authorization).toBe('Bearer provider-key');
  });

  test("sends the target's model name, and changes nothing else", async () => {
    const { url, upstreams } = await start([gives(reply)], {
      routes: [{ model: testModel, targets: [{ provider: 'p0', model: 'own-model' }] }],
    });
    expect((await ask(url, path, { body })).status).toBe(200);
    expect(upstreams[0]?.calls[0]?.json).toEqual({ ...body, model: 'own-model' });
  });

  test.each([
    ['an error with a success’s status', gives({ message: 'internal server error' })],
    ['an object without its fields', gives({})],
    ['no JSON', gives('<html>')],
    ['a 500', gives({ message: 'oops' }, 500)],
    ['a reset', (call: Parameters<Script>[0]) => call.reset()],
  ])('%s falls back; without a fallback it is a 5xx in Cohere’s format', async (_, script) => {
    const { url } = await start([script, gives(reply)]);
    expect((await ask(url, path, { body })).text).toBe(JSON.stringify(reply));
    const alone = await start([script]);
    const failed = await ask(alone.url, path, { body });
    expect(failed.status).toBeGreaterThanOrEqual(500);
    expect(JSON.parse(failed.text)).toMatchObject({
      id: expect.stringMatching(/^req_/),
      message: expect.stringContaining('p0/'),
      code: expect.stringMatching(/^(upstream_failed|targets_down)$/),
    });
  });

  test('an error passes unchanged, and an invalid field is named', async () => {
    const { url, upstreams } = await start([gives({ id: 'x', message: 'invalid request: no' }, 400)]);
    const refused = await ask(url, path, { body });
    expect([refused.status, refused.text]).toEqual([400, '{"id":"x","message":"invalid request: no"}']);
    const field = name === 'rerank' ? 'documents' : 'texts';
    const wrong = await ask(url, path, { body: { ...body, [field]: 'text' } });
    expect(wrong.status).toBe(400);
    expect(JSON.parse(wrong.text)).toMatchObject({ code: 'invalid_field', param: field });
    const twice = await ask(url, path, { body: `{"model":"${testModel}","${field}":[],"${field}":[]}` });
    expect(JSON.parse(twice.text)).toMatchObject({ code: 'duplicate_field' });
    expect(upstreams[0]?.calls).toHaveLength(1);
  });

  test('limits apply to it, and keys may exclude it', async () => {
    const limits = [{ name: 'few', capacity: 1, refillPerSecond: 0.001 }];
    const { url } = await start([gives(reply)], { limits, cache: { enabled: false } });
    expect((await ask(url, path, { body })).status).toBe(200);
    const over = await ask(url, path, { body });
    expect(over.status).toBe(429);
    expect(JSON.parse(over.text)).toMatchObject({ code: 'rate_limited' });
  });

  test('personal data is masked in the request', async () => {
    const { url, upstreams } = await start([gives(reply)]);
    const hidden =
      name === 'rerank'
        ? { ...rerank, query: 'Who is ann@example.com?' }
        : { ...embed, texts: ['Who is ann@example.com?'] };
    await ask(url, path, { body: hidden });
    expect(upstreams[0]?.calls[0]?.body.toString()).not.toContain('ann@example.com');
  });

  test('the path can’t be used for chat, nor for providers of other dialects', async () => {
    const { url } = await start([gives(reply)]);
    expect((await ask(url, '/v2/chat', { body: cohereWire.request('Hi') })).status).toBe(404);
    const openai = await startUpstream(answers(cohereWire, 'Hi'));
    const other = await startTestSidecar({
      providers: { p0: { dialect: 'openai', baseUrl: openai.baseUrl } },
      routes: [{ model: testModel, targets: [{ provider: 'p0' }] }],
    });
    onTestFinished(async () => {
      await other.stop();
      await openai.close();
    });
    expect((await ask(other.url, path, { body })).status).toBeGreaterThanOrEqual(400);
    expect(openai.calls).toHaveLength(0);
  });
});

describe('what it costs', () => {
  const priced = (fact: object): ConfigInput => ({
    catalog: { models: [{ provider: 'p0', model: testModel, ...fact }] },
  });

  test('a rerank is priced in search units, which are in record and metrics; its tokens are counted', async () => {
    const sidecar = await start([gives(reranked)], priced({ usdPerSearchUnit: 0.002 }));
    await ask(sidecar.url, '/v2/rerank', { body: rerank });
    const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'rerank');
    expect(record).toMatchObject({ searchUnits: 3, costNanoUsd: 6_000_000, priced: true, usageKnown: false });
    expect(record.inputTokens).toBeGreaterThan(5);
    const metrics = await sidecar.metrics();
    expect(metrics).toContain(`sidegate_search_units_total{tenant="test",target="p0/${testModel}"} 3`);
    expect(metrics).toMatch(/sidegate_cost_usd_total\{[^}]*\} 0\.006\n/);
  });

  test('a limit in dollars reserves for the search units of reranks in flight', async () => {
    const limits = [{ name: 'usd', unit: 'usd' as const, capacity: 0.01, refillPerSecond: 1e-9 }];
    const sidecar = await start([() => {}], { ...priced({ usdPerSearchUnit: 0.004 }), limits });
    const status = async (documents: readonly string[]) =>
      (await ask(sidecar.url, '/v2/rerank', { body: { ...rerank, documents } })).status;
    // 300 documents of a hundred words are three units, which are never allowed.
    expect(await status(Array.from({ length: 300 }, () => 'word '.repeat(100)))).toBe(429);
    const first = send(sidecar.url, '/v2/rerank', { body: rerank });
    const second = send(sidecar.url, '/v2/rerank', { body: { ...rerank, top_n: 1 } });
    const calls = [await sidecar.upstreams[0]?.call(0), await sidecar.upstreams[0]?.call(1)];
    expect(await status(['Here.'])).toBe(429);
    for (const call of calls) call?.whole(200, json, JSON.stringify(reranked));
    for (const each of [first, second]) await (await each.reply).all();
  });

  test('an embed is priced by billed tokens', async () => {
    const sidecar = await start(
      [gives(embedded)],
      priced({ inputUsdPerMTok: 0.12, outputUsdPerMTok: 0, capabilities: ['embeddings'] }),
    );
    const reply = await ask(sidecar.url, '/v2/embed', { body: embed });
    expect(reply.headers['x-sidegate-cost-usd']).toBe('0.000000840');
    const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'embed');
    expect(record).toMatchObject({ inputTokens: 7, outputTokens: 0, usageKnown: true, searchUnits: 0 });
  });

  test('tokens of an embed without usage are counted from its texts', async () => {
    const { meta: _, ...silent } = embedded;
    const sidecar = await start([gives(silent)]);
    await ask(sidecar.url, '/v2/embed', { body: { ...embed, texts: ['one two three', 'four'] } });
    const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'embed');
    expect(record).toMatchObject({ inputTokens: 4, usageKnown: false });
  });

  test('vectors of one model are not mixed with another’s', async () => {
    const targets = ['p0', 'p1'].map((provider, n) => ({ provider, model: `m${n}` }));
    const { url, upstreams } = await start([gives({}, 500), gives(embedded)], {
      routes: [{ model: testModel, targets }],
    });
    expect((await ask(url, '/v2/embed', { body: embed })).status).toBe(503);
    expect(upstreams[1]?.calls).toHaveLength(0);
  });
});
