/** Work grows linearly with a body's length where it isn't a request of chat: vectors, forms, names, placeholders. */
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import type { Json } from '../../src/base/json.ts';
import { configSchema } from '../../src/config/schema.ts';
import { writeEmbeddings } from '../../src/dialects/embeddings.ts';
import { dialects } from '../../src/dialects/index.ts';
import { endpoints } from '../../src/exchange/endpoint.ts';
import { inspectNow } from '../../src/inspect/request.ts';
import { scrubDocument } from '../../src/native/pii.ts';
import { work as searchNames } from '../../src/route/named-objects.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import { restoreBody } from '../../src/scrub/scrub.ts';
import { growth } from './growth.ts';
import { destinationAt } from './providers.ts';

const many = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
const policies = createScrubPolicies(configSchema.parse({}).scrub, Buffer.alloc(32));
const { request: scope } = policies.of('acme');
const inspecting = { scope, digestKey: Buffer.alloc(32), classify: true };

describe.each([
  ['texts', (n: number): Json => ({ input: many(n, (i) => `text ${i}`) })],
  ['long texts', (n: number): Json => ({ input: many(4, () => 'word '.repeat(n)) })],
  ['tokens', (n: number): Json => ({ input: many(n, (i) => i) })],
  [
    'unknown members',
    (n: number): Json => ({ input: 'x', ...Object.fromEntries(many(n, (i) => [`k${i}`, 1])) }),
  ],
])('%s to be embedded', (_, fields) => {
  const bodyOf = (n: number): Buffer => Buffer.from(JSON.stringify({ model: 'm', ...fields(n) }));
  const endpoint = endpoints.find(({ name }) => name === 'embeddings');
  const { embedClient } = dialects.openai;
  if (endpoint === undefined || embedClient === undefined) throw new Error('no embeddings');

  test.each(['gemini', 'cohere'] as const)('written for %s', (name) => {
    const { embedProvider } = dialects[name];
    if (embedProvider === undefined) throw new Error(`no vectors of ${name}`);
    const work = (body: Buffer) => writeEmbeddings(body, embedClient, embedProvider, destinationAt(name));
    expect(growth(bodyOf, work)).toBeLessThan(6);
  });

  test('inspected', () => {
    const work = (body: Buffer) =>
      inspectNow({ endpoint: { ...endpoint, inPath: null }, headers: {}, body }, inspecting);
    expect(work(bodyOf(3))).not.toBeInstanceOf(Refusal);
    expect(growth(bodyOf, work)).toBeLessThan(6);
  });
});

const boundary = 'line';
const formOf = (parts: readonly string[]): Buffer =>
  Buffer.from(`${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`);
const part = (name: string, content: string, more = ''): string =>
  `content-disposition: form-data; name="${name}"${more}\r\n\r\n${content}`;
const fileOf = (content: string): Buffer =>
  formOf([part('model', 'whisper-1'), part('file', content, '; filename="a.wav"')]);

describe.each([
  ['a file', (n: number) => fileOf('x'.repeat(n))],
  ['a file of line breaks', (n: number) => fileOf('\r\n'.repeat(n))],
  ['a file of almost boundaries', (n: number) => fileOf(`\r\n--${boundary.slice(0, -1)}`.repeat(n))],
  [
    'a prompt',
    (n: number) =>
      formOf([part('model', 'm'), part('prompt', '4 (4 ('.repeat(n)), part('file', 'x', '; filename="a"')]),
  ],
])('a form with %s', (_, formWith) => {
  const endpoint = endpoints.find(({ name }) => name === 'transcriptions');
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
  if (endpoint === undefined) throw new Error('no transcriptions');

  test('inspected', () => {
    const work = (body: Buffer) =>
      inspectNow({ endpoint: { ...endpoint, inPath: null }, headers, body }, inspecting);
    expect(work(formWith(3))).not.toBeInstanceOf(Refusal);
    expect(growth(formWith, work)).toBeLessThan(6);
  });

  test('searched for names', () => {
    const order = { contentType: headers['content-type'], asks: false };
    expect(growth(formWith, (body) => searchNames(body, order))).toBeLessThan(6);
  });
});

test.each([
  ['names', (i: number) => `"file-${i}"`],
  ['paths', (i: number) => `"https://a.test/files/${i}"`],
  ['almost names', () => '"file-'],
  ['almost paths', () => '"https://'],
  ['escapes', () => '\\u0066'],
])('a body of %s, searched for names', (_, one) => {
  const bodyOf = (n: number): Buffer => Buffer.from(`["file_id",${many(n, one).join()}]`);
  expect(growth(bodyOf, (body) => searchNames(body, { contentType: '', asks: true }))).toBeLessThan(6);
});

test.each([
  ['placeholders', '[EMAIL_A1B2C3] '],
  ['almost placeholders', '[EMAIL_A1B2C '],
  ['brackets', '['],
])('a reply of %s, restored', (_, one) => {
  const vault = new Map([['[EMAIL_A1B2C3]', 'ann@example.com']]);
  expect(
    growth(
      (n) => Buffer.from(one.repeat(n)),
      (body) => restoreBody(body, vault),
    ),
  ).toBeLessThan(6);
});

test.each([
  ['numbers', '4 (4 ('],
  ['addresses', 'a@b.c '],
  ['almost addresses', 'a@'],
  ['words', 'word '],
])('a reply of %s, scrubbed', (_, one) => {
  const bodyOf = (n: number): Buffer => Buffer.from(JSON.stringify({ text: one.repeat(n) }));
  expect(growth(bodyOf, (body) => scrubDocument(body, scope))).toBeLessThan(6);
});
