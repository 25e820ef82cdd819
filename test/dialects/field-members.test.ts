/** Members of requests and replies that were lost. The names are the numbers of the reports. */
import { describe, expect, test } from 'vitest';
import { type Json, streamed, translated, whole } from './field.ts';

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
