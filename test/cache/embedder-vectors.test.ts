/** What an embedder gives, before anything is cached: its vectors, its dialects, and `sidegate check --connect`. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { toVector } from '../../src/cache/embedder.ts';
import { dialects } from '../../src/dialects/index.ts';
import { embeddingDialects } from '../../src/exchange/dialects.ts';
import { dimensions, search } from '../../src/native/search.ts';
import { ownVector } from '../support/embedder.ts';
import { runCommand, type Said } from '../support/run-command.ts';
import { type Script, startUpstream } from '../support/upstream.ts';

const json = { 'content-type': 'application/json' };
const gives =
  (embedding: readonly number[]): Script =>
  (call) =>
    call.whole(200, json, JSON.stringify({ data: [{ embedding }] }));

async function check(script: Script, ...options: string[]): Promise<Said & { readonly calls: number }> {
  const vectors = await startUpstream(script);
  onTestFinished(() => vectors.close());
  const config = {
    authenticate: { anonymousTenant: 'a' },
    providers: { vectors: { dialect: 'openai', baseUrl: vectors.baseUrl, apiKey: 'k' } },
    routes: [{ model: 'm', targets: [{ provider: 'vectors' }] }],
    cache: { semantic: { embedder: { provider: 'vectors', model: 'e', dimensions: 3 } } },
  };
  const file = join(mkdtempSync(join(tmpdir(), 'sidegate-')), 'sidegate.yaml');
  writeFileSync(file, JSON.stringify(config));
  const said = await runCommand(['check', file, ...options]);
  return { ...said, calls: vectors.calls.length };
}

test('one that works', async () => {
  const { code, out, err, calls } = await check(gives([1, 2, 3]), '--connect');
  expect([code, err, calls]).toEqual([0, '', 1]);
  expect(out).toMatch(/: valid\ncache\.semantic\.embedder: gives vectors of 3 numbers \(\d+ ms\)\n$/);
});

test.each([
  ['a refused key', (call) => call.whole(401, json, '{}'), 'it answered with status 401'],
  ['another model', gives([1, 2]), 'its vectors have 2 dimensions instead of 3'],
  ['a page', (call) => call.whole(200, json, '<html>'), 'its reply holds no vector'],
] as [string, Script, string][])('%s is said', async (_, script, says) => {
  const { code, err } = await check(script, '--connect');
  expect([code, err]).toEqual([1, `cache.semantic.embedder: ${says}\n`]);
});

test('without --connect nothing is asked', async () => {
  expect(await check(gives([1, 2, 3]))).toMatchObject({ code: 0, calls: 0 });
});

test("the native core's own vectors as numbers in JSON are kept as it keeps them by itself", () => {
  const groups = readFileSync(new URL('../../bench/cache/groups/bank.txt', import.meta.url), 'utf8');
  const texts = groups.split(/[\n|]+/).filter((text) => text.trim() !== '');
  const [one, two] = [search.open(1 << 24), search.open(1 << 24)];
  onTestFinished(() => [one, two].forEach(search.close));
  for (const [at, text] of texts.entries()) {
    const sent = JSON.parse(JSON.stringify(ownVector(text))) as number[];
    search.insert(one, 0, 's', at, text);
    search.insert(two, 0, 's', at, text, toVector(sent, dimensions));
  }
  expect(search.size(two)).toBeGreaterThan(100);
  expect(search.drain(two, 1 << 24).equals(search.drain(one, 1 << 24))).toBe(true);
});

test('the dialects whose providers have embeddings are those that can be asked', () => {
  const asked = Object.values(dialects).flatMap(({ name, embedProvider }) => (embedProvider ? [name] : []));
  expect(new Set(asked)).toEqual(embeddingDialects);
});
