/** Unusual replies that providers were seen to send, in addition to the fixtures: nothing of them may be lost. */
import { describe, expect, test } from 'vitest';
import { createNotes } from '../../src/dialects/chat.ts';
import { readError } from '../../src/dialects/error-text.ts';
import { dialects } from '../../src/dialects/index.ts';
import { translatedReading } from '../../src/dialects/read-reply.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { context, deliverStream, destinationFor } from './fixtures.ts';

type Json = Record<string, unknown>;

function readingOf(from: DialectName, to: DialectName) {
  const { chatProvider } = dialects[from];
  const { chatClient } = dialects[to];
  if (chatProvider === null || chatClient === null) throw new Error('no chat');
  return translatedReading(chatProvider, chatClient, context);
}

/** The client's events for a provider's stream. */
function streamed(from: DialectName, to: DialectName, events: readonly Json[]): Json[] {
  const end = from === 'openai' ? 'data: [DONE]\n\n' : '';
  const name = (event: Json) => (typeof event.type === 'string' ? `event: ${event.type}\n` : '');
  const wire = events.map((event) => `${name(event)}data: ${JSON.stringify(event)}\n\n`).join('') + end;
  const { text, facts } = deliverStream(readingOf(from, to), [Buffer.from(wire)]);
  expect(facts).toMatchObject({ broken: null, ended: true });
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)));
}

const whole = (from: DialectName, to: DialectName, body: Json): { reply: Json; facts: unknown } => {
  const read = readingOf(from, to).whole(Buffer.from(JSON.stringify(body)));
  if (read === 'unfinished') throw new Error('a whole reply is finished');
  return { reply: JSON.parse(read?.body.toString() ?? 'null'), facts: read?.facts };
};

const chunk = (delta: Json, finish_reason: string | null = null): Json => ({
  id: 'c1',
  model: 'm',
  choices: [{ index: 0, delta, finish_reason }],
});
const piece = (index: number, text: string, name?: string): Json =>
  chunk({
    tool_calls: [
      {
        index,
        ...(name === undefined ? {} : { id: `call_${name}`, type: 'function' }),
        function: { arguments: text, ...(name === undefined ? {} : { name }) },
      },
    ],
  });

describe('deltas of parallel calls that alternate', () => {
  const events = [
    piece(0, '{"a":', 'one'),
    piece(1, '{"b":', 'two'),
    chunk({ content: 'Calling.' }),
    piece(0, '1}'),
    piece(1, '2}'),
    chunk({}, 'tool_calls'),
  ];

  test('become consecutive blocks for Anthropic’s clients', () => {
    const received = streamed('openai', 'anthropic', events);
    const blocks = received.filter(({ type }) => String(type).startsWith('content_block'));
    expect(blocks.map(({ type, index }) => `${String(type).slice(14)} ${index}`)).toEqual([
      'start 0',
      'delta 0',
      'delta 0',
      'stop 0',
      'start 1',
      'delta 1',
      'delta 1',
      'stop 1',
      'start 2',
      'delta 2',
      'stop 2',
    ]);
    const text = (index: number) =>
      blocks
        .filter((block) => block.index === index)
        .map(
          ({ delta }) => (delta as Json | undefined)?.partial_json ?? (delta as Json | undefined)?.text ?? '',
        )
        .join('');
    expect([text(0), text(1), text(2)]).toEqual(['{"a":1}', '{"b":2}', 'Calling.']);
  });

  test('keep their numbers for other clients', () => {
    const gemini = streamed('openai', 'gemini', events);
    expect(JSON.stringify(gemini)).toContain('"name":"one","args":{"a":1}');
    expect(JSON.stringify(gemini)).toContain('"name":"two","args":{"b":2}');
    const responses = streamed('openai', 'responses', events).at(-1)?.response as { output: Json[] };
    expect(responses.output).toMatchObject([
      { name: 'one', arguments: '{"a":1}' },
      { name: 'two', arguments: '{"b":2}' },
      { type: 'message' },
    ]);
  });

  test('consecutive calls end one by one', () => {
    const received = streamed('openai', 'anthropic', [
      piece(0, '{}', 'one'),
      piece(1, '{}', 'two'),
      chunk({}, 'tool_calls'),
    ]);
    const types = received.map(({ type, index }) => `${type} ${index ?? ''}`.trim());
    expect(types.indexOf('content_block_stop 0')).toBeLessThan(types.indexOf('content_block_start 1'));
  });
});

describe('calls that all have the number 0 and no id', () => {
  const call = (id: string | undefined, name: string, text: string): Json =>
    chunk({ tool_calls: [{ index: 0, id, type: 'function', function: { name, arguments: text } }] });
  const callsIn = (events: readonly Json[]): Json[] => {
    const received = streamed('openai', 'responses', [...events, chunk({}, 'tool_calls')]);
    const response = received.at(-1)?.response as { output: Json[] };
    return response.output;
  };

  test.each([undefined, ''])('are told apart (id %j)', (id) => {
    const output = callsIn([
      call(id, 'one', '{"a":1}'),
      call(id, 'one', '{"a":2}'),
      chunk({ content: '' }),
      call(id, 'two', '{}'),
    ]);
    expect(output).toMatchObject([
      { name: 'one', arguments: '{"a":1}' },
      { name: 'one', arguments: '{"a":2}' },
      { name: 'two', arguments: '{}' },
    ]);
    expect(new Set(output.map(({ call_id }) => call_id)).size).toBe(3);
  });

  test('one whose name is said with every piece stays one', () => {
    const pieces = ['{"a":{', '}', '}', '', ' \n'];
    const output = callsIn(pieces.map((text) => call(undefined, 'one', text)));
    expect(output).toMatchObject([{ name: 'one', arguments: pieces.join('') }]);
  });
});

test('calls without an id get different ones', () => {
  const call = { index: 0, type: 'function', function: { name: 'f', arguments: '{}' } };
  const message = { role: 'assistant', content: null, tool_calls: [call, call] };
  const { reply } = whole('openai', 'anthropic', { id: 'c1', choices: [{ message }] });
  const [one, two] = reply.content as Json[];
  expect(one?.id).toMatch(/^call_/);
  expect(two?.id).not.toBe(one?.id);
});

describe('reasoning', () => {
  test('inside the content, as in Mistral’s replies', () => {
    const content = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] },
      { type: 'text', text: 'Yes.' },
    ];
    const { reply } = whole('openai', 'anthropic', { choices: [{ message: { content } }] });
    expect(reply.content).toMatchObject([{ thinking: 'Hm.' }, { text: 'Yes.' }]);
    const received = streamed('openai', 'anthropic', [chunk({ content }), chunk({}, 'stop')]);
    expect(JSON.stringify(received)).toContain('"thinking":"Hm."');
  });

  test('summaries together with encrypted reasoning', () => {
    const reasoning_details = [
      { type: 'reasoning.summary', summary: 'In short.' },
      { type: 'reasoning.encrypted', data: 'abc' },
    ];
    const { reply } = whole('openai', 'anthropic', {
      choices: [{ message: { content: 'Yes.', reasoning_details } }],
    });
    expect(reply.content).toMatchObject([{ thinking: 'In short.' }, { type: 'redacted_thinking' }, {}]);
  });

  test('parts of a summary are separated', () => {
    const delta = (summary_index: number, text: string) => ({
      type: 'response.reasoning_summary_text.delta',
      output_index: 0,
      summary_index,
      delta: text,
    });
    const received = streamed('responses', 'openai', [
      delta(0, 'One'),
      delta(0, '.'),
      delta(1, 'Two.'),
      { type: 'response.completed', response: { status: 'completed', output: [] } },
    ]);
    const text = received.map(
      ({ choices }) => (choices as { delta?: Json }[])[0]?.delta?.reasoning_content ?? '',
    );
    expect(text.join('')).toBe('One.\n\nTwo.');
  });
});

test('a Responses item without deltas is not lost', () => {
  const items = [
    {
      type: 'reasoning',
      id: 'rs_1',
      summary: [{ type: 'summary_text', text: 'Hm.' }],
      encrypted_content: 'x',
    },
    { type: 'message', content: [{ type: 'output_text', text: 'Yes.' }] },
    { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{"a":1}' },
  ];
  const received = streamed('responses', 'anthropic', [
    ...items.map((item, output_index) => ({ type: 'response.output_item.done', output_index, item })),
    { type: 'response.completed', response: { status: 'completed', output: items } },
  ]);
  const text = JSON.stringify(received);
  expect(text).toContain('"thinking":"Hm."');
  expect(text).toContain('"signature":"responses~rs_1 x"');
  expect(text).toContain('"text":"Yes."');
  expect(text).toContain('"partial_json":"{\\"a\\":1}"');
  expect(text).toContain('"stop_reason":"tool_use"');
});

test('Gemini’s text after a finish reason is not lost', () => {
  const part = (text: string) => ({
    candidates: [{ content: { parts: [{ text }], role: 'model' }, finishReason: 'STOP', index: 0 }],
  });
  const parts = [part('One'), part(' two')].map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
  for (const to of ['openai', 'anthropic'] as const) {
    const { text } = deliverStream(readingOf('gemini', to), [Buffer.from(parts)]);
    expect(text).toContain('One');
    expect(text).toContain(' two');
  }
});

test('a Responses client carries Gemini’s signatures of calls, whole and streamed', () => {
  const functionCall = { name: 'f', args: {} };
  const parts = [{ functionCall, thoughtSignature: 'c2ln' }];
  const body = { candidates: [{ content: { parts, role: 'model' }, finishReason: 'STOP', index: 0 }] };
  const { output } = whole('gemini', 'responses', body).reply as { output: Json[] };
  const wire = Buffer.from(`data: ${JSON.stringify(body)}\n\n`);
  const { text } = deliverStream(readingOf('gemini', 'responses'), [wire]);
  const last = JSON.parse(text.trim().split('\n').at(-1)?.slice(6) ?? '') as { response: { output: Json[] } };
  for (const items of [output, last.response.output]) {
    const input = [
      { role: 'user', content: 'Hi' },
      ...items,
      { type: 'function_call_output', call_id: items.at(-1)?.call_id, output: 'seen' },
    ];
    const notes = createNotes();
    const request = dialects.responses.chatClient?.readRequest({ input }, notes);
    if (request === undefined) throw new Error('no request');
    const to = destinationFor('gemini-3-flash');
    const call = dialects.gemini.chatProvider?.writeRequest(request, to, notes);
    expect(call?.body.contents).toMatchObject([{}, { role: 'model', parts }, {}]);
  }
});

describe('usage', () => {
  const facts = (usage: Json) =>
    whole('openai', 'anthropic', { choices: [{ message: { content: 'Hi' } }], usage }).facts;

  test('reasoning counted separately from the completion is part of the reply (xAI)', () => {
    const usage = { prompt_tokens: 32, completion_tokens: 9, total_tokens: 135 };
    const completion_tokens_details = { reasoning_tokens: 94 };
    expect(facts({ ...usage, completion_tokens_details })).toMatchObject({ outputTokens: 103 });
    expect(facts({ ...usage, total_tokens: 41, completion_tokens_details })).toMatchObject({
      outputTokens: 9,
    });
  });

  test('cached tokens one level higher count (Moonshot), and never make the others negative', () => {
    const usage = { prompt_tokens: 5, completion_tokens: 1, cached_tokens: 7 };
    expect(facts(usage)).toMatchObject({ inputTokens: 5, cachedInputTokens: 7 });
    const { reply } = whole('openai', 'anthropic', { choices: [{ message: { content: 'Hi' } }], usage });
    expect(reply.usage).toMatchObject({ input_tokens: 0, cache_read_input_tokens: 7 });
  });
});

test.each([
  [{ detail: [{ loc: ['body', 'n'], msg: 'too many' }] }, 'too many'],
  [{ object: 'error', message: { detail: [{ msg: 'extra inputs' }] } }, 'extra inputs'],
])('an error that is a list of invalid fields is read: %j', (body, words) => {
  expect(readError(422, Buffer.from(JSON.stringify(body))).message).toContain(words);
});
