/** Caches that pods share over a real Redis: what one stores, purges and judges holds in all. */
import { createCipheriv, randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CacheNews } from '../../src/exchange/shared-cache.ts';
import { keyOf, newsBytesMax, seal, unseal } from '../../src/sync/cache-wire.ts';
import { replyHead } from '../../src/sync/reply-wire.ts';
import { metricIn } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { startRedis } from '../support/redis.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { sampleReply } from '../support/samples.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import { answers, startUpstream } from '../support/upstream.ts';

const secret = 'a secret of the deployment';
const token = 'an-admin-token-of-a-test';
const question = 'How can I change my shipping address?';
const reworded = 'How do I update my delivery address?';

async function start() {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const own = await startUpstream(answers(wire, 'Under Settings.'));
  onTestFinished(() => own.close());
  const pod = async (more: { secret?: string } = {}): Promise<TestSidecar> => {
    const sidecar = await startTestSidecar({
      admin: { token },
      providers: { own: { dialect: 'openai', baseUrl: own.baseUrl } },
      routes: [{ model: 'any', targets: [{ provider: 'own' }] }],
      cache: { semantic: { mode: 'on' }, secret, ...more },
      scrub: { secret: 'placeholders of all pods' },
      sync: { redis: redis.url },
    });
    onTestFinished(() => sidecar.stop());
    return sidecar;
  };
  return { redis, own, pod };
}

const status = async (of: TestSidecar, text: string): Promise<unknown> => {
  const body = { ...wire.request(text), model: 'any' };
  return (await ask(of.url, wire.path, { body })).headers['cache-status'];
};
const news = async (of: TestSidecar, event: string): Promise<number> =>
  metricIn(await of.metrics(), 'sidegate_cache_news_total', { event }) ?? 0;

/** Until a pod's count of news is as expected. */
async function counted(of: TestSidecar, event: string, least: number): Promise<void> {
  await until(async () => (await news(of, event)) >= least);
}

/** Stores a question's reply in a pod until Redis has it: a pod that just started isn't connected yet. */
async function told(of: TestSidecar, text: string): Promise<void> {
  while ((await news(of, 'sent')) === 0) {
    await ask(of.url, wire.path, {
      body: { ...wire.request(text), model: 'any' },
      headers: { 'cache-control': 'no-cache' },
    });
    await wait(20);
  }
}

test('what one pod stores, all serve, also those that come later; a purge reaches all', async () => {
  const { own, pod } = await start();
  const [one, two] = [await pod(), await pod()];
  await told(one, question);
  await counted(two, 'adopted', 1);
  const calls = own.calls.length;
  expect(await status(two, question)).toBe('sidegate; hit');
  expect(await status(two, reworded)).toMatch(/^sidegate; hit; detail=semantic/);
  const three = await pod();
  await counted(three, 'adopted', 1);
  expect(await status(three, question)).toBe('sidegate; hit');
  expect(own.calls.length).toBe(calls);

  const headers = { authorization: `Bearer ${token}` };
  await fetch(`${one.adminUrl}/cache?tenant=test`, { method: 'DELETE', headers });
  await until(async () => (await status(two, question)) !== 'sidegate; hit');
  expect(own.calls.length).toBe(calls + 1);
});

test('a purge by tag or age reaches all, and only what it names', async () => {
  const { pod } = await start();
  const [one, two] = [await pod(), await pod()];
  await told(one, question);
  const tagged = 'What does it cost?';
  const headers = { 'x-sidegate-tags': 'prices' };
  await ask(one.url, wire.path, { body: { ...wire.request(tagged), model: 'any' }, headers });
  await until(async () => metricIn(await two.metrics(), 'sidegate_cache_entries') === 2);

  const purge = (query: string): Promise<Response> =>
    fetch(`${one.adminUrl}/cache?${query}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}` },
    });
  await purge('olderThanSeconds=3600');
  expect(await status(two, tagged)).toBe('sidegate; hit');
  await purge('tag=prices');
  await until(async () => (await status(two, tagged)) !== 'sidegate; hit');
  expect(await status(two, question)).toBe('sidegate; hit');
  expect(await status(one, question)).toBe('sidegate; hit');

  await purge('olderThanSeconds=0');
  await until(async () => (await status(two, question)) !== 'sidegate; hit');
});

test('nothing of a question or reply can be read in Redis, nor without the secret', async () => {
  const { redis, pod } = await start();
  const [one, stranger] = [await pod(), await pod({ secret: 'a secret of somebody else' })];
  await told(one, question);
  const client = new Redis(redis.url);
  onTestFinished(() => client.disconnect());
  const [name = ''] = await client.keys('*:cache');
  const [entry] = await client.xrangeBuffer(name, '-', '+');
  const bytes = entry?.[1]?.[1] ?? Buffer.alloc(0);
  expect(bytes.length).toBeGreaterThan(100);
  for (const word of ['Settings', 'shipping', 'test', 'any']) expect(bytes.includes(word)).toBe(false);
  await counted(stranger, 'refused', 1);

  // A copy of what was told, and anything else that somebody writes.
  const two = await pod();
  await counted(two, 'adopted', 1);
  await client.xadd(name, '*', 'n', bytes);
  await client.xadd(name, '*', 'n', 'nonsense');
  await client.xadd(name, '*', 'other', 'nonsense');
  await counted(two, 'refused', 3);
  expect(await status(two, question)).toBe('sidegate; hit');
});

test('a copy of what was told long ago is refused, even once so much was told since that it is forgotten', async () => {
  const { redis, pod } = await start();
  const one = await pod();
  await told(one, question);
  const client = new Redis(redis.url);
  onTestFinished(() => client.disconnect());
  const [name = ''] = await client.keys('*:cache');
  const key = keyOf(secret, name);
  const judged = { kind: 'judged', tenant: 'test', route: 'any', right: true } as const;
  const send = async (count: number, atMs: () => number): Promise<Buffer[]> => {
    const all = Array.from({ length: count }, () => seal(key, judged, 'other', atMs()) ?? Buffer.alloc(0));
    const pipeline = client.pipeline();
    for (const sealed of all) pipeline.xadd(name, 'MAXLEN', '~', '4096', '*', 'n', sealed);
    await pipeline.exec();
    return all;
  };
  // Told a minute ago, and heard only now, as by a pod that starts.
  const early = await send(20, () => Date.now() - 60_000);
  await counted(one, 'adopted', 20);
  for (let i = 1; i <= 9; i++) {
    await send(1000, Date.now);
    await counted(one, 'adopted', 20 + 1000 * i);
  }
  for (const copy of early) await client.xadd(name, '*', 'n', copy);
  await counted(one, 'refused', 20);
  expect(await news(one, 'adopted')).toBe(9020);
});

test('when Redis is gone, requests are served as before', async () => {
  const { redis, pod } = await start();
  const one = await pod();
  await told(one, question);
  await redis.stop();
  expect(await status(one, question)).toBe('sidegate; hit');
  expect(await status(one, 'What is the capital of France?')).toBe('sidegate; fwd=uri-miss');
  expect(await status(one, 'What is the capital of France?')).toBe('sidegate; hit');
});

describe('sealed news', () => {
  const key = keyOf(secret, 'stream');
  const question = { scope: 's', text: 'q', embedder: 'built-in 1', vector: null };
  const entry = {
    kind: 'entry',
    tenant: 't',
    route: 'r',
    key: 'k',
    question,
    tags: ['prices'],
    ageMs: 7,
    maxAgeMs: Number.POSITIVE_INFINITY,
    reply: sampleReply('answer'),
  } satisfies CacheNews;
  const all: CacheNews[] = [
    entry,
    { ...entry, question: null, maxAgeMs: 60_000 },
    { ...entry, question: { ...question, embedder: 'e', vector: Int8Array.of(-127, 0, 90) } },
    { kind: 'purge', tenant: 't', route: null, tag: null, olderThanMs: 0 },
    { kind: 'purge', tenant: null, route: 'r', tag: 'prices', olderThanMs: 60_000 },
    { kind: 'judged', tenant: 't', route: 'r', right: true },
    { kind: 'judged', tenant: 't', route: 'r', right: false, forgotten: 7 },
  ];

  test.each(all.map((one) => [one.kind, one] as const))('%s is read as it was told', (_, one) => {
    const sealed = seal(key, one, 'me', 5);
    expect(unseal(key, sealed ?? Buffer.alloc(0))).toMatchObject({ news: one, from: 'me', atMs: 5 });
  });

  test('every changed, missing or added byte is seen', () => {
    const sealed = seal(key, entry, 'me', 5) ?? Buffer.alloc(0);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(unseal(key, changed)).toBeNull();
      expect(unseal(key, sealed.subarray(0, at))).toBeNull();
    }
    expect(unseal(key, Buffer.concat([sealed, Buffer.of(0)]))).toBeNull();
    expect(unseal(keyOf('another secret', 'stream'), sealed)).toBeNull();
    expect(unseal(keyOf(secret, 'another stream'), sealed)).toBeNull();
  });

  /** Anything, sealed as a pod of a version seals it; by default of this one. */
  const sealedText = (text: string, version = seal(key, entry, 'me', 5)?.[0] ?? 0): Buffer => {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.of(version));
    const sealed = Buffer.concat([cipher.update(`${text}\n`), cipher.final()]);
    return Buffer.concat([Buffer.of(version), nonce, sealed, cipher.getAuthTag()]);
  };
  const { body: _, ...reply } = replyHead(entry.reply) as unknown as Record<string, unknown>;
  const told = { ...entry, question, reply, from: 'me', atMs: 1 };

  test('of another version is refused, and what is told by hand is read', () => {
    expect(unseal(key, sealedText(JSON.stringify(told)))).toMatchObject({ from: 'me' });
    expect(unseal(key, sealedText(JSON.stringify(told), 2))).toBeNull();
  });

  test.each([
    '',
    'null',
    '{}',
    ...[
      { key: 1 },
      { tenant: 1 },
      { route: null },
      { kind: 'other' },
      { from: 1 },
      { atMs: '1' },
      { tags: 'prices' },
      { tags: [1] },
      { ageMs: -1 },
      { maxAgeMs: 'long' },
      { reply: {} },
      { question: 'q' },
      { question: { ...question, scope: 1 } },
      { question: { ...question, text: null } },
      { question: { ...question, embedder: 1 } },
      { question: { ...question, vector: [1] } },
      { question: { scope: 's', text: 'q', embedder: 'e' } },
      { kind: 'judged', right: 1 },
      { kind: 'judged', right: false, forgotten: -1 },
      { kind: 'purge', tag: null, olderThanMs: -1 },
      { kind: 'purge', tag: 1, olderThanMs: 0 },
    ].map((other) => JSON.stringify({ ...told, ...other })),
  ])('sealed nonsense is refused: %s', (text) => expect(unseal(key, sealedText(text))).toBeNull());

  test('what is too large is not told, and not read', () => {
    expect(seal(key, { ...entry, reply: sampleReply('x'.repeat(newsBytesMax)) }, 'me', 5)).toBeNull();
    const text = JSON.stringify(told);
    const padded = (bytes: number): Buffer => sealedText(text.padEnd(bytes - 1));
    expect(unseal(key, padded(newsBytesMax))).not.toBeNull();
    expect(unseal(key, padded(newsBytesMax + 1))).toBeNull();
  });
});
