/** Work grows linearly with a whole reply's length: every shape of reply, read from its provider and written for every client. */
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import { embedReading } from '../../src/dialects/embeddings.ts';
import { dialects } from '../../src/dialects/index.ts';
import { translatedReading } from '../../src/dialects/read-reply.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { growth } from './growth.ts';

const many = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));

const ofOpenai = (message: Json): Json => ({
  id: 'i',
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi', ...message }, finish_reason: 'stop' }],
});
const ofAnthropic = (content: unknown[]): Json => ({
  type: 'message',
  id: 'i',
  role: 'assistant',
  model: 'm',
  content: [{ type: 'text', text: 'Hi' }, ...content],
  stop_reason: 'end_turn',
  usage: { input_tokens: 1, output_tokens: 1 },
});
const ofGemini = (parts: unknown[], more: Json = {}): Json => ({
  candidates: [
    { content: { role: 'model', parts: [{ text: 'Hi' }, ...parts] }, finishReason: 'STOP', ...more },
  ],
});
const ofResponses = (output: unknown[]): Json => ({
  id: 'r',
  object: 'response',
  status: 'completed',
  model: 'm',
  output: [
    { type: 'message', id: 'm', role: 'assistant', content: [{ type: 'output_text', text: 'Hi' }] },
    ...output,
  ],
});
const ofBedrock = (content: unknown[]): Json => ({
  output: { message: { role: 'assistant', content: [{ text: 'Hi' }, ...content] } },
  stopReason: 'end_turn',
  usage: { inputTokens: 1, outputTokens: 1 },
});
const ofCohere = (message: Json): Json => ({
  id: 'i',
  finish_reason: 'COMPLETE',
  message: { role: 'assistant', content: [{ type: 'text', text: 'Hi' }], ...message },
});

const call = (i: number): Json => ({
  id: `c${i}`,
  type: 'function',
  function: { name: 'f', arguments: '{"a":1}' },
});
const citation = (i: number): Json => ({
  type: 'url_citation',
  url_citation: { url: `https://a.test/${i}`, title: 'a', start_index: 0, end_index: 2 },
});

const shapes: readonly (readonly [name: string, provider: DialectName, body: (n: number) => Json])[] = [
  ['a long text', 'openai', (n) => ofOpenai({ content: 'word '.repeat(n * 4) })],
  ['calls', 'openai', (n) => ofOpenai({ tool_calls: many(n, call) })],
  ['calls of one id', 'openai', (n) => ofOpenai({ tool_calls: many(n, () => call(0)) })],
  ['citations', 'openai', (n) => ofOpenai({ annotations: many(n, citation) })],
  ['unknown members', 'openai', (n) => ofOpenai(Object.fromEntries(many(n, (i) => [`k${i}`, 1] as const)))],
  ['parts', 'openai', (n) => ofOpenai({ content: many(n, () => ({ type: 'text', text: 'x' })) })],
  [
    'reasoning details',
    'openai',
    (n) => ofOpenai({ reasoning_details: many(n, () => ({ type: 'reasoning.text', text: 'x' })) }),
  ],
  ['blocks', 'anthropic', (n) => ofAnthropic(many(n, () => ({ type: 'text', text: 'x' })))],
  [
    'calls',
    'anthropic',
    (n) => ofAnthropic(many(n, (i) => ({ type: 'tool_use', id: `c${i}`, name: 'f', input: { a: 1 } }))),
  ],
  [
    'thoughts',
    'anthropic',
    (n) => ofAnthropic(many(n, () => ({ type: 'thinking', thinking: 'x', signature: 'AA' }))),
  ],
  [
    'citations',
    'anthropic',
    (n) =>
      ofAnthropic([
        {
          type: 'text',
          text: 'x',
          citations: many(n, (i) => ({ type: 'web_search_result_location', url: `https://a.test/${i}` })),
        },
      ]),
  ],
  ['parts', 'gemini', (n) => ofGemini(many(n, (i) => ({ text: 'x', thought: i % 2 === 0 })))],
  ['calls', 'gemini', (n) => ofGemini(many(n, () => ({ functionCall: { name: 'f', args: { a: 1 } } })))],
  [
    'sources',
    'gemini',
    (n) =>
      ofGemini([], {
        groundingMetadata: {
          groundingChunks: many(n, (i) => ({ web: { uri: `https://a.test/${i}`, title: 'a' } })),
          groundingSupports: many(n, (i) => ({
            segment: { startIndex: 0, endIndex: 2 },
            groundingChunkIndices: [i],
          })),
        },
      }),
  ],
  [
    'calls',
    'responses',
    (n) =>
      ofResponses(many(n, (i) => ({ type: 'function_call', call_id: `c${i}`, name: 'f', arguments: '{}' }))),
  ],
  [
    'messages',
    'responses',
    (n) => ofResponses(many(n, () => ({ type: 'message', content: [{ type: 'output_text', text: 'x' }] }))),
  ],
  [
    'thoughts',
    'responses',
    (n) =>
      ofResponses(many(n, () => ({ type: 'reasoning', summary: [{ type: 'summary_text', text: 'x' }] }))),
  ],
  [
    'calls',
    'bedrock',
    (n) => ofBedrock(many(n, (i) => ({ toolUse: { toolUseId: `c${i}`, name: 'f', input: {} } }))),
  ],
  [
    'thoughts',
    'bedrock',
    (n) =>
      ofBedrock(many(n, () => ({ reasoningContent: { reasoningText: { text: 'x', signature: 'AA' } } }))),
  ],
  ['calls', 'cohere', (n) => ofCohere({ tool_calls: many(n, call) })],
  [
    'citations',
    'cohere',
    (n) =>
      ofCohere({
        citations: many(n, (i) => ({
          start: 0,
          end: 2,
          text: 'Hi',
          sources: [{ type: 'document', id: `d${i}`, document: { title: 'a', url: `https://a.test/${i}` } }],
        })),
      }),
  ],
  ['pieces', 'replicate', (n) => ({ id: 'i', model: 'm', status: 'succeeded', output: many(n, () => 'x') })],
];

const clients = Object.values(dialects).flatMap(({ name, chatClient }) =>
  chatClient === null ? [] : [{ name, chatClient }],
);
const context = { model: 'm', requestId: 'r', createdS: 1, wantsUsage: true };

describe.each(shapes)('%s of %s', (_, provider, body) => {
  const { chatProvider } = dialects[provider];
  if (chatProvider === null) throw new Error(`no provider speaks ${provider}`);

  test.each(clients)('written for $name', ({ chatClient }) => {
    const { whole } = translatedReading(chatProvider, chatClient, context);
    const bodyOf = (n: number): Buffer => Buffer.from(JSON.stringify(body(n)));
    expect(whole(bodyOf(2))).toMatchObject({ facts: { error: false } });
    expect(growth(bodyOf, whole)).toBeLessThan(6);
  });
});

const vector = (i: number): number[] => [i, 0.5, -0.25, 0.125];

test.each([
  ['gemini', (n: number): Json => ({ embeddings: many(n, (i) => ({ values: vector(i) })) })],
  ['cohere', (n: number): Json => ({ embeddings: { float: many(n, vector) } })],
] as const)('vectors of %s, written for OpenAI’s clients', (name, body) => {
  const { embedProvider } = dialects[name];
  const { embedClient } = dialects.openai;
  if (embedProvider === undefined || embedClient === undefined) throw new Error(`no vectors of ${name}`);
  for (const base64 of [false, true]) {
    const perByte = growth(
      (n) => ({
        reply: Buffer.from(JSON.stringify(body(n))),
        count: n,
        length: JSON.stringify(body(n)).length,
      }),
      ({ reply, count }) => {
        const read = embedReading(embedClient, embedProvider, { count, base64, model: 'm' }).whole(reply);
        expect(read).not.toBeNull();
      },
    );
    expect(perByte).toBeLessThan(6);
  }
});
