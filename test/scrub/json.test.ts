/**
 * JSON stays JSON, however deep it stands in strings of JSON and wherever a stream cuts it: a number that is replaced becomes a
 * string there, as a value of its own would be.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inspect, nativeEndpoint } from '../../src/native/inspect.ts';
import { PiiStream, piiAction, piiKinds, policyOf, scrubDocument } from '../../src/native/pii.ts';

const policy = policyOf([{ name: 'card', action: piiAction.Redact }], [], Buffer.alloc(1));
const scope = { policy, names: piiKinds.map(({ name }) => name), tenant: Buffer.alloc(0) };
const card = 4111111111111111;

/** Documents whose numbers are cards now and then. */
const documents = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(
      card,
      `to ${card} .`,
      `号${card}号`,
      `😀 ${card}\u00a0😀`,
      String(card),
      7,
      1.5,
      -3,
      null,
      true,
      '',
      'a, b',
      '[x',
      '\\',
      'é"',
      '\n',
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom('a', 'card', 'b "c"', '\n', 'é'), tie('value'), { maxKeys: 4 }),
  ),
  document: fc.oneof(
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom('a', 'card', 'input'), tie('value'), { maxKeys: 4 }),
  ),
})).document;

/** The same with `[CARD]` for each card. */
function cut(value: unknown): unknown {
  if (value === card) return '[CARD]';
  if (typeof value === 'string') return value.replaceAll(String(card), '[CARD]');
  if (Array.isArray(value)) return value.map(cut);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, cut(member)]));
}

const depths = fc.integer({ min: 1, max: 4 });
/** As JavaScript writes it, or as Python does: without a character beyond ASCII. */
const written = (value: unknown, ascii: boolean): string =>
  ascii
    ? JSON.stringify(value).replace(
        /[^\0-\x7f]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )
    : JSON.stringify(value);
const within = (value: unknown, depth: number, ascii: boolean): string =>
  depth === 0 ? written(value, ascii) : written(within(value, depth - 1, ascii), ascii);
const parsed = (text: string, depth: number): unknown =>
  depth < 0 ? text : parsed(JSON.parse(text) as string, depth - 1);

const splits = fc.array(fc.nat(400), { maxLength: 6 });

test('in strings of a document, in each other', () => {
  fc.assert(
    fc.property(documents, depths, fc.boolean(), (document, depth, ascii) => {
      const body = Buffer.from(`{"x":${within(document, depth, ascii)}}`);
      const text = JSON.stringify(
        (JSON.parse(scrubDocument(body, scope).body.toString()) as { x: string }).x,
      );
      expect(parsed(text, depth)).toEqual(cut(document));
    }),
    { numRuns: 2000 },
  );
});

test('in a stream, cut anywhere', () => {
  fc.assert(
    fc.property(documents, depths, fc.boolean(), splits, (document, depth, ascii, cuts) => {
      // Half a character is no text.
      const text = [...within(document, depth - 1, ascii)];
      const stream = new PiiStream(policy, '');
      let out = '';
      let from = 0;
      for (const at of cuts.map((each) => Math.min(each, text.length)).sort((a, b) => a - b)) {
        out += stream.push(text.slice(from, at).join(''), false);
        from = at;
      }
      out += stream.push(text.slice(from).join(''), true);
      expect(parsed(out, depth - 1)).toEqual(cut(document));
    }),
    { numRuns: 2000 },
  );
});

test('a value is the same, and restored, however JSON in a text writes its letters', () => {
  const value = 'José 😀/x@b';
  const own = { name: 'project', words: [value], action: piiAction.Tokenise };
  const kept = policyOf([own], [], Buffer.alloc(1));
  const texts = [
    value,
    written({ to: value }, true),
    written({ to: value }, true).replaceAll('/', '\\/').replaceAll('@', '\\u0040'),
    written({ deep: written({ to: value }, true) }, true),
  ];
  const ways = texts.flatMap((text) => [written({ input: text }, true), written({ input: text }, false)]);
  const found = ways.map((body) =>
    inspect(Buffer.from(body), nativeEndpoint.Embeddings, { ...scope, policy: kept }, false, Buffer.alloc(1)),
  );
  for (const each of found) {
    if ('kind' in each) throw new Error(each.kind);
    expect([...(each.masked ?? [])]).toEqual([[expect.stringMatching(/^\[PROJECT_\w{6}\]$/), value]]);
  }
  expect(
    new Set(found.flatMap((each) => ('kind' in each ? [] : [...(each.masked?.keys() ?? [])]))).size,
  ).toBe(1);
});
