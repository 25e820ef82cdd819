/** Prompts are counted alike in every client dialect: against a tokenizer, and against OpenAI's chat. */

import { describe, expect, test } from 'vitest';
import { countPrompt } from '../../src/count/prompt.ts';
import { createNotes } from '../../src/dialects/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import type { EndpointName } from '../../src/exchange/endpoint.ts';
import { destinationOf } from '../dialects/fixtures.ts';
import { sampleEndpoint } from '../support/samples.ts';
import { tokenizer } from '../support/tokenizer.ts';

const tokensOf = (text: string): number => tokenizer.encode(text, [], []).length;

const long =
  'The ledger says what was delivered; größere Beträge, 客户端, const total = 3.5; nothing else. '.repeat(20);
const weather = {
  type: 'object',
  properties: { city: { type: 'string', description: 'Where, as the user wrote it' } },
  required: ['city'],
};
const call = {
  id: 'call_1',
  type: 'function',
  function: { name: 'get_weather', arguments: '{"city":"Longyearbyen"}' },
};

/** Requests of OpenAI's chat, with all texts that the model reads. */
const requests: Readonly<
  Record<string, { readonly body: Record<string, unknown>; readonly texts: string[] }>
> = {
  'one question': { body: { messages: [{ role: 'user', content: 'Why?' }] }, texts: ['user', 'Why?'] },
  'a long question': { body: { messages: [{ role: 'user', content: long }] }, texts: ['user', long] },
  'a conversation with a system text': {
    body: {
      messages: [
        { role: 'system', content: long },
        { role: 'user', content: [{ type: 'text', text: long }] },
        { role: 'assistant', content: 'A short one.' },
        { role: 'user', content: long },
      ],
    },
    texts: ['system', long, 'user', long, 'assistant', 'A short one.', 'user', long],
  },
  'a tool, its call and its result': {
    body: {
      messages: [
        { role: 'user', content: long },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'call_1', content: long },
      ],
      tools: [
        { type: 'function', function: { name: 'get_weather', description: long, parameters: weather } },
      ],
    },
    texts: [
      ...['user', long, 'assistant', 'get_weather', '{"city":"Longyearbyen"}', 'tool', long],
      ...['get_weather', long, JSON.stringify(weather)],
    ],
  },
};

/** The endpoint whose body each client dialect sends. */
const endpoints: Readonly<Partial<Record<DialectName, Exclude<EndpointName, 'models'>>>> = {
  openai: 'chat',
  anthropic: 'messages',
  responses: 'responses',
  gemini: 'generate',
};
const clients = Object.entries(endpoints) as [DialectName, Exclude<EndpointName, 'models'>][];

/** The same request in another client dialect. */
function saidIn(name: DialectName, body: Record<string, unknown>): unknown {
  const { chatProvider } = dialects[name];
  const { chatClient } = dialects.openai;
  if (chatProvider === null || chatClient === null) throw new Error(`nobody speaks ${name}`);
  const request = chatClient.readRequest({ model: 'm', ...body }, createNotes());
  return chatProvider.writeRequest(request, destinationOf(name), createNotes()).body;
}

describe.each(clients)('%s', (name, endpoint) => {
  test.each(Object.entries(requests))('%s', (_, { body, texts }) => {
    const { promptTokens } = countPrompt(sampleEndpoint(endpoint), saidIn(name, body), tokensOf);
    const truth = texts.reduce((sum, text) => sum + tokensOf(text), 0);
    const twin = countPrompt(sampleEndpoint('chat'), { model: 'm', ...body }, tokensOf).promptTokens;
    // What forms add is small: less than a tenth, or a few tokens of a short prompt.
    expect(promptTokens).toBeGreaterThanOrEqual(truth - 2);
    expect(promptTokens).toBeLessThanOrEqual(truth * 1.1 + 10);
    expect(Math.abs(promptTokens - twin)).toBeLessThanOrEqual(twin * 0.05 + 4);
  });
});

test('a Responses input that is a text is a user message', () => {
  const { promptTokens } = countPrompt(sampleEndpoint('responses'), { model: 'm', input: 'Why?' }, tokensOf);
  const chat = countPrompt(
    sampleEndpoint('chat'),
    { model: 'm', messages: [{ role: 'user', content: 'Why?' }] },
    tokensOf,
  );
  expect(promptTokens).toBe(chat.promptTokens);
});

test.each([
  ['chat', { input: long, contents: [] }, requests['a long question']?.body],
  ['responses', { messages: [], contents: [] }, { input: long }],
  ['generate', { messages: [], input: '' }, { contents: [{ role: 'user', parts: [{ text: long }] }] }],
] as const)(
  '%s: a field that holds the conversation in another dialect counts nothing',
  (name, stray, body) => {
    const tokens = (more: object): number =>
      countPrompt(sampleEndpoint(name), { model: 'm', ...body, ...more }, tokensOf).promptTokens;
    expect(tokens({})).toBeGreaterThan(tokensOf(long));
    expect(tokens(stray)).toBe(tokens({}));
  },
);
