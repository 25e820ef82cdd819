/** Work grows linearly with a stream's length: every shape of stream, read from every provider and written for every client. */
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import type { Block, ChatEvent, WireEvent } from '../../src/dialects/chat-reply.ts';
import { dialects } from '../../src/dialects/index.ts';
import { createObjectEnd } from '../../src/dialects/object-end.ts';
import { growth } from './growth.ts';

const many = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
const longPiece = 'x'.repeat(40);
const text: Block = { kind: 'text' };
const reasoning: Block = { kind: 'reasoning' };
const call = (i: number): Block => ({ kind: 'tool_call', id: `c${i}`, name: 'f', signature: null });
const begin = (index: number, block: Block): ChatEvent => ({ kind: 'begin', index, block });
const delta = (index: number, piece = 'x'): ChatEvent => ({ kind: 'delta', index, text: piece });
const end = (index: number): ChatEvent => ({ kind: 'end', index });

/** An event counts as this many bytes: a shorter one takes as much work. */
const eventBytes = 16;
const measured = <T>(events: readonly T[]) => ({ events, length: events.length * eventBytes });

/** Streams in neutral form, without their beginning and end. */
const written: Readonly<Record<string, (n: number) => ChatEvent[]>> = {
  'one long text': (n) => [begin(0, text), ...many(n, () => delta(0)), end(0)],
  'one long call': (n) => [begin(0, call(0)), ...many(n, () => delta(0)), end(0)],
  'one long call of a tool with text': (n) => [
    begin(0, { kind: 'tool_call', id: 'c', name: 'custom', signature: null }),
    delta(0, '{"input":"'),
    ...many(n, () => delta(0, longPiece)),
    end(0),
  ],
  'long reasoning, signed': (n) => [
    begin(0, reasoning),
    ...many(n, () => delta(0)),
    ...many(n, (): ChatEvent => ({ kind: 'signature', index: 0, signature: { by: 'openai', value: 'AA' } })),
    end(0),
  ],
  blocks: (n) => many(n, (i) => [begin(i, i % 2 ? text : reasoning), delta(i), end(i)]).flat(),
  'blocks that are never ended': (n) => many(n, (i) => [begin(i, call(i)), delta(i, '{}')]).flat(),
  'blocks that end in order, all at once': (n) => [
    ...many(n, (i) => begin(i, call(i))),
    ...many(n, (i) => delta(i, '{}')),
    ...many(n, end),
  ],
  'blocks that end backwards': (n) => [
    ...many(n, (i) => begin(i, call(i))),
    ...many(n, (i) => delta(i, '{}')),
    ...many(n, (i) => end(n - 1 - i)),
  ],
};

const clients = Object.values(dialects).flatMap(({ name, chatClient }) =>
  chatClient === null ? [] : [{ name, chatClient }],
);
const context = {
  model: 'm',
  requestId: 'r',
  createdS: 1,
  wantsUsage: true,
  origins: new Map([['custom', { name: 'custom', namespace: null, custom: true }]]),
};

describe.each(Object.entries(written))('%s', (_, events) => {
  test.each(clients)('written for $name', ({ chatClient }) => {
    const perByte = growth(
      (n) =>
        measured<ChatEvent>([
          { kind: 'start', id: 'i', model: 'm' },
          ...events(n),
          { kind: 'finish', reason: 'stop', stopSequence: null },
          { kind: 'stop' },
        ]),
      ({ events: stream }) => {
        const writer = chatClient.createWriter(context);
        return stream.reduce((sum, event) => sum + writer.write(event).length, 0);
      },
    );
    expect(perByte).toBeLessThan(6);
  });
});

const chunk = (change: Json, reason: string | null = null): WireEvent => ({
  event: '',
  data: { id: 'i', model: 'm', choices: [{ index: 0, delta: change, finish_reason: reason }] },
});
const called = (index: number, args: string, name?: string): Json => ({
  tool_calls: [
    { index, ...(name === undefined ? {} : { id: `c${index}` }), function: { name, arguments: args } },
  ],
});
const named = (type: string, more: Json): WireEvent => ({ event: type, data: { type, ...more } });

/** Streams as providers send them. */
const read: readonly (readonly [name: string, dialect: keyof typeof dialects, (n: number) => WireEvent[]])[] =
  [
    [
      'a long call between texts and thoughts',
      'openai',
      (n) => [
        chunk(called(0, `{"a":"${longPiece.repeat(n)}`, 'f')),
        ...many(n, (i) => chunk(i % 2 ? { content: 'x' } : { reasoning_content: 'x' })),
      ],
    ],
    [
      'a call that grows between texts and thoughts',
      'openai',
      (n) => [
        chunk(called(0, '{"a":"', 'f')),
        ...many(n, (i) => [
          chunk(i % 2 ? { content: 'x' } : { reasoning_content: 'x' }),
          chunk(called(0, longPiece)),
        ]).flat(),
      ],
    ],
    [
      'brackets that balance',
      'openai',
      (n) => [
        chunk(called(0, '', 'f')),
        ...many(n, (i) => [
          chunk(called(0, '{}')),
          chunk(i % 2 ? { content: 'x' } : { reasoning_content: 'x' }),
        ]).flat(),
      ],
    ],
    [
      'calls without names, and many ends',
      'openai',
      (n) => [...many(n, (i) => chunk(called(i, '{}'))), ...many(n, () => chunk({}, 'stop'))],
    ],
    [
      'signed thoughts',
      'openai',
      (n) =>
        many(n, () =>
          chunk({ reasoning_details: [{ type: 'reasoning.text', text: 'x', signature: 'anthropic~AA' }] }),
        ),
    ],
    [
      'blocks',
      'anthropic',
      (n) => [
        ...many(n, (i) =>
          named('content_block_start', { index: i, content_block: { type: 'tool_use', id: 'c', name: 'f' } }),
        ),
        ...many(n, (i) => named('content_block_stop', { index: i })),
      ],
    ],
    [
      'items',
      'responses',
      (n) => [
        ...many(n, (i) =>
          named('response.output_item.added', {
            output_index: i,
            item: { type: 'function_call', call_id: 'c', name: 'f' },
          }),
        ),
        ...many(n, (i) =>
          named('response.output_item.done', {
            output_index: i,
            item: { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
          }),
        ),
      ],
    ],
    [
      'parts of one message',
      'responses',
      (n) =>
        many(n, (i) =>
          named('response.output_text.delta', { output_index: 0, content_index: i, delta: 'x' }),
        ),
    ],
    [
      'calls',
      'gemini',
      (n) =>
        many(n, () => ({
          event: '',
          data: { candidates: [{ content: { parts: [{ functionCall: { name: 'f', args: {} } }] } }] },
        })),
    ],
    [
      'blocks',
      'bedrock',
      (n) =>
        many(n, (i) => ({
          event: 'contentBlockDelta',
          data: { contentBlockIndex: i, delta: { reasoningContent: { text: 'x', signature: 'x' } } },
        })),
    ],
    [
      'calls',
      'cohere',
      (n) =>
        many(n, (i) =>
          named('tool-call-start', {
            index: i,
            delta: { message: { tool_calls: { id: 'c', function: { name: 'f', arguments: '{}' } } } },
          }),
        ),
    ],
  ];

test.each(read)('%s, read from %s', (_, dialect, events) => {
  const provider = dialects[dialect].chatProvider;
  const perByte = growth(
    (n) => measured(events(n)),
    ({ events: stream }) => {
      const reader = provider?.createReader();
      return stream.reduce((sum, event) => sum + (reader?.read(event).length ?? 0), 0);
    },
  );
  expect(perByte).toBeLessThan(6);
});

test.each([
  [['{"a":', '1}'], true],
  [['{"a":"}', '"}', '\n '], true],
  [['{"a":"\\"}', '"}'], true],
  [['{"a":[{}', ']}'], true],
  [['{}'], true],
  [['{}', '{}'], false],
  [['{} x'], false],
  [['[', ']'], false],
  [['{a}'], false],
  [['{"a":1'], false],
  [['"a"'], false],
  [[''], false],
])('whether a call’s arguments are whole: %j', (pieces, whole) => {
  const arguments_ = createObjectEnd();
  for (const piece of pieces) arguments_.push(piece);
  expect([arguments_.isObject(), arguments_.isObject()]).toEqual([whole, whole]);
});
