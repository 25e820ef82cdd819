/** "OpenAI-compatible" is not OpenAI: what other servers demand of requests. The names are the numbers of the reports. */
import { describe, expect, test } from 'vitest';
import { presets } from '../../src/dialects/presets.ts';
import { createProvider } from '../../src/upstream/provider.ts';
import { startChain } from '../support/chain.ts';
import { anthropicWire } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';
import { type Json, passed, quirksOf, streamed, translated, whole } from './field.ts';

const look = { type: 'tool_use', id: 'toolu_01A09q90qw90lq917835lq9', name: 'look', input: {} };
const seen = (content: unknown) => ({ type: 'tool_result', tool_use_id: look.id, content });
const turn = (...before: Json[]) => [
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: [...before, look] },
  { role: 'user', content: [seen('ok')] },
];
const messagesOf = (body: Json) => body.messages as (Json & { tool_calls: Json[] })[];

describe('Mistral', () => {
  const nine = /^[a-zA-Z0-9]{9}$/;

  test('A11: ids of calls have nine letters and digits, the same in call and result', () => {
    const { body } = translated(
      'anthropic',
      'openai',
      'mistral-large',
      { messages: turn() },
      quirksOf('mistral'),
    );
    const [, call, result] = messagesOf(body);
    expect(call?.tool_calls[0]?.id).toMatch(nine);
    expect(result?.tool_call_id).toBe(call?.tool_calls[0]?.id);
  });

  const calls = (id: string) => [
    { role: 'user', content: 'Hi' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: id, content: 'ok' },
  ];

  test('A11: within OpenAI’s dialect too, and an id that fits stays', () => {
    const { body } = passed('mistral', { model: 'm', messages: calls('call_abcdefghijklmnopqrst') });
    const [, call, result] = messagesOf(body ?? {});
    expect(call?.tool_calls[0]?.id).toMatch(nine);
    expect(result?.tool_call_id).toBe(call?.tool_calls[0]?.id);
    expect(passed('mistral', { model: 'm', messages: calls('D681PevKs') }).body).toBeNull();
  });

  test('A12: its words are told, what it refuses is left out and named', () => {
    const more = { metadata: { user_id: 'u-1' } };
    const user = translated('anthropic', 'openai', 'mistral-large', more, quirksOf('mistral'));
    expect(user.body).not.toHaveProperty('user');
    expect(user.dropped).toEqual(['metadata.user_id']);
    const config = { generationConfig: { seed: 7 } };
    const seed = translated('gemini', 'openai', 'mistral-large', config, quirksOf('mistral'));
    expect(seed.body).toMatchObject({ random_seed: 7 });
    expect(seed.body).not.toHaveProperty('seed');
    expect(seed.dropped).toEqual([]);
  });

  test('A12: within OpenAI’s dialect too', () => {
    const messages = [{ role: 'user', name: 'Ann', content: 'Hi' }];
    const said = { model: 'm', messages, seed: 7, user: 'u', max_completion_tokens: 9, logprobs: false };
    const { body, dropped, offsets } = passed('mistral', said);
    expect(body).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'Hi' }],
      random_seed: 7,
      max_tokens: 9,
    });
    expect(dropped).toEqual(['user']);
    expect(offsets).not.toBeNull();
  });

  test.each([
    ['groq', { logprobs: true, top_logprobs: 2, logit_bias: { 1: 1 } }],
    ['cerebras', { frequency_penalty: 0.5, presence_penalty: 0.5, logit_bias: { 1: 1 } }],
  ])('A12: what %s refuses is left out and named', (preset, more) => {
    const { body, dropped } = passed(preset, { model: 'm', messages: [], ...more });
    expect(body).toEqual({ model: 'm', messages: [] });
    expect(dropped).toEqual(Object.keys(more));
  });

  test('A12: what it knows passes byte for byte', () => {
    expect(passed('mistral', { model: 'm', messages: [], temperature: 1 }).body).toBeNull();
  });
});

describe('A13: texts instead of lists', () => {
  const two = [
    { type: 'text', text: 'a' },
    { type: 'text', text: 'b' },
  ];

  test.each(['deepseek', 'mistral', 'vllm', 'together'])('A13: at %s', (preset) => {
    const messages = [
      { role: 'user', content: two },
      { role: 'assistant', content: [look] },
      { role: 'user', content: [seen(two)] },
    ];
    const { body } = translated(
      'anthropic',
      'openai',
      'some-model',
      { system: two, messages },
      quirksOf(preset),
    );
    for (const { role, content } of messagesOf(body)) {
      if (role !== 'assistant') expect(content).toBe('a\n\nb');
    }
  });

  test('A13: OpenAI takes lists, and a picture needs one anywhere', () => {
    const messages = [{ role: 'user', content: two }];
    expect(messagesOf(translated('anthropic', 'openai', 'gpt-4o', { messages }).body)[0]?.content).toEqual(
      two,
    );
    const seenToo = { type: 'image', source: { type: 'url', url: 'https://example.org/a.png' } };
    const shown = [{ role: 'user', content: [...two, seenToo] }];
    const { body } = translated('anthropic', 'openai', 'some-model', { messages: shown });
    expect(messagesOf(body)[0]?.content).toHaveLength(3);
  });

  test('A13: within OpenAI’s dialect too, where the server is known to take none', () => {
    const messages = [{ role: 'tool', tool_call_id: 'c', content: two }];
    expect(passed('deepseek', { model: 'm', messages }).body).toEqual({
      model: 'm',
      messages: [{ role: 'tool', tool_call_id: 'c', content: 'a\n\nb' }],
    });
  });
});

describe('reasoning goes back to the server that reads it', () => {
  const thought = (thinking: string) => ({ type: 'thinking', thinking, signature: 'unsigned~' });

  test('A14: DeepSeek gets all of it, also of messages without calls', () => {
    const messages = [
      ...turn(thought('T1')),
      { role: 'assistant', content: [thought('T2'), { type: 'text', text: 'Seen.' }] },
      { role: 'user', content: 'And?' },
    ];
    const { body } = translated(
      'anthropic',
      'openai',
      'deepseek-reasoner',
      { messages },
      quirksOf('deepseek'),
    );
    const said = messagesOf(body).filter(({ role }) => role === 'assistant');
    expect(said.map(({ reasoning_content }) => reasoning_content)).toEqual(['T1', 'T2']);
  });

  const thoughtSent = (preset: string): Json =>
    translated('anthropic', 'openai', 'm', { messages: turn(thought('T1')) }, quirksOf(preset)).body;

  test.each([
    ['vllm', 'reasoning'],
    ['localai', 'reasoning'],
    ['sglang', 'reasoning_content'],
    ['llamacpp', 'reasoning_content'],
    ['minimax', 'reasoning_content'],
    ['dashscope', 'reasoning_content'],
    ['moonshot', 'reasoning_content'],
    ['zai', 'reasoning_content'],
    ['openrouter', 'reasoning'],
  ])('A25: %s gets it amid calls, as %s', (preset, field) => {
    const body = thoughtSent(preset);
    expect(messagesOf(body)[1]).toMatchObject({ [field]: 'T1' });
  });

  test('A25: an engine that the configuration names reads what its preset reads', () => {
    const config = {
      dialect: 'openai',
      baseUrl: 'http://127.0.0.1:1/v1',
      headers: {},
      engine: 'vllm',
    } as const;
    const { quirks } = createProvider('own', config as never, { connectTimeoutMs: 1 } as never, null);
    expect(quirks).toEqual(presets.vllm?.quirks);
  });

  test('A13, A25: a plain server reads what `reasoningBack` says, which goes before what is known of a preset', () => {
    const base = { baseUrl: 'http://127.0.0.1:1/v1', headers: {} };
    const provided = (config: object) =>
      createProvider('own', { ...base, ...config } as never, { connectTimeoutMs: 1 } as never, null);
    const sent = (config: object) => {
      const { quirks } = provided(config);
      return messagesOf(
        translated('anthropic', 'openai', 'm', { messages: turn(thought('T1')) }, { quirks }).body,
      );
    };
    const back = { reasoningBack: ['reasoning_content'] };
    expect(JSON.stringify(sent({ dialect: 'openai' }))).not.toContain('T1');
    expect(sent({ dialect: 'openai', ...back })[1]).toMatchObject({ reasoning_content: 'T1' });
    expect(JSON.stringify(sent({ preset: 'deepseek', reasoningBack: [] }))).not.toContain('T1');
    // What else is known of a preset stays.
    expect(provided({ preset: 'mistral', ...back }).quirks).toMatchObject({ noStreamOptions: true, ...back });
  });

  test.each(['openai', 'groq', 'together'])('A25: %s, not known to read it, is sent none', (preset) => {
    const body = thoughtSent(preset);
    expect(JSON.stringify(body)).not.toContain('T1');
  });

  const details = [
    { type: 'reasoning.text', text: 'T1', format: 'google-gemini-v1', index: 0 },
    { type: 'reasoning.encrypted', data: 'SIG==', format: 'google-gemini-v1', id: 'tool_1', index: 1 },
  ];
  const called = [{ id: 'tool_1', type: 'function', function: { name: 'look', arguments: '{}' } }];
  const assistant = { role: 'assistant', content: null, reasoning_details: details, tool_calls: called };
  const reply = { choices: [{ message: assistant, finish_reason: 'tool_calls' }] };
  const events = [
    { choices: [{ delta: { role: 'assistant', reasoning_details: [details[0]] } }] },
    { choices: [{ delta: { reasoning_details: [details[1]] } }] },
    { choices: [{ delta: { tool_calls: [{ index: 0, ...called[0] }] } }] },
    { choices: [{ delta: {}, finish_reason: 'tool_calls' }] },
  ];
  const back = [
    { type: 'reasoning.text', text: 'T1' },
    { type: 'reasoning.encrypted', data: 'SIG==', format: 'google-gemini-v1', id: 'tool_1' },
  ];

  test('A10: what OpenRouter sealed goes back to it, whole and streamed', () => {
    const content = whole('openai', 'anthropic', reply)?.content as Json[];
    const { received } = streamed('openai', 'anthropic', events);
    const blocks = received.filter(({ type }) => type === 'content_block_start');
    const hidden = blocks
      .map(({ content_block }) => content_block as Json)
      .find(({ data }) => data !== undefined);
    expect(hidden).toEqual(content[1]);
    const messages = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'tool_1', content: 'ok' }] },
    ];
    const model = 'google/gemini-3-pro-preview';
    const { body } = translated('anthropic', 'openai', model, { messages }, quirksOf('openrouter'));
    expect(messagesOf(body)[1]?.reasoning_details).toMatchObject(back);
    const strict = translated('anthropic', 'openai', 'gpt-5.2', { messages }, quirksOf('openai'));
    expect(messagesOf(strict.body)[1]).not.toHaveProperty('reasoning_details');
  });

  test.each(['openai~SIGNATURE==', 'anthropic~SIGNATURE=='])(
    'A10: a signed text of Claude (%s)',
    (signature) => {
      const messages = turn({ type: 'thinking', thinking: 'T1', signature });
      const model = 'anthropic/claude-sonnet-4.5';
      const { body } = translated('anthropic', 'openai', model, { messages }, quirksOf('openrouter'));
      expect(messagesOf(body)[1]?.reasoning_details).toEqual([
        {
          type: 'reasoning.text',
          text: 'T1',
          signature: 'SIGNATURE==',
          format: 'anthropic-claude-v1',
          index: 0,
        },
      ]);
    },
  );
});

describe('turns', () => {
  test.each(['anthropic', 'bedrock'] as const)('A15: %s is sent no text of white space', (to) => {
    const messages = [
      { role: 'system', content: '  ' },
      { role: 'user', content: 'a' },
      { role: 'assistant', content: '\n\n' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'b' },
          { type: 'text', text: ' ' },
        ],
      },
    ];
    const { body } = translated('openai', to, 'claude-sonnet-4-5', { messages });
    expect(body).not.toHaveProperty('system');
    expect(JSON.stringify(body)).not.toMatch(/"text":"(?:\s|\\n)*"/);
    expect(JSON.stringify(body.messages)).toContain('"b"');
  });

  test('A15: within Anthropic’s dialect too, and whatever has words passes byte for byte', async () => {
    const chain = await startChain(anthropicWire, [
      [answers(anthropicWire, 'ok'), answers(anthropicWire, 'ok')],
    ]);
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: [{ type: 'text', text: '\n\n' }] },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'b' },
          { type: 'text', text: '' },
        ],
      },
    ];
    expect((await chain.ask({ system: ' ', messages })).status).toBe(200);
    const { system, messages: sent } = (chain.first.calls[0]?.json ?? {}) as Json;
    expect(system).toBeUndefined();
    expect(sent).toEqual([messages[0], { role: 'user', content: [{ type: 'text', text: 'b' }] }]);
  });

  const plain = (text: string) => ({ content: text, role: 'assistant' });
  test.each([
    ['role first', { role: 'assistant', content: 'Hi.' }],
    ['content first', plain('Hi.')],
    ['content first, with an escape', plain('He said "Hi."\n')],
    ['content first, as a list', { content: [{ type: 'text', text: 'Hi.' }], role: 'assistant' }],
  ])('within Anthropic’s dialect, a conversation may begin with the assistant: %s', async (_, first) => {
    const chain = await startChain(anthropicWire, [[answers(anthropicWire, 'ok')]]);
    const messages = [first, { role: 'user', content: 'a' }];
    expect((await chain.ask({ messages })).status).toBe(200);
    const { messages: sent } = (chain.first.calls[0]?.json ?? {}) as { messages: Json[] };
    expect(sent).toEqual([expect.objectContaining({ role: 'user' }), ...messages]);
  });

  const pdf = {
    type: 'document',
    source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' },
  };

  test('A16: a document for Bedrock has a text beside it', () => {
    for (const content of [[pdf], [seen('read'), pdf]]) {
      const messages = [...turn().slice(0, 2), { role: 'user', content }];
      const { body } = translated('anthropic', 'bedrock', 'anthropic.claude-sonnet-4-5-v1:0', { messages });
      const blocks = messagesOf(body).at(-1)?.content as Json[];
      expect(blocks.filter(({ text }) => typeof text === 'string')).toHaveLength(1);
      expect(blocks.some(({ document }) => document !== undefined)).toBe(true);
    }
  });

  test('A16: one that has a text gets no other', () => {
    const messages = [{ role: 'user', content: [{ type: 'text', text: 'Sum up.' }, pdf] }];
    const { body } = translated('anthropic', 'bedrock', 'anthropic.claude-sonnet-4-5-v1:0', { messages });
    expect(messagesOf(body)[0]?.content).toHaveLength(2);
  });
});
