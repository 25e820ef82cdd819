/** What a thread makes of a request is what is made of it at once: orders and results survive being cloned. */
import { describe, expect, test } from 'vitest';
import { work as free } from '../../src/attempt/own.ts';
import { readingOf, work as translateReply } from '../../src/attempt/translate-reply.ts';
import { work as translate, writtenBy } from '../../src/attempt/write.ts';
import type { Work, Worked } from '../../src/base/aside.ts';
import { Refusal } from '../../src/base/errors.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createNotes } from '../../src/dialects/chat.ts';
import { writeEmbeddings } from '../../src/dialects/embeddings.ts';
import { dialects } from '../../src/dialects/index.ts';
import { translatedReading } from '../../src/dialects/read-reply.ts';
import type { WholeReading } from '../../src/dialects/reading.ts';
import { writeRequest } from '../../src/dialects/translate.ts';
import { endpoints } from '../../src/exchange/endpoint.ts';
import { work as inspect, inspectNow, orderOf } from '../../src/inspect/request.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import { shapes } from '../growth/shapes.ts';

const to = {
  basePath: '',
  model: 'meta/llama',
  served: 'meta/llama',
  headers: [],
  quirks: {},
  outputMaxTokens: null,
};

/** Does it as a thread would. */
function aside<I, O>(work: Work<I, O>, body: Buffer, input: I): Worked<O> {
  const done = work(body, structuredClone(input));
  if (done instanceof Refusal) throw new Error(done.message);
  return { value: structuredClone(done.value), body: done.body };
}

const providers = Object.values(dialects).flatMap(({ name, chatProvider }) =>
  chatProvider === null ? [] : [{ name, chatProvider }],
);

test.each(['gemini', 'cohere'] as const)('embeddings for %s, translated', (provider) => {
  const { embedClient } = dialects.openai;
  const { embedProvider } = dialects[provider];
  if (embedClient === undefined || embedProvider === undefined) throw new Error(`no vectors of ${provider}`);
  const body = Buffer.from(
    JSON.stringify({ model: 'm', input: ['a', 'b'], user: 'ann', encoding_format: 'base64' }),
  );
  const written = writtenBy(aside(translate, body, { client: 'openai', provider, to, chat: null }));
  expect(written).toEqual(writeEmbeddings(body, embedClient, embedProvider, to));
  expect(written).toMatchObject({ kind: 'written', dropped: ['user'], asked: { count: 2, base64: true } });
});

describe.each(shapes)('$name', ({ dialect, body }) => {
  const bytes = Buffer.from(JSON.stringify(body(3)));

  test('translated', () => {
    for (const { name: provider, chatProvider } of providers) {
      const client = dialects[dialect].chatClient;
      const notes = createNotes(true);
      const json = JSON.parse(bytes.toString());
      const request = client?.readRequest(json, notes);
      const echo = client?.echoOf?.(json, bytes.length);
      if (request === undefined) throw new Error(`nobody speaks ${dialect}`);
      const chat = { stream: request.stream, drops: true };
      const order = { client: dialect, provider, to, chat };
      expect(writtenBy(aside(translate, bytes, order)), provider).toEqual(
        writeRequest({ request, notes, echo }, chatProvider, to),
      );
    }
  });

  test('inspected, and freed', () => {
    const endpoint = endpoints.find(({ dialect: own, kind }) => own === dialect && kind === 'chat');
    if (endpoint === undefined) throw new Error(`no endpoint of ${dialect}`);
    const inspecting = {
      scope: createScrubPolicies(configSchema.parse({}).scrub, Buffer.alloc(32)).of('acme').request,
      digestKey: Buffer.alloc(32),
      classify: true,
    };
    const inPath = dialect === 'gemini' ? { model: 'm', stream: false, list: false } : null;
    const request = { endpoint: { ...endpoint, inPath }, headers: {} };
    const named = Buffer.from(JSON.stringify({ ...body(3), model: 'm', user: 'ann@example.com' }));
    const { value, body: edited } = aside(inspect, named, orderOf(request, inspecting));
    expect({ ...value, body: edited ?? named }).toEqual(inspectNow({ ...request, body: named }, inspecting));
    const order = { dialect, isClaude: false, signsCalls: false, inspectedAs: endpoint.inspectedAs };
    expect(aside(free, bytes, order)).toEqual(free(bytes, order));
  });
});

test('a reply', () => {
  const { chatProvider } = dialects.openai;
  const { chatClient } = dialects.anthropic;
  if (chatProvider === null || chatClient === null) throw new Error('no chat');
  const origins = new Map([['f', { name: 'f', namespace: null, custom: true }]]);
  const context = { model: 'm', requestId: 'r', createdS: 1, wantsUsage: false, origins };
  const order = { provider: 'openai', client: 'anthropic', context } as const;
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{"input":"a"}' } };
  const message = { role: 'assistant', content: 'Hi', tool_calls: [call] };
  const usage = { prompt_tokens: 1, completion_tokens: 2 };
  const replies = [
    { id: 'i', model: 'm', choices: [{ index: 0, message, finish_reason: 'tool_calls' }], usage },
    { error: { message: 'no' } },
    { id: 'i' },
  ];
  const textOf = (reading: WholeReading | 'unfinished' | null) =>
    reading === null || reading === 'unfinished' ? reading : { ...reading, text: reading.text() };
  for (const reply of replies) {
    const body = Buffer.from(JSON.stringify(reply));
    const done = aside(translateReply, body, order);
    const direct = translatedReading(chatProvider, chatClient, context).whole(body);
    expect(textOf(readingOf(done.value, done.body))).toEqual(textOf(direct));
  }
});

test('a reply of half a million objects is not parsed', () => {
  const context = { model: 'm', requestId: 'r', createdS: 1, wantsUsage: false };
  const order = { provider: 'openai', client: 'anthropic', context } as const;
  const refused = translateReply(Buffer.from(`{"a":[${'{},'.repeat(500_000)}0]}`), order);
  expect(refused).toMatchObject({ code: 'body_too_complex' });
});
