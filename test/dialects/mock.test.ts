/** Each client's SDK before an independent mock of each provider dialect: a table of client and provider. */
import Anthropic from '@anthropic-ai/sdk';
import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startTestSidecar, type TestSidecar } from '../sidecar.ts';

/** Dialects that the mock speaks, and their base paths. */
const paths = {
  openai: '/v1',
  anthropic: '/v1',
  responses: '/v1',
  gemini: '/v1beta',
  bedrock: '',
  cohere: '/v2',
} as const;
const providers = Object.keys(paths) as (keyof typeof paths)[];

const mock = new LLMock({ port: 0, chunkSize: 4 });
let sidecar: TestSidecar;
let openai: OpenAI;
let anthropic: Anthropic;

beforeAll(async () => {
  await mock.start();
  sidecar = await startTestSidecar({
    providers: Object.fromEntries(
      providers.map((dialect) => [
        dialect,
        {
          dialect,
          baseUrl: mock.url + paths[dialect],
          apiKey: 'provider-key',
        },
      ]),
    ),
    routes: providers.map((provider) => ({ model: `to-${provider}`, targets: [{ provider }] })),
    cache: { enabled: false },
    attempt: { backoffBaseMs: 0, retriesMax: 0, breaker: { failures: 1000 } },
  });
  openai = new OpenAI({ baseURL: `${sidecar.url}/v1`, apiKey: 'app-key', maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: sidecar.url, apiKey: 'app-key', maxRetries: 0 });
});
afterAll(async () => {
  await sidecar.stop();
  await mock.stop();
});
beforeEach(() => void mock.clearFixtures().clearRequests());

/** What an app has in its hands. */
interface Heard {
  readonly text: string;
  readonly calls: readonly { readonly name: string; readonly input: unknown }[];
  readonly reason: string | null | undefined;
}

const parameters = { type: 'object' as const, properties: { city: { type: 'string' } } };

/** Each client: asks for an answer, whole or streamed, with a tool at hand. */
const clients: Readonly<Record<string, (model: string, prompt: string, stream: boolean) => Promise<Heard>>> =
  {
    async 'openai chat'(model, prompt, stream) {
      const params = {
        model,
        messages: [{ role: 'user' as const, content: prompt }],
        tools: [{ type: 'function' as const, function: { name: 'get_weather', parameters } }],
      };
      const reply = stream
        ? await openai.chat.completions.stream(params).finalChatCompletion()
        : await openai.chat.completions.create(params);
      const [choice] = reply.choices;
      const calls = (choice?.message.tool_calls ?? []).flatMap((call) =>
        call.type === 'function'
          ? [{ name: call.function.name, input: JSON.parse(call.function.arguments) }]
          : [],
      );
      return { text: choice?.message.content ?? '', calls, reason: choice?.finish_reason };
    },
    async 'openai responses'(model, prompt, stream) {
      const tool = { type: 'function' as const, name: 'get_weather', parameters, strict: false };
      const params = { model, input: prompt, tools: [tool] };
      const reply = stream
        ? await openai.responses.stream(params).finalResponse()
        : await openai.responses.create(params);
      const calls = reply.output.flatMap((item) =>
        item.type === 'function_call' ? [{ name: item.name, input: JSON.parse(item.arguments) }] : [],
      );
      return { text: reply.output_text, calls, reason: reply.status };
    },
    async anthropic(model, prompt, stream) {
      const params = {
        model,
        max_tokens: 1024,
        messages: [{ role: 'user' as const, content: prompt }],
        tools: [{ name: 'get_weather', input_schema: parameters }],
      };
      const reply = stream
        ? await anthropic.messages.stream(params).finalMessage()
        : await anthropic.messages.create(params);
      const text = reply.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
      const calls = reply.content.flatMap((block) =>
        block.type === 'tool_use' ? [{ name: block.name, input: block.input }] : [],
      );
      return { text, calls, reason: reply.stop_reason };
    },
  };

const ended: Readonly<Record<string, readonly [plain: string, called: string]>> = {
  'openai chat': ['stop', 'tool_calls'],
  'openai responses': ['completed', 'completed'],
  anthropic: ['end_turn', 'tool_use'],
};

const table = Object.keys(clients).flatMap((client) => providers.map((provider) => ({ client, provider })));

describe.each(table)('$client to $provider', ({ client, provider }) => {
  const ask = (prompt: string, stream: boolean): Promise<Heard> => {
    const asked = clients[client]?.(`to-${provider}`, prompt, stream);
    if (asked === undefined) throw new Error(`no client ${client}`);
    return asked;
  };

  test.each([false, true])('text (stream: %s)', async (stream) => {
    mock.onMessage('hello', { content: 'Grüße, 日本 🎉!' });
    expect(await ask('hello', stream)).toEqual({
      text: 'Grüße, 日本 🎉!',
      calls: [],
      reason: ended[client]?.[0],
    });
  });

  test.each([false, true])('two tools at once (stream: %s)', async (stream) => {
    const toolCalls = ['Oslo', 'Rome'].map((city) => ({
      name: 'get_weather',
      arguments: JSON.stringify({ city }),
    }));
    mock.onMessage('weather', { toolCalls });
    const { calls, reason } = await ask('weather', stream);
    expect(calls).toEqual(['Oslo', 'Rome'].map((city) => ({ name: 'get_weather', input: { city } })));
    expect(reason).toBe(ended[client]?.[1]);
  });
});
