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

  const strictTools = (count: number, parameters: Json) =>
    translated('openai', to, models[to], {
      tools: Array.from({ length: count }, (_, index) => ({
        type: 'function',
        function: { name: `f${index}`, parameters, strict: true },
      })),
    });
  /** How many of the tools are strict. */
  const strictIn = ({ tools, toolConfig }: Json): number =>
    JSON.stringify(tools ?? toolConfig).split('"strict":true').length - 1;
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
  const of = (type: unknown, required: readonly string[]): Json => ({
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, { type }])),
    required,
  });

  test.each([
    ['20 tools', 21, of('string', names), 20],
    ['24 members that may be missing', 4, of('string', []), 2],
    ['16 members of several types', 4, of(['string', 'null'], names), 1],
  ])('no more than %s are enforced in one request', (_, count, parameters, strict) => {
    const { body, dropped } = strictTools(count, parameters);
    expect(strictIn(body)).toBe(strict);
    expect(dropped).toHaveLength(Math.min(12, count - strict));
    expect(dropped[0]).toBe(`tools[${strict}].strict`);
  });

  test('the answer counts too', () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'a', schema: of('string', []) } };
    const tool = { type: 'function', function: { name: 'f', parameters: of('string', []), strict: true } };
    const { body } = translated('openai', to, models[to], { response_format, tools: [tool, tool] });
    expect(strictIn(body)).toBe(1);
  });
});

test.each([
  ['anthropic', 'claude-sonnet-4-20250514', false],
  ['anthropic', 'claude-3-5-haiku-20241022', false],
  ['anthropic', 'claude-opus-4-1', true],
  ['anthropic', 'claude-sonnet-5', true],
  ['bedrock', 'us.anthropic.claude-sonnet-4-6-v1:0', true],
  ['bedrock', 'us.anthropic.claude-opus-4-7-v1:0', false],
  ['bedrock', 'global.anthropic.claude-sonnet-5', false],
] as const)('%s: %s takes strict tools: %s', (to, model, takes) => {
  const parameters = { type: 'object', properties: {}, additionalProperties: false };
  const tool = (strict: boolean) => ({ type: 'function', function: { name: 'f', parameters, strict } });
  const { body, dropped } = translated('openai', to, model, { tools: [tool(true)] });
  expect(toolIn(body).strict).toBe(takes ? true : undefined);
  expect(dropped).toEqual(takes ? [] : ['tools.strict']);
  // What isn't strict need not be said: some refuse the very field.
  const loose = translated('openai', to, model, { tools: [tool(false)] });
  expect(toolIn(loose.body)).not.toHaveProperty('strict');
  expect(loose.dropped).toEqual([]);
});

test('a model that takes no wish about parallel calls gets none', () => {
  const more = { tools: [{ name: 'f' }], tool_choice: { type: 'auto', disable_parallel_tool_use: true } };
  for (const to of ['openai', 'responses'] as const) {
    const { body, dropped } = translated('anthropic', to, 'o4-mini', more);
    expect(body).not.toHaveProperty('parallel_tool_calls');
    expect(dropped).toEqual(['tool_choice.disable_parallel_tool_use']);
    expect(translated('anthropic', to, 'gpt-5', more).body.parallel_tool_calls).toBe(false);
  }
});
