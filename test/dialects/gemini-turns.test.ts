/** Turns of Gemini's clients and of Gemini, which other dialects cut otherwise. */
import { describe, expect, test } from 'vitest';
import { work as free } from '../../src/attempt/own.ts';
import { nativeEndpoint } from '../../src/native/inspect.ts';
import { type Json, streamed, translated } from './field.ts';

type Content = { role: string; parts: Json[] };

/** The history that `Chat.sendMessageStream` keeps of a stream. */
const kept = (received: readonly Json[]): Content[] =>
  received.map(
    ({ candidates }) => (candidates as { content: Content }[])[0]?.content ?? { role: 'model', parts: [] },
  );

const user = { role: 'user', parts: [{ text: 'Look up a and b.' }] };
const tool = (index: number, name: string) => [
  {
    type: 'content_block_start',
    index,
    content_block: { type: 'tool_use', id: `toolu_${name}`, name, input: {} },
  },
  { type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json: '{"x":' } },
  { type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json: '1}' } },
  { type: 'content_block_stop', index },
];
const thoughtful = [
  { type: 'message_start', message: { id: 'msg_1', model: 'claude', usage: { input_tokens: 1 } } },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Both ' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'at once.' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'Q2xhdWRl' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'I lo' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'ok.' } },
  { type: 'content_block_stop', index: 1 },
  ...tool(2, 'a'),
  ...tool(3, 'b'),
  { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 9 } },
  { type: 'message_stop' },
];

describe('the contents of a streamed turn are one turn', () => {
  const { received } = streamed('anthropic', 'gemini', thoughtful);
  const results = ['a', 'b'].map((name) => ({
    role: 'user',
    parts: [{ functionResponse: { id: `toolu_${name}`, name, response: { output: name } } }],
  }));
  const contents = [user, ...kept(received), ...results];
  const sent = (to: Parameters<typeof translated>[1], model: string) =>
    translated('gemini', to, model, { contents }).body;

  test('which Claude gets back with its thought and its signature', () => {
    const { messages } = sent('anthropic', 'claude-sonnet-4-5') as { messages: Json[] };
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(messages[1]?.content).toEqual([
      { type: 'thinking', thinking: 'Both at once.', signature: 'Q2xhdWRl' },
      { type: 'text', text: 'I look.' },
      { type: 'tool_use', id: 'toolu_a', name: 'a', input: { x: 1 } },
      { type: 'tool_use', id: 'toolu_b', name: 'b', input: { x: 1 } },
    ]);
  });

  test('whose calls are followed by all of their results', () => {
    const { messages } = sent('openai', 'llama-4') as { messages: Json[] };
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'tool']);
    expect(messages[1]).toMatchObject({ content: 'I look.' });
    expect(messages[1]?.tool_calls).toHaveLength(2);
  });
});

const asked = { role: 'user', content: 'Hi' };

describe('turns that Gemini would refuse', () => {
  const call = (id: string) => ({ id, type: 'function', function: { name: id, arguments: '{}' } });
  const sent = (messages: readonly Json[]) =>
    (translated('openai', 'gemini', 'gemini-2.5-pro', { messages }).body.contents as Content[]).map(
      ({ role, parts }) => [role, ...parts.map((part) => Object.keys(part)[0])],
    );

  test('a turn that calls is one with the model’s turn before it', () => {
    expect(
      sent([
        asked,
        { role: 'assistant', content: 'I look.' },
        { role: 'assistant', tool_calls: [call('a'), call('b')] },
        { role: 'tool', tool_call_id: 'a', content: '1' },
        { role: 'system', content: 'Be quick.' },
        { role: 'tool', tool_call_id: 'b', content: '2' },
        asked,
        asked,
      ]),
    ).toEqual([
      ['user', 'text'],
      ['model', 'text', 'functionCall', 'functionCall'],
      ['user', 'functionResponse', 'functionResponse', 'text'],
      ['user', 'text'],
    ]);
  });

  test('a conversation that begins with a call begins with the user', () => {
    const cut = [
      { role: 'assistant', tool_calls: [call('a')] },
      { role: 'tool', tool_call_id: 'a', content: '1' },
    ];
    expect(sent(cut)).toEqual([
      ['user', 'text'],
      ['model', 'functionCall'],
      ['user', 'functionResponse'],
    ]);
  });
});

describe('Gemini’s newer models', () => {
  const last = (model: string) => {
    const messages = [asked, { role: 'assistant', content: 'One, ' }];
    const contents = translated('openai', 'gemini', model, { messages }).body.contents as Content[];
    return contents.at(-1)?.role;
  };
  const thinks = (model: string, reasoning_effort: string) =>
    (translated('openai', 'gemini', model, { reasoning_effort }).body.generationConfig as Json)
      .thinkingConfig;

  test.each(['gemini-3.5-flash-lite', 'gemini-3.6-flash', 'gemini-3.8-flash', 'gemini-flash-latest'])(
    '%s isn’t sent a conversation that ends with its own turn',
    (model) => expect(last(model)).toBe('user'),
  );

  test.each(['gemini-2.5-pro', 'gemini-3.1-pro-preview', 'gemini-3.5-flash'])('%s goes on with it', (model) =>
    expect(last(model)).toBe('model'),
  );

  test.each(['gemini-3.7-flash', 'gemini-3.8-flash', 'gemini-flash-latest'])(
    '%s knows no less than a low level of thinking',
    (model) => {
      expect(thinks(model, 'minimal')).toEqual({ includeThoughts: true, thinkingLevel: 'LOW' });
      expect(thinks(model, 'none')).toEqual({ includeThoughts: false, thinkingLevel: 'LOW' });
      expect(thinks(model, 'xhigh')).toEqual({ includeThoughts: true, thinkingLevel: 'HIGH' });
    },
  );

  test.each(['gemini-3.6-flash', 'gemini-3.8-flash-lite'])('%s knows a minimal one', (model) =>
    expect(thinks(model, 'none')).toEqual({ includeThoughts: false, thinkingLevel: 'MINIMAL' }),
  );
});

describe('calls of another model, sent back to Gemini in its own dialect', () => {
  const { received } = streamed('anthropic', 'gemini', thoughtful);
  const body = { contents: [user, ...kept(received)] };
  const passedTo = (signsCalls: boolean, given: Json) => {
    const order = { dialect: 'gemini', isClaude: false, inspectedAs: nativeEndpoint.Generate } as const;
    const { body: freed } = free(Buffer.from(JSON.stringify(given)), { ...order, signsCalls });
    const { contents } = (freed === null ? given : JSON.parse(freed.toString())) as { contents: Content[] };
    return contents.flatMap(({ parts }) => parts.filter(({ functionCall }) => functionCall !== undefined));
  };
  const calls = ['a', 'b'].map((name) => ({ functionCall: { id: `toolu_${name}`, name, args: { x: 1 } } }));

  test('Gemini 3 is told that they have no signature', () => {
    const thoughtSignature = 'skip_thought_signature_validator';
    expect(passedTo(true, body)).toEqual(calls.map((call) => ({ ...call, thoughtSignature })));
  });

  test('earlier ones get them without any, and other providers know of none', () => {
    expect(passedTo(false, body)).toEqual(calls);
    expect(JSON.stringify(translated('gemini', 'openai', 'llama-4', body))).not.toContain('signature');
  });

  test('Gemini’s own pass as they came, signed or not', () => {
    const own = [{ functionCall: { name: 'a', args: {} }, thoughtSignature: 'R2VtaW5p' }, ...calls];
    expect(passedTo(true, { contents: [user, { role: 'model', parts: own }] })).toEqual(own);
  });
});
