/** What providers are known to refuse is written as they accept it, named as dropped, or not sent to them. */
import { describe, expect, test } from 'vitest';
import { createNotes } from '../../src/dialects/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import type { Quirks } from '../../src/dialects/wire.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { destinationFor, providerOf } from './fixtures.ts';

type Json = Record<string, unknown>;

const said: Readonly<Partial<Record<DialectName, Json>>> = {
  openai: { messages: [{ role: 'user', content: 'Hi' }] },
  anthropic: { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 9000 },
  responses: { input: 'Hi' },
  gemini: { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] },
};

/** A request of one dialect, written for a model of another. */
function translated(from: DialectName, to: DialectName, model: string, more: Json, quirks: Quirks = {}) {
  const notes = createNotes();
  const request = dialects[from].chatClient?.readRequest({ model: 'm', ...said[from], ...more }, notes);
  if (request === undefined) throw new Error(`${from} has no clients`);
  const { body } = writeCall(request, providerOf(to), destinationFor(model, { quirks }), notes);
  return { body, ...notes };
}

const call = (id: string) => ({ id, type: 'function', function: { name: 'look', arguments: '{}' } });
const look = { type: 'function', function: { name: 'look' } };
/** An OpenAI conversation that ends with a tool's result. */
const amidCalls = (...ids: string[]) => [
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: null, tool_calls: ids.map(call) },
  ...ids.map((id) => ({ role: 'tool', tool_call_id: id, content: 'seen' })),
];

describe('Anthropic', () => {
  test('a model with thinking budgets is never sent "adaptive"', () => {
    const config = {
      generationConfig: { thinkingConfig: { includeThoughts: true }, maxOutputTokens: 20_000 },
    };
    expect(translated('gemini', 'anthropic', 'claude-sonnet-4-5', config).body.thinking).toEqual({
      type: 'enabled',
      budget_tokens: 8192,
    });
    expect(translated('gemini', 'anthropic', 'claude-opus-4-6', config).body.thinking).toEqual({
      type: 'adaptive',
    });
  });

  test('with a budget, a model does not think if the thinking before its calls is missing', () => {
    const asked = {
      messages: amidCalls('call_1'),
      tools: [look],
      reasoning_effort: 'low',
      max_tokens: 9000,
    };
    const { body, dropped } = translated('openai', 'anthropic', 'claude-sonnet-4-5', asked);
    expect(body.thinking).toBeUndefined();
    expect(dropped).toEqual(['reasoning_effort']);
    expect(translated('openai', 'anthropic', 'claude-opus-4-6', asked).body.thinking).toEqual({
      type: 'adaptive',
    });
    const detail = { type: 'reasoning.text', text: 'hm', signature: 'anthropic~c2ln' };
    const [first, called, ...rest] = asked.messages;
    const remembers = { ...asked, messages: [first, { ...called, reasoning_details: [detail] }, ...rest] };
    expect(translated('openai', 'anthropic', 'claude-sonnet-4-5', remembers).body.thinking).toMatchObject({
      type: 'enabled',
    });
  });

  test.each([
    'claude-opus-4-7',
    'claude-opus-4.8',
    'us.anthropic.claude-opus-5-v1:0',
    'claude-mythos-preview',
  ])('%s accepts no sampling parameters', (model) => {
    const { body, dropped } = translated('openai', 'anthropic', model, { temperature: 0.2, top_p: 0.9 });
    expect(body).not.toHaveProperty('temperature');
    expect(dropped).toEqual(['temperature', 'top_p']);
  });

  test('efforts are those the model supports', () => {
    const effort = (model: string, reasoning_effort: string) =>
      translated('openai', 'anthropic', model, { reasoning_effort }).body.output_config;
    expect(effort('claude-opus-4-6', 'xhigh')).toEqual({ effort: 'high' });
    expect(effort('claude-opus-4-7', 'xhigh')).toEqual({ effort: 'xhigh' });
    expect(effort('claude-opus-4-7', 'minimal')).toEqual({ effort: 'low' });
  });

  test('stop sequences of white space are unsupported', () => {
    expect(translated('openai', 'anthropic', 'claude-opus-5', { stop: ['END', '\n'] }).unsupported).toBe(
      'stop',
    );
  });

  test('invalid ids of calls are replaced in call and result alike', () => {
    const { body } = translated('openai', 'anthropic', 'claude-opus-5', {
      messages: amidCalls('functions.look:0', 'toolu_01'),
      tools: [look],
    });
    const [, called, answered] = body.messages as { content: Json[] }[];
    const ids = called?.content.map(({ id }) => id);
    expect(ids).toEqual([expect.stringMatching(/^call_[0-9a-f]{24}$/), 'toolu_01']);
    expect(answered?.content.map(({ tool_use_id }) => tool_use_id)).toEqual(ids);
  });

  test('results are in one message, even if the app sent them in several', () => {
    const [user, called, one, other] = amidCalls('a', 'b');
    const { body } = translated('openai', 'anthropic', 'claude-opus-5', {
      messages: [user, called, one, { role: 'system', content: 'Be brief.' }, other],
      tools: [look],
    });
    expect(body.messages).toMatchObject([
      { role: 'user' },
      { role: 'assistant' },
      { role: 'user', content: [{ tool_use_id: 'a' }, { tool_use_id: 'b' }] },
    ]);
    expect(body.system).toEqual([{ type: 'text', text: 'Be brief.' }]);
  });

  test('a schema is closed, and its bounds are described and named as dropped', () => {
    const format = (schema: Json) => ({
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
    });
    const age = { type: 'integer', minimum: 0, description: 'In years.' };
    const tags = { type: 'array', items: { type: 'string' }, minItems: 2 };
    const { body, dropped } = translated(
      'openai',
      'anthropic',
      'claude-opus-5',
      format({ type: 'object', properties: { age, tags }, required: ['age'] }),
    );
    expect(body.output_config).toMatchObject({
      format: {
        schema: {
          type: 'object',
          properties: {
            age: { type: 'integer', description: 'In years. {"minimum":0}' },
            tags: { type: 'array', minItems: 1, description: '{"minItems":2}' },
          },
          required: ['age'],
          additionalProperties: false,
        },
      },
    });
    expect(dropped).toEqual(['response_format.minimum', 'response_format.minItems']);
    const map = { type: 'object', properties: {}, additionalProperties: { type: 'number' } };
    expect(translated('openai', 'anthropic', 'claude-opus-5', format(map)).unsupported).toBe(
      'response_format',
    );
  });

  test('a strict tool is enforced in the provider’s subset, unless its schema is open', () => {
    const tool = (parameters: Json) => ({
      tools: [{ type: 'function', function: { name: 'f', parameters, strict: true } }],
    });
    const bounded = { type: 'object', properties: { n: { type: 'integer', maximum: 9 } } };
    expect(translated('openai', 'anthropic', 'claude-opus-5', tool(bounded)).body.tools).toMatchObject([
      { strict: true, input_schema: { additionalProperties: false } },
    ]);
    const { body, dropped } = translated('openai', 'anthropic', 'claude-opus-5', tool({ type: 'object' }));
    expect((body.tools as Json[])[0]).not.toHaveProperty('strict');
    expect(dropped).toEqual(['tools[0].strict']);
  });

  test('documents of text in Base64 are text', () => {
    const file = { filename: 'a.csv', file_data: `data:text/csv;base64,${btoa('a,b')}` };
    const messages = [{ role: 'user', content: [{ type: 'file', file }] }];
    const { body } = translated('openai', 'anthropic', 'claude-opus-5', { messages });
    expect(JSON.stringify(body.messages)).toContain('"data":"a,b"');
  });

  test('the detail of an image is named as dropped', () => {
    const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'high' } };
    const messages = [{ role: 'user', content: [image] }];
    expect(translated('openai', 'anthropic', 'claude-opus-5', { messages }).dropped).toEqual([
      'messages[0].content[0].detail',
    ]);
  });
});

/** A conversation of Anthropic's amid a call, which another provider's model thought before. */
const thoughtful = {
  tools: [{ name: 'look', input_schema: { type: 'object' } }],
  messages: [
    { role: 'user', content: 'Hi' },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Let me see.', signature: 'unsigned~' },
        { type: 'redacted_thinking', data: 'gemini~c2ln' },
        { type: 'tool_use', id: 'functions.look:0', name: 'look', input: {} },
      ],
    },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'functions.look:0', content: 'seen' }] },
  ],
};

describe('OpenAI’s dialect', () => {
  const gpt = (model: string, more: Json, quirks: Quirks = {}) =>
    translated('anthropic', 'openai', model, more, quirks);

  test.each(['gpt-5', 'gpt-5-mini-2025-08-07', 'o3', 'ft:o4-mini:me'])('%s takes no sampling', (model) => {
    for (const to of ['openai', 'responses'] as const) {
      const { body, dropped } = translated('anthropic', to, model, { temperature: 0.5, top_p: 1 });
      expect(body).not.toHaveProperty('temperature');
      expect(body).not.toHaveProperty('top_p');
      expect(dropped).toEqual(['temperature']);
    }
  });

  test('later ones accept them if they don’t reason, others always', () => {
    const thinking = { type: 'enabled', budget_tokens: 2000 };
    expect(gpt('gpt-5.2', { temperature: 0.5 }).body).toMatchObject({ temperature: 0.5 });
    expect(gpt('gpt-5.2', { temperature: 0.5, thinking }).dropped).toEqual(['temperature']);
    expect(gpt('gpt-4o', { temperature: 0.5 }).body).toMatchObject({ temperature: 0.5 });
    expect(gpt('qwen3', { temperature: 0.5, thinking }).body).toMatchObject({ temperature: 0.5 });
  });

  test.each([
    ['gpt-5', 'none', 'minimal'],
    ['o3', 'none', 'low'],
    ['gpt-5.1', 'none', 'none'],
    ['gpt-5.1', 'max', 'high'],
    ['gpt-5.2', 'max', 'xhigh'],
    ['gpt-5.6', 'max', 'max'],
    ['gpt-oss-120b', 'low', 'low'],
  ])('%s maps the effort %s to %s', (model, effort, known) => {
    const wish = effort === 'none' ? { thinking: { type: 'disabled' } } : { output_config: { effort } };
    expect(gpt(model, wish).body.reasoning_effort).toBe(known);
    const { body } = translated('anthropic', 'responses', model, wish);
    expect(body.reasoning).toEqual({ effort: known });
  });

  test.each([
    ['gpt-5-chat-latest', false],
    ['gpt-4o', false],
    ['mistral-large-latest', false],
    ['gpt-5.2', true],
    ['some-model', true],
  ])('the catalog knows whether %s reasons', (model, reasons) => {
    const { body, dropped } = gpt(model, { output_config: { effort: 'low' } });
    expect(body.reasoning_effort).toBe(reasons ? 'low' : undefined);
    expect(dropped).toEqual(reasons ? [] : ['output_config.effort']);
  });

  test('more stop sequences than OpenAI accepts are unsupported', () => {
    const stops = (model: string, count: number) =>
      gpt(model, { stop_sequences: Array.from({ length: count }, (_, index) => `S${index}`) }).unsupported;
    expect(stops('gpt-4o', 4)).toBeNull();
    expect(stops('gpt-4o', 5)).toBe('stop_sequences');
    expect(stops('o3', 1)).toBe('stop_sequences');
    expect(stops('llama-3.3', 9)).toBeNull();
  });

  test('a long user identifier is replaced by its digest', () => {
    const user_id = `user_${'a'.repeat(64)}_account__session_${'b'.repeat(36)}`;
    for (const to of ['openai', 'responses'] as const) {
      const { body } = translated('anthropic', to, 'gpt-5.2', { metadata: { user_id } });
      expect(body.user).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test('metadata is dropped for OpenAI, which accepts it only for stored completions', () => {
    const metadata = { app: 'a' };
    expect(translated('responses', 'openai', 'gpt-5.2', { metadata })).toMatchObject({
      dropped: ['metadata'],
    });
    expect(translated('responses', 'openai', 'mistral-x', { metadata }).body.metadata).toEqual(metadata);
  });

  test('only OpenAI has the role "developer"', () => {
    const input = [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ];
    const first = (model: string) =>
      (translated('responses', 'openai', model, { input }).body.messages as Json[])[0]?.role;
    expect(first('gpt-5.2')).toBe('developer');
    expect(first('mistral-large')).toBe('system');
  });

  test('a turn of nothing but thinking is left out', () => {
    const messages = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: [{ type: 'thinking', thinking: 'hm', signature: 'unsigned~' }] },
      { role: 'user', content: 'And?' },
    ];
    expect(gpt('gpt-5.2', { messages }).body.messages).toHaveLength(2);
  });

  test('reasoning before calls is sent back to providers that require it', () => {
    const assistant = (model: string, quirks: Quirks) =>
      (gpt(model, thoughtful, quirks).body.messages as Json[])[1];
    expect(assistant('kimi-k2.5', { reasoningBack: ['reasoning_content'] })).toMatchObject({
      reasoning_content: 'Let me see.',
      tool_calls: [{ id: 'functions.look:0' }],
    });
    expect(assistant('gpt-5.2', {})).not.toHaveProperty('reasoning_content');
  });

  test('Google’s OpenAI-compatible endpoint gets its signature back, others do not', () => {
    const calls = (model: string): Json | undefined => {
      const [, assistant] = gpt(model, thoughtful).body.messages as { tool_calls?: Json[] }[];
      return assistant?.tool_calls?.[0];
    };
    expect(calls('gemini-3-flash')).toMatchObject({
      extra_content: { google: { thought_signature: 'c2ln' } },
    });
    expect(calls('gpt-5.2')).not.toHaveProperty('extra_content');
    expect(calls('gpt-5.2')?.id).toMatch(/^call_[0-9a-f]{24}$/);
  });

  test('OpenAI supports schemas of objects only', () => {
    const config = {
      generationConfig: {
        responseMimeType: 'application/json',
        responseSchema: { type: 'ARRAY', items: { type: 'STRING' } },
      },
    };
    for (const to of ['openai', 'responses'] as const)
      expect(translated('gemini', to, 'gpt-5.2', config).unsupported).toBe('generationConfig.responseSchema');
    expect(translated('gemini', 'openai', 'llama-3.3', config).unsupported).toBeNull();
  });
});

describe('Gemini', () => {
  test('a schema together with tools goes to Gemini 3 only', () => {
    const more = { tools: [look], response_format: { type: 'json_schema', json_schema: { schema: {} } } };
    expect(translated('openai', 'gemini', 'gemini-2.5-flash', more).unsupported).toBe('response_format');
    expect(translated('openai', 'gemini', 'gemini-3-flash', more).unsupported).toBeNull();
  });
});

test.each([
  ['gemini', 'gemini-3-flash', 5],
  ['cohere', 'command-a-03-2025', 5],
  ['bedrock', 'anthropic.claude-opus-4', 2500],
] as const)('more stop sequences than %s takes are unsupported', (to, model, most) => {
  const stops = (count: number) => Array.from({ length: count }, (_, i) => `S${i}`);
  const of = (count: number) => translated('openai', to, model, { stop: stops(count) }).unsupported;
  expect([of(most), of(most + 1)]).toEqual([null, 'stop']);
});
