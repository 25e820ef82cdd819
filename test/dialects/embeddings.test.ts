/** OpenAI's embeddings from providers of other dialects. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { writeVector } from '../../src/dialects/embeddings.ts';
import { ask } from '../support/client.ts';
import { openaiWire, testModel } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { type Script, startUpstream, type Upstream } from '../support/upstream.ts';

describe('the openai SDK with a simulated Cohere', () => {
  let sidecar: TestSidecar;
  let client: OpenAI;
  beforeAll(async () => {
    sidecar = await startTestSidecar({
      providers: { cohere: { preset: 'simulator-cohere' } },
      routes: [{ model: 'm', targets: [{ provider: 'cohere', model: 'embed-v4.0' }] }],
    });
    client = new OpenAI({ apiKey: 'k', baseURL: `${sidecar.url}/v1`, maxRetries: 0 });
  });
  afterAll(() => sidecar.stop());

  test('the same vectors, in the SDK’s default format and as numbers', async () => {
    const input = ['a cat', 'a dog', 'a cat'];
    const packed = await client.embeddings.create({ model: 'm', input, dimensions: 256 });
    const plain = await client.embeddings.create({
      model: 'm',
      input,
      dimensions: 256,
      encoding_format: 'float',
    });
    const [cat, dog, again] = packed.data.map(({ embedding }) => embedding);
    expect(cat).toHaveLength(256);
    expect(again).toEqual(cat);
    expect(dog).not.toEqual(cat);
    for (const [n, { embedding, index }] of plain.data.entries()) {
      expect(index).toBe(n);
      for (const [at, value] of embedding.entries())
        expect(value).toBeCloseTo(packed.data[n]?.embedding[at] ?? Number.NaN, 5);
    }
    expect(packed.usage.prompt_tokens).toBe(6);
    expect(packed.model).toBe('m');
    const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'embeddings');
    expect(record).toMatchObject({ inputTokens: 6, usageKnown: true, target: 'cohere/embed-v4.0' });
  });

  test('a repetition is a cache hit', async () => {
    const asked = { model: 'm', input: 'once' };
    const first = await client.embeddings.create(asked);
    expect(await client.embeddings.create(asked)).toEqual(first);
    await sidecar.recordWhere(({ endpoint, cache }) => endpoint === 'embeddings' && cache === 'hit');
  });

  test('a field without an equivalent is named', async () => {
    const error = { name: 'Error', status: 400, param: 'input' };
    await expect(client.embeddings.create({ model: 'm', input: [1, 2, 3] })).rejects.toMatchObject(error);
    const many = Array.from({ length: 97 }, (_, n) => `text ${n}`);
    await expect(client.embeddings.create({ model: 'm', input: many })).rejects.toMatchObject(error);
    await expect(client.embeddings.create({ model: 'm', input: [] })).rejects.toMatchObject({ status: 400 });
    const user = client.embeddings.create({ model: 'm', input: 'a', user: 'ann' });
    expect((await user.asResponse()).headers.get('x-sidegate-dropped')).toBe('user');
  });

  test.each([
    ['bad_request', 400],
    ['not_found', 404],
    ['server_error', 503],
    ['wrong_dialect', 502],
    ['malformed_json', 502],
  ])('%s is %i in OpenAI’s format', async (fault, status) => {
    const alone = await startTestSidecar({
      providers: { cohere: { preset: 'simulator-cohere' } },
      routes: [{ model: 'm', targets: [{ provider: 'cohere' }] }],
      attempt: { retriesMax: 0 },
    });
    const headers = { 'x-simulate': `fault=${fault}` };
    const reply = await ask(alone.url, '/v1/embeddings', { body: { model: 'm', input: 'a' }, headers });
    await alone.stop();
    expect(reply.status).toBe(status);
    expect(openaiWire.errorOf(reply.text)?.message).toBeTypeOf('string');
  });
});

type Dialect = 'cohere' | 'gemini' | 'openai';

async function before(
  providers: readonly (readonly [Dialect, Script, model?: string])[],
  more: ConfigInput = {},
): Promise<{ sidecar: TestSidecar; upstreams: readonly Upstream[] }> {
  const upstreams = await Promise.all(providers.map(([, script]) => startUpstream(script)));
  const targets = providers.map(([, , model = 'own'], n) => ({ provider: `p${n}`, model }));
  const sidecar = await startTestSidecar({
    providers: Object.fromEntries(
      providers.map(([dialect], n) => [`p${n}`, { dialect, baseUrl: upstreams[n]?.baseUrl ?? '' }]),
    ),
    routes: [{ model: testModel, targets }],
    attempt: { retriesMax: 0, backoffBaseMs: 0 },
    ...more,
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });
  return { sidecar, upstreams };
}

const json = { 'content-type': 'application/json' };
const gives =
  (body: unknown): Script =>
  (call) =>
    call.whole(200, json, JSON.stringify(body));
const body = { model: testModel, input: ['a', 'b'] };
const vectors = [
  [0.5, -0.25],
  [1, 0],
];

test('Cohere is sent the purpose of the vectors', async () => {
  const { sidecar, upstreams } = await before([['cohere', gives({ embeddings: { float: vectors } })]]);
  for (const type of [undefined, 'search_query'])
    await ask(sidecar.url, '/v1/embeddings', { body: { ...body, input_type: type } });
  expect(upstreams[0]?.calls.map(({ path, json: sent }) => [path, sent])).toEqual(
    ['search_document', 'search_query'].map((type) => [
      '/v1/embed',
      { model: 'own', texts: ['a', 'b'], input_type: type, embedding_types: ['float'] },
    ]),
  );
});

test('Gemini answers too; its tokens are counted where it reports none', async () => {
  const { sidecar, upstreams } = await before([
    ['gemini', gives({ embeddings: vectors.map((values) => ({ values })) })],
  ]);
  const asked = { ...body, dimensions: 2, input_type: 'search_query', encoding_format: 'base64' };
  const reply = JSON.parse((await ask(sidecar.url, '/v1/embeddings', { body: asked })).text);
  expect(reply.data.map(({ embedding }: { embedding: string }) => writeVector(embedding, false))).toEqual(
    vectors,
  );
  const [call] = upstreams[0]?.calls ?? [];
  expect(call?.path).toBe('/v1/models/own:batchEmbedContents');
  expect(call?.json).toEqual({
    requests: ['a', 'b'].map((text) => ({
      model: 'models/own',
      content: { parts: [{ text }] },
      taskType: 'RETRIEVAL_QUERY',
      outputDimensionality: 2,
    })),
  });
  const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'embeddings');
  expect(record).toMatchObject({ inputTokens: 2, usageKnown: false });
});

test.each([
  ['gemini', { embeddings: vectors.map((values) => ({ values })), usageMetadata: { promptTokenCount: 40 } }],
  [
    'openai',
    { data: vectors.map((embedding, index) => ({ index, embedding })), usage: { total_tokens: 40 } },
  ],
] as const)('what %s states of tokens is billed: %j', async (dialect, reply) => {
  const { sidecar } = await before([[dialect, gives(reply)]]);
  const { usage } = JSON.parse((await ask(sidecar.url, '/v1/embeddings', { body })).text);
  expect(usage.total_tokens).toBe(40);
  const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'embeddings');
  expect(record).toMatchObject({ inputTokens: 40, usageKnown: true });
});

test.each([
  ['a vector too few', { embeddings: { float: [[1]] } }],
  ['no numbers', { embeddings: { float: [['a'], ['b']] } }],
  ['no vectors', { embeddings: null }],
  ['an error', { error: { message: 'no' } }],
  ['a list', []],
])('%s is invalid: the next provider of the same model is asked', async (_, wrong) => {
  const own = { object: 'list', data: [{ object: 'embedding', index: 0, embedding: [1] }], usage: {} };
  const { sidecar, upstreams } = await before([
    ['cohere', gives(wrong)],
    ['openai', gives(own)],
    ['openai', gives(own), 'another-model'],
  ]);
  expect(JSON.parse((await ask(sidecar.url, '/v1/embeddings', { body })).text)).toEqual(own);
  expect(upstreams.map(({ calls }) => calls.length)).toEqual([1, 1, 0]);
  const alone = await before([['cohere', gives(wrong)]]);
  expect((await ask(alone.sidecar.url, '/v1/embeddings', { body })).status).toBe(502);
});

test('a field left out on a route is named', async () => {
  const good = gives({ embeddings: { float: vectors } });
  const { sidecar } = await before([
    ['cohere', good],
    ['cohere', good],
  ]);
  const reply = await ask(sidecar.url, '/v1/embeddings', { body: { ...body, user: 'ann' } });
  expect(reply.headers['x-sidegate-dropped']).toBe('user');
});
