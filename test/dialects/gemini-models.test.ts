/** Fields of Gemini's dialect that depend on the model, and schemas in its subset. */
import { describe, expect, test } from 'vitest';
import { createNotes } from '../../src/dialects/chat.ts';
import { readSchema, writeSchema } from '../../src/dialects/gemini/schema.ts';
import { dialects } from '../../src/dialects/index.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import { destinationFor, providerOf } from './fixtures.ts';

type Json = Record<string, unknown>;

function written(
  model: string,
  more: Json,
): { body: Json; dropped: readonly string[]; unsupported: string | null } {
  const notes = createNotes();
  const messages = [{ role: 'user', content: 'Hi' }];
  const request = dialects.openai.chatClient?.readRequest({ model: 'm', messages, ...more }, notes);
  if (request === undefined) throw new Error('OpenAI has clients');
  const { body } = writeCall(request, providerOf('gemini'), destinationFor(model), notes);
  return { body, dropped: notes.dropped, unsupported: notes.unsupported };
}

test.each([
  ['gemini-3-pro-preview', 'medium', { includeThoughts: true, thinkingLevel: 'HIGH' }],
  ['gemini-3.1-pro', 'medium', { includeThoughts: true, thinkingLevel: 'MEDIUM' }],
  ['gemini-3.1-pro', 'minimal', { includeThoughts: true, thinkingLevel: 'LOW' }],
  ['gemini-3-flash', 'minimal', { includeThoughts: true, thinkingLevel: 'MINIMAL' }],
  ['gemini-3-flash', 'none', { includeThoughts: false, thinkingLevel: 'MINIMAL' }],
  ['gemini-2.5-flash', 'none', { includeThoughts: false, thinkingBudget: 0 }],
  ['gemini-2.5-pro', 'none', { includeThoughts: false, thinkingBudget: 128 }],
  ['gemini-2.5-flash', 'high', { includeThoughts: true, thinkingBudget: 24_576 }],
  ['gemini-flash-latest', 'low', { includeThoughts: true, thinkingLevel: 'LOW' }],
  ['my-tuned-model', 'low', { includeThoughts: true, thinkingBudget: 2048 }],
])('%s with effort %s has its own thinkingConfig', (model, effort, thinkingConfig) => {
  const { body, dropped } = written(model, { reasoning_effort: effort });
  expect(body.generationConfig).toEqual({ thinkingConfig });
  expect(dropped).toEqual([]);
});

test('a model that does not think is sent no thinkingConfig', () => {
  expect(written('gemini-2.0-flash', { reasoning_effort: 'high' })).toMatchObject({
    body: expect.not.objectContaining({ generationConfig: expect.anything() }),
    dropped: ['reasoning_effort'],
  });
});

test('files by URL go to models that fetch them', () => {
  const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png?x=1' } };
  const messages = [{ role: 'user', content: [image] }];
  expect(written('gemini-2.0-flash', { messages }).unsupported).toBe('messages[0].content[0]');
  expect(JSON.stringify(written('gemini-2.5-flash', { messages }).body)).toContain('"mimeType":"image/png"');
});

test('only Gemini 3 is told to skip a missing signature, once per turn', () => {
  const call = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: null, tool_calls: [call('a'), call('b')] },
    { role: 'tool', tool_call_id: 'a', content: '1' },
    { role: 'tool', tool_call_id: 'b', content: '2' },
  ];
  const skips = (model: string): number =>
    JSON.stringify(written(model, { messages }).body).split('skip_thought_signature_validator').length - 1;
  expect(skips('gemini-3-flash')).toBe(1);
  expect(skips('gemini-2.5-flash')).toBe(0);
});

describe('schemas', () => {
  test('keywords that Gemini lacks are replaced by those it has', () => {
    expect(
      writeSchema({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        properties: {
          const: { const: 'a' },
          n: { type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 10 },
          x: { type: 'number', exclusiveMinimum: 0.5 },
          one: { allOf: [{ $ref: '#/$defs/t' }], description: 'd' },
        },
        $defs: { t: { type: 'string', const: 'b' } },
        additionalProperties: false,
      }),
    ).toEqual({
      type: 'object',
      properties: {
        const: { enum: ['a'] },
        n: { type: 'integer', minimum: 1, maximum: 9 },
        x: { type: 'number', minimum: 0.5 },
        one: { $ref: '#/$defs/t', description: 'd' },
      },
      $defs: { t: { type: 'string', enum: ['b'] } },
      additionalProperties: false,
    });
  });

  test("Gemini's own format becomes a JSON schema", () => {
    expect(
      readSchema({
        type: 'OBJECT',
        nullable: true,
        properties: {
          type: { type: 'STRING' },
          list: { type: 'ARRAY', maxItems: '3', items: { type: 'NUMBER' } },
        },
        propertyOrdering: ['list', 'type'],
      }),
    ).toEqual({
      type: ['object', 'null'],
      properties: {
        type: { type: 'string' },
        list: { type: 'array', maxItems: 3, items: { type: 'number' } },
      },
    });
  });
});
