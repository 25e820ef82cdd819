/** Long texts stand aside while a request is translated, and every byte comes out as it would without that. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { isObject } from '../../src/base/json.ts';
import { dialects } from '../../src/dialects/index.ts';
import { putTexts, takeTexts } from '../../src/dialects/long-texts.ts';
import { readRequest, type Written, writeRequest } from '../../src/dialects/translate.ts';
import { destinationFor, pairs, samplesOf } from './fixtures.ts';

const kinds = [
  'The sidecar reads it, “quotes” included. ',
  '今日は、\n"引用"\\ ',
  ' blank first ',
  '\\n',
  'slash / and \u0007 ',
  '\u3000 ideographic space ',
  'a\u0001b',
];
const longs = kinds.map((text) => text.repeat(80));

/** A sample with long texts in place of its own, that of tools' inputs and results too. */
function grown(value: unknown, pick: () => string): unknown {
  if (Array.isArray(value)) return value.map((each) => grown(each, pick));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => {
      if (typeof each === 'string' && (name === 'text' || name === 'content')) return [name, each + pick()];
      if (isObject(each) && (name === 'input' || name === 'response' || name === 'args'))
        return [name, { ...each, content: pick() }];
      return [name, grown(each, pick)];
    }),
  );
}

const plain = (written: Written | Refusal) =>
  written instanceof Refusal
    ? written.text
    : written.kind === 'cannot'
      ? written
      : { ...written, body: written.body.toString() };

describe.each(pairs)('$client to $provider', ({ client, chatClient, chatProvider }) => {
  test.each([...samplesOf(client, 'requests')])('%s', (_, body) => {
    for (let first = 0; first < kinds.length - 1; first++) {
      let next = first;
      const json = grown(JSON.parse(body.toString()), () => longs[next++ % (kinds.length - 1)] ?? '');
      const asked = { body: Buffer.from(JSON.stringify(json)), stream: false };
      const read = readRequest(chatClient, asked, false);
      if (read instanceof Refusal || read.aside === undefined) continue;
      const to = destinationFor('owner/model');
      const whole = read.aside.whole();
      if (whole instanceof Refusal) throw new Error(whole.text);
      expect(plain(writeRequest(read, chatProvider, to))).toEqual(
        plain(writeRequest(whole, chatProvider, to)),
      );
    }
  });
});

test.each([
  ['anthropic', 'the end of a turn to go on with', {}],
  ['bedrock', 'the end of a turn to go on with', {}],
  ['openai', 'whether JSON is named', { response_format: { type: 'json_object' } }],
  ['responses', 'whether JSON is named', { response_format: { type: 'json_object' } }],
] as const)('%s is told %s from the whole text', (name, _, more) => {
  const { chatClient } = dialects.openai;
  const { chatProvider } = dialects[name];
  if (chatClient === null || chatProvider === null) throw new Error('no chat');
  const messages = [
    { role: 'user', content: `Go on in JSON. ${'x'.repeat(4096)}` },
    { role: 'assistant', content: `${'y'.repeat(600)}\n` },
  ];
  const asked = { body: Buffer.from(JSON.stringify({ messages, ...more })), stream: false };
  const read = readRequest(chatClient, asked, false);
  if (read instanceof Refusal || read.aside === undefined) throw new Error('nothing stands aside');
  const whole = read.aside.whole();
  if (whole instanceof Refusal) throw new Error(whole.text);
  const to = destinationFor('claude-3-5-haiku-latest');
  expect(plain(writeRequest(read, chatProvider, to))).toEqual(plain(writeRequest(whole, chatProvider, to)));
});

describe('what stands aside', () => {
  const bodyOf = (...texts: readonly string[]): Buffer =>
    Buffer.from(
      JSON.stringify({
        messages: texts.map((content) => ({ role: 'user', content })),
        pad: 'x'.repeat(4096),
      }),
    );

  test('is text of any script, quotes and all, but for what may be blank or is written in another way', () => {
    const taken = (text: string): number => takeTexts(bodyOf(text))?.texts.length ?? 0;
    expect(longs.map(taken)).toEqual([1, 1, 0, 0, 0, 0, 0]);
    expect(taken('short')).toBe(0);
    expect(takeTexts(Buffer.from(bodyOf('a/b'.repeat(400)).toString().replaceAll('/', '\\/')))).toBeNull();
    expect(takeTexts(Buffer.from(bodyOf('é'.repeat(400)).toString().replaceAll('é', '\\u00e9')))).toBeNull();
  });

  test('nothing, if the client says a mark itself', () => {
    expect(takeTexts(bodyOf('a'.repeat(1000), '\u00010\u0001'))).toBeNull();
  });

  test('comes back where it was, whatever it says', () => {
    const piece = fc.constantFrom(
      '"',
      '\\',
      'content',
      '"text":"',
      'a',
      'ß',
      '\n',
      ':',
      '{',
      '今'.repeat(300),
      'x'.repeat(600),
    );
    const text = fc.array(piece, { maxLength: 12 }).map((all) => all.join(''));
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), fc.constantFrom('', ' '), (texts, gap) => {
        const json = JSON.stringify({
          messages: texts.map((content) => ({ [content]: 1, text: content, content })),
        });
        const body = Buffer.from(
          `${json.replaceAll('"content":"', `"content"${gap}:${gap}"`)}${' '.repeat(4096)}`,
        );
        const long = takeTexts(body);
        if (long === null) return;
        const rest = JSON.parse(long.rest.toString()) as unknown;
        const back = putTexts(JSON.stringify(rest), long.texts);
        expect(back === null ? null : JSON.parse(back.toString())).toEqual(JSON.parse(body.toString()));
      }),
      { numRuns: 300 },
    );
  });

  test('is not put inside of JSON that is text itself, nor where a mark was cut', () => {
    const texts = [Buffer.from('a')];
    expect(putTexts(JSON.stringify({ a: '\u00010\u0001' }), texts)?.toString()).toBe('{"a":"a"}');
    expect(putTexts(JSON.stringify({ a: JSON.stringify({ b: '\u00010\u0001' }) }), texts)).toBeNull();
    expect(putTexts(JSON.stringify({ a: '\u00010' }), texts)).toBeNull();
    expect(putTexts(JSON.stringify({ a: '\u00011\u0001' }), texts)).toBeNull();
    expect(putTexts(JSON.stringify({ a: '\\\u00010\u0001' }), texts)).toBeNull();
  });

  test('stands aside in nothing that a reply says again', () => {
    const long = 'x'.repeat(5000);
    const body = Buffer.from(
      JSON.stringify({
        model: 'm',
        input: 'Hi',
        prompt: { variables: { text: long } },
        tools: [
          {
            type: 'function',
            name: 'f',
            parameters: { properties: { text: { type: 'string', text: long } } },
          },
        ],
      }),
    );
    const { chatClient } = dialects.responses;
    if (chatClient === null) throw new Error('no clients');
    const read = readRequest(chatClient, { body, stream: false }, true);
    expect(JSON.stringify(read)).not.toContain('\\u0001');
  });
});
