/** Schemas of tools that one maker takes and another refuses, with all the tools beside them. */
import { describe, expect, test } from 'vitest';
import { type Json, translated } from './field.ts';

/** The schema of the only tool that an Anthropic client offers, as it is sent. */
function sent(to: 'openai' | 'responses' | 'anthropic' | 'bedrock', model: string, schema: Json) {
  const from = to === 'anthropic' || to === 'bedrock' ? 'openai' : 'anthropic';
  const tool =
    from === 'openai'
      ? { type: 'function', function: { name: 'f', parameters: schema } }
      : { name: 'f', input_schema: schema };
  const { body, dropped, unsupported } = translated(from, to, model, { tools: [tool] });
  const [told = {}] = (body.tools ?? (body.toolConfig as Json).tools) as Json[];
  const spec = (told.function ?? told.toolSpec ?? told) as Json;
  const written = spec.parameters ?? spec.input_schema ?? (spec.inputSchema as Json).json;
  return { schema: written as Json, dropped, unsupported };
}

describe.each(['openai', 'responses'] as const)('%s', (to) => {
  test.each(['gpt-5.6', 'llama-4'])(
    '%s is told of objects without members and of lists of anything',
    (model) => {
      expect(sent(to, model, { type: 'object' }).schema).toEqual({ type: 'object', properties: {} });
      const lists = {
        type: 'object',
        properties: {
          tags: { type: 'array', description: 'Words' },
          more: { anyOf: [{ type: ['array', 'null'] }, { type: 'array', items: { type: 'array' } }] },
        },
      };
      expect(sent(to, model, lists)).toEqual({
        schema: {
          type: 'object',
          properties: {
            tags: { type: 'array', description: 'Words', items: {} },
            more: {
              anyOf: [
                { type: ['array', 'null'], items: {} },
                { type: 'array', items: { type: 'array', items: {} } },
              ],
            },
          },
        },
        dropped: [],
        unsupported: null,
      });
    },
  );

  test('a schema that is whole stays as it is', () => {
    const whole = { type: 'object', properties: { type: { type: 'array', items: { type: 'string' } } } };
    expect(sent(to, 'gpt-5.6', whole).schema).toEqual(whole);
  });

  test('other servers take joined schemas', () => {
    const joined = { type: 'object', properties: {}, anyOf: [{ required: ['a'] }] };
    expect(sent(to, 'llama-4', joined)).toEqual({ schema: joined, dropped: [], unsupported: null });
  });
});

describe.each([
  ['openai', 'gpt-5.6'],
  ['responses', 'gpt-5.6'],
  ['anthropic', 'claude-sonnet-5'],
  ['bedrock', 'anthropic.claude-sonnet-5-v1:0'],
] as const)('%s refuses schemas joined at the root', (to, model) => {
  test('of which one must fit: members of all, described', () => {
    const oneOf = [{ required: ['route'] }, { required: ['file'] }];
    const properties = { route: { type: 'string' }, file: { type: 'string' } };
    const joined = { type: 'object', description: 'Where.', properties, oneOf };
    expect(sent(to, model, joined)).toEqual({
      schema: { type: 'object', description: `Where. ${JSON.stringify({ oneOf })}`, properties },
      dropped: ['tools[0].oneOf'],
      unsupported: null,
    });
  });

  test('whose members differ, by reference, and several times', () => {
    const url = { type: 'object', properties: { kind: { const: 'url' }, at: { type: 'string' } } };
    const $defs = {
      Url: { ...url, required: ['kind', 'at'] },
      Text: {
        properties: { kind: { const: 'text' }, all: { type: 'boolean' } },
        required: ['kind'],
        anyOf: [{ $ref: '#/$defs/Text' }, { $ref: '#/$defs/constructor' }],
      },
    };
    const anyOf = [{ $ref: '#/$defs/Url' }, { $ref: '#/$defs/Text' }];
    const allOf = [{ properties: { id: { type: 'integer' } }, required: ['id'] }];
    expect(sent(to, model, { $defs, anyOf, allOf })).toEqual({
      schema: {
        type: 'object',
        $defs,
        description: JSON.stringify({ anyOf, allOf }),
        properties: {
          kind: { anyOf: [{ const: 'url' }, { const: 'text' }] },
          at: { type: 'string' },
          all: { type: 'boolean' },
          id: { type: 'integer' },
        },
        required: ['kind', 'id'],
      },
      dropped: ['tools[0].anyOf', 'tools[0].allOf'],
      unsupported: null,
    });
  });

  test('in time that grows with their length only', () => {
    const names = Array.from({ length: 500 }, (_, number) => `d${number}`);
    const refs = names.map((name) => ({ $ref: `#/$defs/${name}` }));
    const $defs = Object.fromEntries(names.map((name) => [name, { anyOf: refs }]));
    expect(sent(to, model, { $defs, anyOf: refs }).schema.properties).toEqual({});
  });
});
