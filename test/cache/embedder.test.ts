/** Another embedder: a provider makes the vectors by which similar questions are found. */
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { dimensions } from '../../src/native/search.ts';
import { metricIn } from '../support/chain.ts';
import {
  askedAbout,
  type EmbedderInput,
  type Embedding,
  gives,
  likeOwn,
  miss,
  ownVector,
  type Setting,
  similar,
  startEmbedding,
  until,
} from '../support/embedder.ts';
import { startRedis } from '../support/redis.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { hangs, type Script } from '../support/upstream.ts';

const question = 'How can I change my shipping address?';
const reworded = 'How do I update my delivery address?';
const trap = 'How do I delete my delivery address?';

let it: Embedding;
afterEach(() => it.stop());
const start = async (script: Script, setting: Setting = {}): Promise<void> => {
  it = await startEmbedding(script, setting);
};

test('a question is found by the vector of a provider, and what decides is the same as ever', async () => {
  await start(likeOwn);
  expect(await it.status(question)).toBe(miss);
  await it.embedded(1);
  expect(await it.status(reworded)).toMatch(similar);
  expect(await it.status(trap)).toBe(miss);
  expect(it.embedder.calls.map(({ path, json: { model, input } }) => [path, model, input])).toEqual(
    [question, reworded, trap].map((text) => ['/v1/embeddings', 'minilm', [text]]),
  );
  expect(it.embedder.calls[0]?.headers.authorization).toBe('Bearer k');
  // Words that were decided on before need no vector.
  expect(await it.status(reworded)).toMatch(similar);
  expect(await it.status(`${question} Thanks!`)).toMatch(/detail=normalised/);
  expect(it.embedder.calls).toHaveLength(3);
});

test('vectors in Base64, and shorter ones that are asked for', async () => {
  const packed = (text: string): string =>
    Buffer.from(Float32Array.from(ownVector(text)).buffer).toString('base64');
  await start(gives(packed), { of: { shorten: true } });
  await it.status(question);
  await it.embedded(1);
  expect(await it.status(reworded)).toMatch(similar);
  expect(it.embedder.calls[0]?.json.dimensions).toBe(dimensions);
});

test('what the vectors say is what is found: two texts that lie apart never meet', async () => {
  const axis = (at: number): number[] => Array.from({ length: 3 }, (_, i) => (i === at ? 0.5 : 0));
  const script = gives((text) => axis(text === reworded ? 1 : 0));
  await start(script, { of: { dimensions: 3 } });
  await it.status(question);
  await it.embedded(1);
  expect(await it.status(reworded)).toBe(miss);
  expect(await it.status('How do I change the shipping address?')).toMatch(/similarity=1\.000$/);
});

test('one vector serves all that ask the same at once', async () => {
  await start(() => {});
  const asked = Array.from({ length: 20 }, () => it.status(question));
  const call = await it.embedder.call(0);
  while ((metricIn(await it.sidecar.metrics(), 'sidegate_requests_in_flight') ?? 0) < 20);
  likeOwn(call);
  await Promise.all(asked);
  expect(it.embedder.calls).toHaveLength(1);
});

test('personal data never reaches it', async () => {
  await start(likeOwn);
  for (const text of [`${question} I am ann@example.com`, `${reworded} I am ann@example.com`])
    expect(await it.status(text)).toBe(miss);
  await it.status(question);
  await it.embedded(1);
  expect(it.embedder.calls.map(askedAbout)).toEqual([question]);
});

test('it is asked for nothing where similar questions are never answered', async () => {
  await start(likeOwn, { semantic: { mode: 'off' } });
  for (const text of [question, reworded, trap]) await it.status(text);
  await it.reload({});
  await it.status(`${question} Now?`, { 'cache-control': 'no-store' });
  expect(it.embedder.calls).toEqual([]);
});

test('no-cache stores the question with its vector, and waits for none', async () => {
  await start(likeOwn);
  await it.status(question, { 'cache-control': 'no-cache' });
  await it.embedded(1);
  expect(await it.status(reworded)).toMatch(similar);
});

test('in the shadow no request waits, and what is found is judged', async () => {
  await start(() => {}, { semantic: { mode: 'shadow' } });
  const first = it.status(question);
  const call = await it.embedder.call(0);
  // The reply is here before the vector.
  expect(await first).toBe(miss);
  likeOwn(call);
  await it.embedded(1);
  const second = it.status(reworded);
  expect(await second).toMatch(/^sidegate; fwd=uri-miss/);
  likeOwn(await it.embedder.call(1));
  const judged = async () =>
    metricIn(await it.sidecar.metrics(), 'sidegate_cache_questions_total', { event: 'right' });
  await until(async () => (await judged()) === 1);
});

test('a request that has little time left waits for no vector', async () => {
  await start(hangs);
  expect(await it.status(question, { 'x-sidegate-timeout': '15000' })).toBe(miss);
  expect(await it.counted('late')).toBe(0);
  // Its own question is stored all the same.
  likeOwn(await it.embedder.call(0));
  await it.embedded(1);
});

test('the plain cosine goes by its vectors, and so does what needs a closer look', async () => {
  await start(likeOwn, { semantic: { threshold: 0.8 } });
  await it.status(question);
  await it.embedded(1);
  expect(await it.status('How can I change the shipping address?')).toMatch(similar);
  await it.reload({ semantic: { verifier: true, verifierTimeoutMs: 1000 } });
  await until(() => it.lines("the semantic cache's verifier is ready") === 1);
  expect(await it.status('change address for parcel')).toMatch(similar);
  expect(await it.status('How do I see my delivery address?')).toBe(miss);
});

test.each(['cohere', 'gemini'])('a provider of the dialect %s', async (dialect) => {
  const vectors = { preset: `simulator-${dialect}` };
  const own = { dialect: 'openai', preset: 'simulator' } as const;
  await start(likeOwn, { of: { shorten: true }, more: { providers: { own, vectors } } });
  expect(await it.status(question)).toBe(miss);
  await it.embedded(1);
});

describe('entries of two embedders never meet', () => {
  const others: [string, EmbedderInput][] = [
    ['model', { model: 'other' }],
    ['version', { version: '2' }],
    ['number of dimensions', { dimensions: 255 }],
  ];
  test.each(others)('after a reload with another %s', async (_, other) => {
    await start(likeOwn);
    await it.status(question);
    await it.embedded(1);
    expect(await it.status(reworded)).toMatch(similar);
    it.embedder.answer(gives((text) => ownVector(text).slice(0, other.dimensions)));
    await it.reload({ of: other });
    expect(await it.status('How do I update my shipping address?')).toBe(miss);
    // What it stores itself it finds.
    await it.embedded(3);
    expect(await it.status('How can I update my shipping address?')).toMatch(similar);
  });

  test('after a reload without one, a call on its way included', async () => {
    await start(() => {});
    const first = it.status(question);
    const call = await it.embedder.call(0);
    await it.reload({ semantic: { embedder: undefined } });
    likeOwn(call);
    expect(await first).toBe(miss);
    expect(await it.status(reworded)).toBe(miss);
    expect(await it.status(question)).toBe('sidegate; hit');
    expect(await it.status('How can I update my delivery address?')).toMatch(similar);
    expect(it.embedder.calls).toHaveLength(1);
  });

  test('pods tell each other vectors, and one with another embedder has no use for them', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const shared: ConfigInput = {
      cache: { secret: 'a secret of the deployment' },
      scrub: { secret: 'placeholders of all pods' },
      sync: { redis: redis.url },
    };
    await start(likeOwn, { more: shared });
    const like = await startTestSidecar(it.config({ more: shared }));
    const unlike = await startTestSidecar(it.config({ of: { version: '2' }, more: shared }));
    onTestFinished(async () => void (await Promise.all([like.stop(), unlike.stop()])));
    const news = async (of: TestSidecar, event: string): Promise<number> =>
      metricIn(await of.metrics(), 'sidegate_cache_news_total', { event }) ?? 0;
    while ((await news(it.sidecar, 'sent')) === 0) await it.status(question, { 'cache-control': 'no-cache' });
    await until(async () => (await news(like, 'adopted')) > 0);
    await until(async () => (await news(unlike, 'dropped')) > 0);
    const calls = it.embedder.calls.length;
    expect(await it.status(reworded, {}, like)).toMatch(similar);
    // The vector of what is asked, and none of what was told.
    expect(it.embedder.calls).toHaveLength(calls + 1);
    expect(await it.status(question, {}, unlike)).toBe(miss);
  });
});
