/**
 * JSON stays JSON, however deep it stands in strings of JSON and wherever a stream cuts it: a number that is replaced becomes a
 * string there, as a value of its own would be.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
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
const within = (value: unknown, depth: number): string =>
  depth === 0 ? JSON.stringify(value) : JSON.stringify(within(value, depth - 1));
const parsed = (text: string, depth: number): unknown =>
  depth < 0 ? text : parsed(JSON.parse(text) as string, depth - 1);

test('in strings of a document, in each other', () => {
  fc.assert(
    fc.property(documents, depths, (document, depth) => {
      const body = Buffer.from(`{"x":${within(document, depth)}}`);
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
    fc.property(documents, depths, fc.array(fc.nat(400), { maxLength: 6 }), (document, depth, cuts) => {
      const text = within(document, depth - 1);
      const stream = new PiiStream(policy, '');
      let out = '';
      let from = 0;
      for (const at of cuts.map((each) => Math.min(each, text.length)).sort((a, b) => a - b)) {
        out += stream.push(text.slice(from, at), false);
        from = at;
      }
      out += stream.push(text.slice(from), true);
      expect(parsed(out, depth - 1)).toEqual(cut(document));
    }),
    { numRuns: 2000 },
  );
});
