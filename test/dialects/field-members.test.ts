/** Members of requests and replies that were lost. The names are the numbers of the reports. */
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { dialects } from '../../src/dialects/index.ts';
import type { ChatClient } from '../../src/dialects/sides.ts';
import { readRequest } from '../../src/dialects/translate.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { type Json, streamed, translated, whole } from './field.ts';

/** The chat API of a dialect's clients. */
function clientOf(name: DialectName): ChatClient {
  const { chatClient } = dialects[name];
  if (chatClient === null) throw new Error(`${name} has no clients`);
  return chatClient;
}

describe('A24: whether thinking is shown', () => {
  const opus = 'claude-opus-4-7';
  const thinkingOf = (to: 'anthropic' | 'bedrock', body: Json): unknown =>
    to === 'anthropic' ? body.thinking : (body.additionalModelRequestFields as Json).thinking;

  test.each(['summarized', 'omitted'])('A24: %s is carried between Claudes', (display) => {
    const { body, dropped } = translated('anthropic', 'bedrock', `us.anthropic.${opus}-v1:0`, {
      thinking: { type: 'adaptive', display },
    });
    expect(thinkingOf('bedrock', body)).toEqual({ type: 'adaptive', display });
    expect(dropped).toEqual([]);
  });

  test('A24: unsaid it stays', () => {
    const { body } = translated('anthropic', 'bedrock', opus, { thinking: { type: 'adaptive' } });
    expect(thinkingOf('bedrock', body)).toEqual({ type: 'adaptive' });
  });

  const asked = {
    openai: { reasoning_effort: 'medium' },
    responses: { reasoning: { effort: 'medium' } },
    gemini: { generationConfig: { thinkingConfig: { thinkingLevel: 'MEDIUM', includeThoughts: true } } },
  };
  test.each(['openai', 'responses', 'gemini'] as const)('A24: %s shows it, so it is asked for', (from) => {
    for (const to of ['anthropic', 'bedrock'] as const) {
      const { body } = translated(from, to, opus, asked[from]);
      expect(thinkingOf(to, body)).toEqual({ type: 'adaptive', display: 'summarized' });
      const earlier = translated(from, to, 'claude-opus-4-6', asked[from]);
      expect(thinkingOf(to, earlier.body)).toEqual({ type: 'adaptive' });
    }
  });

  test('A24: omitted is no thoughts for Gemini', () => {
    const { body } = translated('anthropic', 'gemini', 'gemini-3-flash', {
      thinking: { type: 'adaptive', display: 'omitted' },
    });
    expect(body.generationConfig).toEqual({
      maxOutputTokens: 9000,
      thinkingConfig: { includeThoughts: false },
    });
  });
});

describe('A: inner members of requests', () => {
  const cache_control = { type: 'ephemeral' };

  test('A: a breakpoint of a message is one of its last part, of a function one of the tool', () => {
    const content = [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ];
    const { body, dropped } = translated('openai', 'anthropic', 'claude-sonnet-5', {
      messages: [{ role: 'user', content, cache_control }],
      tools: [{ type: 'function', function: { name: 'f', cache_control } }],
    });
    expect((body.messages as Json[])[0]?.content).toEqual([
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b', cache_control },
    ]);
    expect(body.tools).toMatchObject([{ cache_control }]);
    expect(dropped).toEqual([]);
  });

  test('A: what no other dialect has is named', () => {
    const said = { role: 'user', content: 'a', weight: 1 };
    const tools = [{ type: 'function', function: { name: 'f', examples: ['x'] } }];
    expect(translated('openai', 'anthropic', 'claude-sonnet-5', { messages: [said], tools }).dropped).toEqual(
      ['messages[0].weight', 'tools[0].function.examples'],
    );
    const marked = { role: 'user', content: 'a', cache_control };
    expect(translated('anthropic', 'openai', 'gpt-4o', { messages: [marked] }).dropped).toEqual([
      'messages[0].cache_control',
    ]);
  });
});

describe('A: Gemini’s signature of a text', () => {
  const parts = [{ text: 'Hello' }, { text: '', thoughtSignature: 'c2ln' }];
  const call = { functionCall: { name: 'f', args: {} } };
  const reply = (...more: Json[]) => ({
    candidates: [{ content: { parts: [...parts, ...more] }, finishReason: 'STOP' }],
  });
  const typesOf = (content: unknown) => (content as Json[]).map(({ type }) => type);
  const begun = (received: readonly Json[]) =>
    typesOf(received.flatMap(({ content_block }) => (content_block === undefined ? [] : [content_block])));

  test('A: does not stand last, where agents look for the answer', () => {
    expect(typesOf(whole('gemini', 'anthropic', reply())?.content)).toEqual(['text']);
    expect(begun(streamed('gemini', 'anthropic', [reply()]).received)).toEqual(['text']);
  });

  test('A: stands before what follows', () => {
    const types = ['text', 'redacted_thinking', 'tool_use'];
    expect(typesOf(whole('gemini', 'anthropic', reply(call))?.content)).toEqual(types);
    expect(begun(streamed('gemini', 'anthropic', [reply(call)]).received)).toEqual(types);
  });
});

describe('usage', () => {
  const usage = {
    input_tokens: 1,
    output_tokens: 1,
    cache_creation_input_tokens: 100_000,
    cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 100_000 },
  };
  const content = [{ type: 'text', text: 'Hi' }];

  test('A21: what was cached for an hour is told apart, whole and streamed', () => {
    const body = { content, stop_reason: 'end_turn', usage };
    const events = [
      { type: 'message_start', message: { id: 'm', model: 'm', usage } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'Hi' } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 9 } },
      { type: 'message_stop' },
    ];
    const { facts } = streamed('anthropic', 'openai', events);
    expect(facts).toMatchObject({ cacheWriteTokens: 100_000, pricing: { cacheWriteHourTokens: 100_000 } });
    expect(whole('anthropic', 'openai', body)?.usage).toMatchObject({ prompt_tokens: 100_001 });
  });

  test('A42: a smaller count later is none', () => {
    const events = [
      {
        type: 'message_start',
        message: { id: 'm', usage: { input_tokens: 15, cache_read_input_tokens: 100 } },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'Hi' } },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn' },
        usage: { input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 9 },
      },
      { type: 'message_stop' },
    ];
    expect(streamed('anthropic', 'openai', events).facts).toMatchObject({
      inputTokens: 115,
      outputTokens: 9,
    });
  });
});

describe('C7: what both of OpenAI’s dialects have', () => {
  const shared = { prompt_cache_key: 'k', prompt_cache_retention: '24h', service_tier: 'flex', store: true };
  const chat = { ...shared, verbosity: 'low', metadata: { a: 'b' } };
  const response = { ...shared, text: { verbosity: 'low' }, metadata: { a: 'b' } };

  test('C7: is carried between them', () => {
    const across = translated('openai', 'responses', 'gpt-5.2', chat);
    expect(across.body).toMatchObject(response);
    expect(across.dropped).toEqual([]);
    const back = translated('responses', 'openai', 'gpt-5.2', response);
    expect(back.body).toMatchObject(chat);
    expect(back.dropped).toEqual([]);
  });

  test('C7: an Azure deployment takes it, too', () => {
    const { body } = translated('responses', 'openai', 'mine', response, {
      quirks: { completionTokens: true },
    });
    expect(body).toMatchObject({ prompt_cache_key: 'k', verbosity: 'low' });
  });

  test.each(['anthropic', 'gemini', 'bedrock', 'cohere', 'openai'] as const)(
    'C7: is named before %s',
    (to) => {
      const { body, dropped, unsupported } = translated('responses', to, 'some-model', response);
      expect(unsupported).toBeNull();
      expect(dropped).toEqual(expect.arrayContaining([...Object.keys(shared), 'text.verbosity']));
      expect(JSON.stringify(body)).not.toMatch(/verbosity|flex|24h/);
    },
  );

  test('C7: metadata goes only with what is stored, which alone takes it', () => {
    const { body, dropped } = translated('responses', 'openai', 'gpt-5.2', { metadata: { a: 'b' } });
    expect(body).not.toHaveProperty('metadata');
    expect(dropped).toEqual(['metadata']);
  });
});

describe('C11: a response says its request again', () => {
  const asked = {
    instructions: 'Be brief.',
    metadata: { a: 'b' },
    temperature: 0.5,
    tools: [{ type: 'function', name: 'f' }],
    text: { format: { type: 'json_object' } },
  };
  const read = readRequest(
    clientOf('responses'),
    { body: Buffer.from(JSON.stringify({ model: 'm', input: 'Hi', ...asked })), stream: false },
    false,
  );
  const echo = read instanceof Refusal ? undefined : read.echo;
  const told = {
    ...asked,
    tools: [{ type: 'function', name: 'f', description: null, parameters: null, strict: false }],
    text: { format: { type: 'json_object' }, verbosity: 'medium' },
    truncation: 'disabled',
    top_p: 1,
  };

  test('C11: whole and streamed', () => {
    const body = { choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] };
    expect(whole('openai', 'responses', body, { echo })).toMatchObject(told);
    const events = [{ choices: [{ index: 0, delta: { content: 'Hi' }, finish_reason: 'stop' }] }];
    const { received } = streamed('openai', 'responses', events, { echo });
    expect(received[0]?.response).toMatchObject(told);
    expect(received.at(-1)?.response).toMatchObject(told);
  });

  test('C11: Messages have all that their schema demands', () => {
    const body = { choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] };
    expect(whole('openai', 'anthropic', body)).toMatchObject({
      stop_details: null,
      container: null,
      usage: {
        service_tier: 'standard',
        server_tool_use: null,
        cache_creation: { ephemeral_1h_input_tokens: 0 },
      },
    });
  });
});
