/** Gemini's token counts and embeddings: passed through with the model's name corrected, and counted. */
import { GoogleGenAI } from '@google/genai';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const contents = ['The first text', 'A second, longer text'];

describe('the official SDK with the simulator', () => {
  let sidecar: TestSidecar;
  let client: GoogleGenAI;
  beforeAll(async () => {
    sidecar = await startTestSidecar({
      providers: { google: { preset: 'simulator-gemini' } },
      routes: [{ model: 'alias', targets: [{ provider: 'google', model: 'gemini-embedding-001' }] }],
    });
    client = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: sidecar.url } });
  });
  afterAll(() => sidecar.stop());

  test('counts tokens, free of charge', async () => {
    const { totalTokens } = await client.models.countTokens({
      model: 'alias',
      contents: 'How many are these?',
    });
    expect(totalTokens).toBeGreaterThan(3);
    const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'gemini_count_tokens');
    expect(record).toMatchObject({ status: 200, target: 'google/gemini-embedding-001', inputTokens: 0 });
  });

  test('returns a vector for each text, and bills the prompt', async () => {
    const { embeddings } = await client.models.embedContent({
      model: 'alias',
      contents,
      config: { outputDimensionality: 16, taskType: 'RETRIEVAL_QUERY' },
    });
    expect(embeddings?.map(({ values }) => values?.length)).toEqual([16, 16]);
    const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'batch_embed_contents');
    expect(record).toMatchObject({ status: 200, outputTokens: 0, usageKnown: true });
    expect(record.inputTokens).toBeGreaterThan(5);
  });

  test('vectors come from the cache', async () => {
    const path = '/v1beta/models/alias:embedContent';
    const body = { content: { parts: [{ text: 'Stored' }] } };
    const [first, second] = [await ask(sidecar.url, path, { body }), await ask(sidecar.url, path, { body })];
    expect(second.headers['cache-status']).toContain('hit');
    expect(second.text).toBe(first.text);
    expect(JSON.parse(first.text).embedding.values).toHaveLength(3072);
  });

  test.each(['countTokens', 'embedContent', 'batchEmbedContents'])(
    'what the API refuses of %s reaches the app',
    async (method) => {
      const { status, text } = await ask(sidecar.url, `/v1beta/models/alias:${method}`, { body: { x: 1 } });
      expect([status, JSON.parse(text).error.status]).toEqual([400, 'INVALID_ARGUMENT']);
    },
  );
});

async function before(script: Script): Promise<{ own: TestSidecar; google: Upstream }> {
  const google = await startUpstream(script);
  const own = await startTestSidecar({
    cache: { enabled: false },
    providers: {
      google: { dialect: 'gemini', baseUrl: google.baseUrl, apiKey: 'k' },
      openai: { dialect: 'openai', baseUrl: google.baseUrl, apiKey: 'k' },
    },
    routes: [
      { model: 'alias', targets: [{ provider: 'google', model: 'real' }] },
      { model: 'same', targets: [{ provider: 'google' }] },
      {
        model: 'two',
        targets: [
          { provider: 'google', model: 'one' },
          { provider: 'google', model: 'other' },
        ],
      },
      { model: 'elsewhere', targets: [{ provider: 'openai' }] },
    ],
    attempt: { retriesMax: 0, backoffBaseMs: 0 },
  });
  onTestFinished(async () => {
    await own.stop();
    await google.close();
  });
  return { own, google };
}

const json = { 'content-type': 'application/json' };
const vectors =
  (more: object = {}): Script =>
  (call) =>
    call.whole(200, json, JSON.stringify({ embeddings: [{ values: [1] }], ...more }));
const at = (model: string, method = 'batchEmbedContents'): string => `/v1beta/models/${model}:${method}`;
const batch = (model: string, text = 'Hi'): object => ({
  requests: [{ model: `models/${model}`, content: { parts: [{ text }] } }],
});

test('bytes pass unchanged if they name the right model', async () => {
  const { own, google } = await before(vectors());
  const sent =
    '{ "requests":[{"model": "models/same","content":{"parts":[{"text":"\\"model\\": \\"x\\" é"}]},"new":1.0}]}';
  const reply = await ask(own.url, at('same'), { body: sent });
  expect(reply.text).toBe('{"embeddings":[{"values":[1]}]}');
  expect([google.calls[0]?.path, google.calls[0]?.body.toString()]).toEqual([
    '/v1/models/same:batchEmbedContents',
    sent,
  ]);
});

test.each([
  ['batchEmbedContents', batch('alias'), batch('real')],
  ['batchEmbedContents', batch('a-forbidden-one'), batch('real')],
  [
    'embedContent',
    { model: 'alias', content: { parts: [{ text: 'Hi' }] } },
    { model: 'models/real', content: { parts: [{ text: 'Hi' }] } },
  ],
  [
    'countTokens',
    { generateContentRequest: { model: 'models/alias', contents: [] } },
    { generateContentRequest: { model: 'models/real', contents: [] } },
  ],
  ['countTokens', { contents: [{ parts: [{ text: 'Hi' }] }] }, { contents: [{ parts: [{ text: 'Hi' }] }] }],
])('%s: a body names the target’s model: %j', async (method, body, sent) => {
  const { own, google } = await before(vectors({ totalTokens: 1, embedding: {} }));
  expect((await ask(own.url, at('alias', method), { body })).status).toBe(200);
  expect([google.calls[0]?.path, google.calls[0]?.json]).toEqual([`/v1/models/real:${method}`, sent]);
});

test('usage is what the provider states, otherwise counted from the texts alone', async () => {
  const { own, google } = await before(vectors({ usageMetadata: { promptTokenCount: 7 } }));
  await ask(own.url, at('same'), { body: batch('same') });
  const stated = await own.recordWhere(({ inputTokens }) => inputTokens === 7);
  expect(stated).toMatchObject({ usageKnown: true, outputTokens: 0 });
  google.answer(vectors());
  await ask(own.url, at('same'), { body: batch('same', 'one two three four') });
  const counted = await own.recordWhere(({ usageKnown }) => !usageKnown);
  expect(counted).toMatchObject({ inputTokens: 4, outputTokens: 0 });
});

test('personal data is masked in embedded texts', async () => {
  const { own, google } = await before(vectors());
  await ask(own.url, at('same'), { body: batch('same', 'Write to ann.smith@example.com') });
  expect(google.calls[0]?.body.toString()).toMatch(/Write to \[EMAIL_[0-9A-Z]{6}\]/);
});

test('a request for one model’s vectors never goes to another model', async () => {
  const { own, google } = await before((call) => call.whole(500, json, '{}'));
  expect((await ask(own.url, at('two'), { body: batch('two') })).status).toBeGreaterThanOrEqual(502);
  expect(google.calls.map(({ path }) => path)).toEqual(['/v1/models/one:batchEmbedContents']);
});

test.each([
  ['countTokens', '{"embeddings":[]}'],
  ['embedContent', '{"totalTokens":3}'],
  ['batchEmbedContents', '{"object":"list","data":[]}'],
  ['batchEmbedContents', '{"embeddings":['],
  ['batchEmbedContents', '{"error":{"code":500,"message":"no"}}'],
  ['batchEmbedContents', ''],
])('row 11 and 12: %s answered by %s gives 502', async (method, reply) => {
  const { own } = await before((call) => call.whole(200, json, reply));
  const { status, text } = await ask(own.url, at('same', method), { body: batch('same') });
  expect([status, JSON.parse(text).error.details[0].reason]).toEqual([502, 'upstream_failed']);
});

test('a route without a provider of the dialect, and an unknown method, are refused', async () => {
  const { own } = await before(vectors());
  expect((await ask(own.url, at('elsewhere'), { body: batch('elsewhere') })).status).toBe(404);
  expect((await ask(own.url, at('same', 'toString'), { body: {} })).status).toBe(404);
  expect((await ask(own.url, at('same', 'tuneModel'), { body: {} })).status).toBe(404);
});
