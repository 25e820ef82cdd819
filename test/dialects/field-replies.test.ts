/** Replies that were translated wrongly in the field. The names are the numbers of the reports. */
import { describe, expect, test } from 'vitest';
import { nativeReading } from '../../src/dialects/native-reading.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { clients, type Json, streamed, whole } from './field.ts';
import { streamBounds } from './fixtures.ts';

test.each(['openai', 'responses', 'gemini'] as const)('C4: no text of %s has `citations: null`', (from) => {
  const replies = {
    openai: { choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] },
    responses: {
      status: 'completed',
      output: [{ type: 'message', content: [{ type: 'output_text', text: 'Hi' }] }],
    },
    gemini: { candidates: [{ content: { parts: [{ text: 'Hi' }] }, finishReason: 'STOP' }] },
  };
  expect(whole(from, 'anthropic', replies[from])?.content).toEqual([{ type: 'text', text: 'Hi' }]);
});

const chunk = (delta: Json, finish_reason: string | null = null, more: Json = {}): Json => ({
  id: 'c1',
  model: 'm',
  choices: [{ index: 0, delta, finish_reason, ...more }],
});
const calling = (more: Json, called: Json): Json =>
  chunk({ tool_calls: [{ index: 0, ...more, function: called }] });
const cited = { type: 'url_citation', url_citation: { url: 'https://a.example/', title: 'A' } };

test.each([
  ['beside a call', [chunk({ content: 'Hi' }), calling({ id: 'c' }, { name: 'f', arguments: '{}' })], {}],
  ['before its text', [chunk({ annotations: [cited] }), chunk({ content: 'Hi' })], null],
  ['after its text', [chunk({ content: 'Hi' }), chunk({ reasoning_content: 'x' })], { annotations: [cited] }],
] as const)('a page that a stream cites %s is cited for every client', (_, events, last) => {
  const end = last === null ? [] : [chunk('annotations' in last ? last : { annotations: [cited] })];
  for (const to of others('openai')) {
    const text = JSON.stringify(streamed('openai', to, [...events, ...end, chunk({}, 'stop')]));
    expect([to, text.includes('https://a.example/')]).toEqual([to, true]);
  }
});

const message = (content: string | null, finish_reason: string, more: Json = {}): Json => ({
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason, ...more }],
});
const others = (from: DialectName) => clients.filter((name) => name !== from);

describe('an end that failed is a failure', () => {
  const failures: readonly (readonly [string, DialectName, Json])[] = [
    ['A7: Mistral’s error', 'openai', message('The answer is', 'error')],
    ['A7: vLLM’s abort', 'openai', message('The answer is', 'abort')],
    ['A7: DeepSeek’s lack of resources', 'openai', message('', 'insufficient_system_resource')],
    ['A9: OpenRouter’s error', 'openai', message(null, 'error', { error: { code: 502 } })],
    ['A9: an error beside a normal end', 'openai', message('Hm', 'stop', { error: { code: 502 } })],
    ['A8: an unknown end without content', 'openai', message('', 'x_reason')],
    ...['MALFORMED_FUNCTION_CALL', 'UNEXPECTED_TOOL_CALL', 'OTHER', 'NO_IMAGE', 'MALFORMED_RESPONSE'].map(
      (finishReason) =>
        [`A8: Gemini’s ${finishReason}`, 'gemini', { candidates: [{ content: {}, finishReason }] }] as const,
    ),
    ...['malformed_tool_use', 'malformed_model_output'].map(
      (stopReason) =>
        [
          `A8: Bedrock’s ${stopReason}`,
          'bedrock',
          { output: { message: { content: [{ text: 'Hm' }] } }, stopReason },
        ] as const,
    ),
    ['a failed Response', 'responses', { status: 'failed', output: [] }],
    [
      'Cohere’s error',
      'cohere',
      { message: { content: [{ type: 'text', text: 'Hm' }] }, finish_reason: 'ERROR' },
    ],
    ['an unknown end of Claude without content', 'anthropic', { content: [], stop_reason: 'x_reason' }],
  ];

  test.each(failures)('%s, whole, for every client', (_, from, body) => {
    for (const to of others(from)) expect(whole(from, to, body)).toBeNull();
  });

  test.each(failures.filter(([, from]) => from === 'openai' || from === 'gemini'))(
    '%s, on the same-dialect way',
    (_, from, body) => {
      if (JSON.stringify(body).includes('"stop"')) return;
      const facts = nativeReading(from as 'openai' | 'gemini', false).whole(
        Buffer.from(JSON.stringify(body)),
      );
      expect(facts === null || (facts !== 'unfinished' && facts.facts.error)).toBe(true);
    },
  );

  const streams: readonly (readonly [string, DialectName, Json[]])[] = [
    ['A7', 'openai', [chunk({ content: 'The' }), chunk({}, 'error')]],
    ['A9', 'openai', [chunk({ content: '' }), chunk({ content: '' }, 'error', { error: { code: 502 } })]],
    ['A8', 'gemini', [{ candidates: [{ content: {}, finishReason: 'MALFORMED_FUNCTION_CALL' }] }]],
    ['A8', 'gemini', [{ candidates: [{ content: {}, finishReason: 'OTHER' }] }]],
  ];

  test.each(streams)('%s: streams of %s, translated and not', (_, from, events) => {
    for (const to of others(from)) {
      const { text, facts } = streamed(from, to, events);
      expect(facts.broken).not.toBeNull();
      expect(text).not.toMatch(/end_turn|response\.completed|"finish_reason":"stop"|"STOP"/);
    }
    const scanner = nativeReading(from as 'openai' | 'gemini', false).stream(streamBounds);
    scanner.push(Buffer.from(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')));
    expect(scanner.broken).not.toBeNull();
  });

  test('A7: a cut answer is told as one', () => {
    const body = message('The answer is', 'model_length');
    expect(whole('openai', 'anthropic', body)?.stop_reason).toBe('max_tokens');
    expect(whole('openai', 'responses', body)?.status).toBe('incomplete');
    const read = nativeReading('openai', false).whole(Buffer.from(JSON.stringify(body)));
    expect(read).toMatchObject({ facts: { finish: 'length', error: false } });
  });
});

describe('streamed calls', () => {
  const bare = [
    { type: 'message_start', message: { id: 'm', model: 'm' } },
    {
      type: 'content_block_start',
      index: 0,
      content_block: { type: 'tool_use', id: 't1', name: 'f', input: {} },
    },
    { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: '' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'tool_use' } },
    { type: 'message_stop' },
  ];

  test('A5: a call without arguments has those of an empty object, streamed', () => {
    const chat = streamed('anthropic', 'openai', bare).received.flatMap(({ choices }) =>
      (choices as { delta: { tool_calls?: { function: { arguments: string } }[] } }[]).flatMap(
        ({ delta }) => delta.tool_calls ?? [],
      ),
    );
    expect(chat.map((call) => call.function.arguments).join('')).toBe('{}');
    const { received } = streamed('anthropic', 'responses', bare);
    expect(received.find(({ type }) => type === 'response.function_call_arguments.done')).toMatchObject({
      arguments: '{}',
    });
    expect((received.at(-1)?.response as Json | undefined)?.output).toMatchObject([{ arguments: '{}' }]);
  });

  test('A5: whole too, whatever the provider says', () => {
    const called = { id: 'c1', type: 'function', function: { name: 'f', arguments: '' } };
    const body = {
      choices: [{ message: { content: null, tool_calls: [called] }, finish_reason: 'tool_calls' }],
    };
    expect(whole('openai', 'responses', body)?.output).toMatchObject([{ arguments: '{}' }]);
  });

  test.each([[{ arguments: '' }], [{ name: '', arguments: '' }]])(
    'A6: a name after the id (%j first)',
    (first) => {
      const events = [
        calling({ id: 'call_123', type: 'function' }, first),
        calling({}, { name: 'bash' }),
        calling({}, { arguments: '{"a":1}' }),
        chunk({}, 'tool_calls'),
      ];
      const { received, facts } = streamed('openai', 'anthropic', events);
      expect(facts.broken).toBeNull();
      expect(received.find(({ type }) => type === 'content_block_start')?.content_block).toMatchObject({
        id: 'call_123',
        name: 'bash',
      });
      expect(JSON.stringify(received)).toContain(JSON.stringify('{"a":1}'));
    },
  );

  test('A6: a call that never gets a name is no answer', () => {
    const events = [calling({ id: 'call_1' }, { arguments: '{}' }), chunk({}, 'tool_calls')];
    expect(streamed('openai', 'anthropic', events).facts.broken).not.toBeNull();
  });
});
