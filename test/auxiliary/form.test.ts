/** Uploads as forms: what is found in them, and which are refused because they could be read in two ways. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { type Form, readForm, textOf } from '../../src/base/multipart.ts';
import { formFields } from '../../src/simulate/form.ts';

const type = 'multipart/form-data; boundary=b';
const field = (head: string, content: string): string => `--b\r\n${head}\r\n\r\n${content}\r\n`;
const named = (name: string, content: string): string =>
  field(`Content-Disposition: form-data; name="${name}"`, content);
const end = '--b--\r\n';

function read(text: string | Buffer, contentType = type): Form {
  const form = readForm(Buffer.from(text as string), contentType);
  if (form instanceof Refusal) throw new Error(form.message);
  return form;
}

test('fields are found where they stand', () => {
  const head =
    'Content-Disposition: form-data; name="file"; filename="a \\"b\\".mp3"\r\nContent-Type: audio/mpeg';
  const text = `${named('model', 'm')}${field(head, '\x00--\r\n-b\r\n')}${named('model[]', '')}${end}`;
  const body = Buffer.from(text);
  const { parts } = read(body);
  expect(
    parts.map(({ name, file, start, end: to }) => [name, file, body.toString('latin1', start, to)]),
  ).toEqual([
    ['model', false, 'm'],
    ['file', true, '\x00--\r\n-b\r\n'],
    ['model[]', false, ''],
  ]);
  expect(textOf(read(body), 'model', body)).toBe('m');
  expect(textOf(read(body), 'n', body)).toBeUndefined();
});

test.each([
  ['quoted', 'multipart/form-data; boundary="b"'],
  ['after another parameter, in capitals', 'Multipart/Form-Data; charset=utf-8; BOUNDARY=b'],
])('a boundary may be %s', (_, contentType) => {
  expect(read(named('a', 'b') + end, contentType).parts).toHaveLength(1);
});

test.each([
  ['C1: line breaks after it (openai-node 4, Faraday)', `${named('a', 'b')}--b--\r\n\r\n`],
  ['C1: a line break before it', `\r\n${named('a', 'b')}${end}`],
  ['C1: none after it', `${named('a', 'b')}--b--`],
  ['C1: blank lines around it', ` \r\n\r\n${named('a', 'b')}--b--\r\n \t\r\n`],
])('%s are no part of the form', (_, text) => {
  const body = Buffer.from(text);
  expect(textOf(read(body), 'a', body)).toBe('b');
  // The simulator reads it by a parser of its own.
  expect(formFields(body, type)).toEqual({ a: 'b' });
});

/** Body, part of the refusal, and content type of each. */
const refused: Readonly<Record<string, readonly [body: string, says: string, contentType?: string]>> = {
  'no boundary': [named('a', 'b') + end, 'has no boundary', 'multipart/form-data'],
  'two boundaries': [named('a', 'b') + end, 'has no boundary', 'multipart/form-data; boundary=b; boundary=c'],
  'an invalid boundary': [end, 'has no boundary', 'multipart/form-data; boundary="b\t"'],
  empty: ['', 'does not begin'],
  'another boundary': ['--c--', 'does not begin'],
  'bytes before it': [`x\r\n${end}`, 'does not begin'],
  'a preamble that ends inside a line': [` ${end}`, 'does not begin'],
  'an endless epilogue': [`${named('a', 'b')}${end}${'\r\n'.repeat(600)}`, 'followed by other bytes'],
  'bytes after it': [`${named('a', 'b')}${end}more`, 'followed by other bytes'],
  'cut in a field': [named('a', 'b'), 'before its last boundary'],
  'cut in its headers': ['--b\r\nContent-Disposition: form-data; name="a"\r\n', 'have no end'],
  'line feeds alone': [
    '--b\nContent-Disposition: form-data; name="a"\n\nb\n--b--\n',
    'is not followed by a line break',
  ],
  'a boundary inside a line': [`${named('a', 'x--b')}${end}`, 'is not at the start of a line'],
  'a field hidden behind a line feed': [
    `${named('a', 'x\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nsecret')}${end}`,
    'is not at the start of a line',
  ],
  'a longer boundary': [
    `--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--bb${end}`,
    'is not followed by a line break',
  ],
  'no name': [field('Content-Disposition: form-data', 'b') + end, 'ambiguous Content-Disposition'],
  'no disposition': [field('Content-Type: text/plain', 'b') + end, 'has no Content-Disposition'],
  'two dispositions': [
    field('Content-Disposition: form-data; name="a"\r\ncontent-disposition: form-data; name="b"', 'b') + end,
    'has two Content-Disposition',
  ],
  'two names': [
    field('Content-Disposition: form-data; name="a"; name="b"', 'c') + end,
    'ambiguous Content-Disposition',
  ],
  'an encoded name': [
    field("Content-Disposition: form-data; name*=UTF-8''model", 'c') + end,
    'ambiguous Content-Disposition',
  ],
  'an escaped name': [
    field('Content-Disposition: form-data; name="mod\\el"', 'c') + end,
    'ambiguous Content-Disposition',
  ],
  'a percent-encoded name': [
    field('Content-Disposition: form-data; name="%6dodel"', 'c') + end,
    'ambiguous Content-Disposition',
  ],
  'a folded header': [
    field('Content-Disposition: form-data;\r\n name="a"', 'c') + end,
    'ambiguous Content-Disposition',
  ],
  'a header without a colon': [
    field('Content-Disposition: form-data; name="a"\r\n more', 'c') + end,
    'malformed header line',
  ],
  'text in Base64': [
    field('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', 'YQ==') + end,
    'not plain UTF-8',
  ],
  'too many fields': [named('a', '').repeat(257) + end, 'more than 256 fields'],
  'too much text': [
    named('a', 'x'.repeat(16 * 1024 * 1024 + 1)) + end,
    "The form's text fields have more than",
  ],
  'endless headers': [field(`x: ${'y'.repeat(5000)}`, '') + end, 'have no end'],
};

test.each(Object.keys(refused))('a form with %s is refused', (name) => {
  const [body, says, contentType = type] = refused[name] ?? ['', ''];
  const form = readForm(Buffer.from(body, 'latin1'), contentType);
  expect(form).toBeInstanceOf(Refusal);
  expect(form).toMatchObject({ code: 'invalid_form', message: expect.stringContaining(says) });
});

test('text that is no UTF-8 is refused, files may hold anything', () => {
  const bad = Buffer.concat([
    Buffer.from('--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'),
    Buffer.from([0xff, 0x0d, 0x0a]),
    Buffer.from(end),
  ]);
  expect(readForm(bad, type)).toMatchObject({ code: 'invalid_form' });
  const asFile = Buffer.from(bad.toString('latin1').replace('"a"', '"a"; filename=""'), 'latin1');
  expect(readForm(asFile, type)).toMatchObject({ parts: [{ name: 'a', file: true }] });
});

test('what decides stands once, and as text', () => {
  const twice = Buffer.from(named('model', 'a') + named('model', 'b') + end);
  expect(textOf(read(twice), 'model', twice)).toMatchObject({ code: 'duplicate_field', param: 'model' });
  const file = Buffer.from(field('Content-Disposition: form-data; name="model"; filename="m"', 'a') + end);
  expect(textOf(read(file), 'model', file)).toMatchObject({ code: 'invalid_field', param: 'model' });
});

describe('whatever comes', () => {
  const piece = fc.constantFrom(
    '--b',
    '--b--',
    '\r\n',
    '\n',
    '\r\n\r\n',
    'x',
    ': ',
    'name="a"',
    '; ',
    '"',
    '\\',
    'Content-Disposition: form-data',
  );

  test('nothing throws, and fields never overlap', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const body = Buffer.from(`--b\r\n${pieces.join('')}`);
        const form = readForm(body, type);
        if (form instanceof Refusal) return;
        let from = 0;
        for (const { headStart, start, end: to } of form.parts) {
          expect(headStart).toBeGreaterThanOrEqual(from);
          expect(start).toBeGreaterThan(headStart);
          expect(to).toBeGreaterThanOrEqual(start);
          from = to;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('what a standard client writes is read as it was meant', async () => {
    const entry = fc.record({
      name: fc.stringMatching(/^[a-z_[\]]{1,12}$/),
      content: fc.uint8Array({ maxLength: 200 }),
      file: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 6 }), async (entries) => {
        const data = new FormData();
        for (const { name, content, file } of entries) {
          if (file) data.append(name, new Blob([content as Uint8Array<ArrayBuffer>]), 'a.bin');
          else data.append(name, Buffer.from(content).toString('base64'));
        }
        const sent = new Response(data);
        const body = Buffer.from(await sent.clone().arrayBuffer());
        const { parts } = read(body, sent.headers.get('content-type') ?? '');
        expect(
          parts.map(({ name, file, start, end: to }) => [name, file, body.toString('base64', start, to)]),
        ).toEqual(
          entries.map(({ name, content, file }) => {
            const base64 = Buffer.from(content).toString('base64');
            return [name, file, file ? base64 : Buffer.from(base64).toString('base64')];
          }),
        );
      }),
      { numRuns: 100 },
    );
  });
});
