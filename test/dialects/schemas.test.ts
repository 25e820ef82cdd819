/** Schemas that a provider enforces are written in the subset that it takes: of Claude, at Anthropic and at Bedrock. */
import { describe, expect, test } from 'vitest';
import { type Json, translated } from './field.ts';

const models = { anthropic: 'claude-sonnet-4-5', bedrock: 'anthropic.claude-sonnet-4-5-v1:0' } as const;

/** The schema of the answer. */
function answerIn({ output_config, outputConfig }: Json): Json {
  const { textFormat } = (outputConfig ?? {}) as { textFormat?: { structure: { jsonSchema: Json } } };
  if (textFormat !== undefined) return JSON.parse(textFormat.structure.jsonSchema.schema as string) as Json;
  return (output_config as { format: { schema: Json } }).format.schema;
}

/** The only tool, and its schema. */
function toolIn({ tools, toolConfig }: Json): Json {
  if (toolConfig === undefined) return (tools as Json[])[0] ?? {};
  const [{ toolSpec = {} } = {}] = (toolConfig as { tools: { toolSpec?: Json }[] }).tools;
  return { ...toolSpec, input_schema: (toolSpec.inputSchema as { json: Json }).json };
}

describe.each(['anthropic', 'bedrock'] as const)('Claude at %s', (to) => {
  const formatted = (schema: Json) =>
    translated('openai', to, models[to], {
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
    });
  const strictTool = (parameters: Json) =>
    translated('openai', to, models[to], {
      tools: [{ type: 'function', function: { name: 'f', parameters, strict: true } }],
    });
  const inner = { type: 'object', properties: { s: { type: 'string', maxLength: 9 } } };
  const given = {
    type: 'object',
    properties: { n: { type: 'integer', minimum: 1 }, all: { type: 'array', items: inner } },
    required: ['n'],
  };
  const taken = {
    type: 'object',
    properties: {
      n: { type: 'integer', description: '{"minimum":1}' },
      all: {
        type: 'array',
        items: {
          type: 'object',
          properties: { s: { type: 'string', description: '{"maxLength":9}' } },
          additionalProperties: false,
        },
      },
    },
    required: ['n'],
    additionalProperties: false,
  };
  const map = { type: 'object', properties: {}, additionalProperties: { type: 'number' } };

  test('a format is closed, and its bounds are described and named as dropped', () => {
    const { body, dropped, unsupported } = formatted(given);
    expect(answerIn(body)).toEqual(taken);
    expect(dropped.toSorted()).toEqual(['response_format.maxLength', 'response_format.minimum']);
    expect(unsupported).toBeNull();
  });

  test('a format with any names is not sent to it', () => {
    expect(formatted(map).unsupported).toBe('response_format');
  });

  test('a strict tool is too, unless any names are in it', () => {
    expect(toolIn(strictTool(given).body)).toMatchObject({ strict: true, input_schema: taken });
    const { body, dropped } = strictTool(map);
    expect(toolIn(body)).not.toHaveProperty('strict');
    expect(toolIn(body).input_schema).toEqual(map);
    expect(dropped).toEqual(['tools[0].strict']);
  });

  test('one of several forms is any of them', () => {
    const cars = ['a', 'b'].map((name) => ({ type: 'object', properties: { [name]: { const: name } } }));
    const { body, dropped } = formatted({ type: 'object', properties: { car: { oneOf: cars } } });
    expect((answerIn(body).properties as Json).car).toEqual({
      anyOf: cars.map((car) => ({ ...car, additionalProperties: false })),
    });
    expect(dropped).toEqual(['response_format.oneOf']);
  });
});
