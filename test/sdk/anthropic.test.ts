/** The official Anthropic SDK, unmodified, through the sidecar, before an independent mock. */
import Anthropic from '@anthropic-ai/sdk';
import { jsonSchemaOutputFormat } from '@anthropic-ai/sdk/helpers/json-schema';
import { LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

const mock = new LLMock({ port: 0, chunkSize: 4 });
let sidecar: TestSidecar;
let client: Anthropic;

beforeAll(async () => {
  await mock.start();
  sidecar = await startTestSidecar({
    providers: { mock: { dialect: 'anthropic', baseUrl: `${mock.url}/v1`, apiKey: 'provider-key' } },
    routes: ['claude-*', 'claude-listed'].map((model) => ({ model, targets: [{ provider: 'mock' }] })),
    attempt: { backoffBaseMs: 0, retriesMax: 0, breaker: { failures: 1000 } },
  });
  client = new Anthropic({ baseURL: sidecar.url, apiKey: 'app-key', maxRetries: 0 });
});
afterAll(async () => {
  await sidecar.stop();
  await mock.stop();
});
beforeEach(() => void mock.clearFixtures().clearRequests());

const model = 'claude-test';
const ask = (content: Anthropic.MessageParam['content']) => ({
  model,
  max_tokens: 1024,
  messages: [{ role: 'user' as const, content }],
});
const textOf = ({ content }: Anthropic.Message): string =>
  content.map((block) => (block.type === 'text' ? block.text : '')).join('');

describe('text', () => {
  test('whole, with usage and an id to report', async () => {
    mock.onMessage('hello', {
      content: 'Hi there!',
      id: 'msg_x',
      usage: { input_tokens: 9, output_tokens: 4 },
    });
    const { data, response, request_id } = await client.messages.create(ask('hello')).withResponse();
    expect(textOf(data)).toBe('Hi there!');
    expect(data).toMatchObject({ id: 'msg_x', stop_reason: 'end_turn' });
    expect(data.usage).toMatchObject({ input_tokens: 9, output_tokens: 4 });
    expect(request_id).toMatch(/^req_/);
    expect(response.headers.get('x-sidegate-target')).toBe('mock/claude-test');
    const id = response.headers.get('x-request-id');
    const record = await sidecar.recordWhere(({ requestId }) => requestId === id);
    expect(record).toMatchObject({ endpoint: 'messages', inputTokens: 9, outputTokens: 4, usageKnown: true });
  });

  test('streamed, in the pieces the provider sent', async () => {
    mock.onMessage('stream', { content: 'one two three four' });
    const pieces: string[] = [];
    for await (const event of await client.messages.create({ ...ask('stream'), stream: true })) {
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta')
        pieces.push(event.delta.text);
    }
    expect(pieces).toEqual(['one ', 'two ', 'thre', 'e fo', 'ur']);
  });

  test('by the stream helper, the same whole as unstreamed; the second time from the cache', async () => {
    mock.onMessage('helper', { content: 'The whole text.', usage: { input_tokens: 3, output_tokens: 5 } });
    for (const cache of ['miss', 'hit']) {
      const stream = client.messages.stream(ask('helper'));
      const deltas: string[] = [];
      stream.on('text', (delta) => deltas.push(delta));
      const final = await stream.finalMessage();
      expect(textOf(final)).toBe('The whole text.');
      expect(final.usage).toMatchObject({ output_tokens: 5 });
      expect(deltas.join('')).toBe('The whole text.');
      expect(await stream.finalText()).toBe('The whole text.');
      expect(sidecar.records().at(-1)?.cache).toBe(cache);
    }
    expect(mock.getRequests()).toHaveLength(1);
  });

  test('thinking and its signature pass intact, streamed and whole', async () => {
    const reasoningSignature = `Ep${'Ab+/9'.repeat(60)}==`;
    mock.onMessage('think', { content: 'Answer.', reasoning: 'Because of that.', reasoningSignature });
    const params = {
      ...ask('think'),
      thinking: { type: 'enabled' as const, budget_tokens: 1024 },
      max_tokens: 2048,
    };
    const streamed = await client.messages.stream(params).finalMessage();
    const whole = await client.messages.create(params);
    for (const { content } of [streamed, whole]) {
      expect(content[0]).toMatchObject({
        type: 'thinking',
        thinking: 'Because of that.',
        signature: reasoningSignature,
      });
      expect(content[1]).toMatchObject({ type: 'text', text: 'Answer.' });
    }
  });

  test('redacted thinking passes, and goes back as it came', async () => {
    const data = 'EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpPkNRj2YfWXGmKDxH4mPnZ5sQ';
    mock.onMessage('redact', { content: 'Answer.', redactedThinking: [data] });
    const thinking = { type: 'enabled' as const, budget_tokens: 1024 };
    const params = { ...ask('redact'), max_tokens: 2048, thinking };
    const first = await client.messages.stream(params).finalMessage();
    expect(first.content[0]).toMatchObject({ type: 'redacted_thinking', data });
    mock.onMessage('and then', { content: 'More.' });
    const messages: Anthropic.MessageParam[] = [
      ...params.messages,
      { role: 'assistant', content: first.content },
      { role: 'user', content: 'and then' },
    ];
    expect(textOf(await client.messages.create({ ...params, messages }))).toBe('More.');
  });
});

describe('tools', () => {
  const tools: Anthropic.Tool[] = [
    { name: 'get_weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } },
  ];
  const input = { city: 'São Paulo "SP"', days: [1, 2, 3] };
  const call = { id: 'toolu_1', name: 'get_weather', arguments: JSON.stringify(input) };

  test('input streamed in pieces comes together', async () => {
    mock.onMessage('weather', {
      toolCalls: [call, { ...call, id: 'toolu_2', arguments: '{"city":"Oslo"}' }],
    });
    const stream = client.messages.stream({ ...ask('weather'), tools });
    let pieces = 0;
    stream.on('inputJson', () => pieces++);
    const final = await stream.finalMessage();
    expect(final.stop_reason).toBe('tool_use');
    expect(
      final.content.map((block) => block.type === 'tool_use' && [block.id, block.name, block.input]),
    ).toEqual([
      ['toolu_1', 'get_weather', input],
      ['toolu_2', 'get_weather', { city: 'Oslo' }],
    ]);
    expect(pieces).toBeGreaterThan(5);
  });

  test('a result goes back and the answer comes', async () => {
    mock.onToolResult('toolu_1', { content: 'It rains.' });
    const content: Anthropic.ToolUseBlockParam[] = [
      { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input },
    ];
    const result: Anthropic.ToolResultBlockParam[] = [
      { type: 'tool_result', tool_use_id: 'toolu_1', content: 'rain' },
    ];
    const { messages } = ask('weather');
    const reply = await client.messages.create({
      ...ask('weather'),
      tools,
      messages: [...messages, { role: 'assistant', content }, { role: 'user', content: result }],
    });
    expect(textOf(reply)).toBe('It rains.');
  });

  test('the beta tool runner goes round and back', async () => {
    mock.onToolResult('toolu_1', { content: 'It rains.' });
    mock.onMessage('weather', { toolCalls: [call] });
    const asked: unknown[] = [];
    const runner = client.beta.messages.toolRunner({
      ...ask('weather'),
      tools: [
        {
          name: 'get_weather',
          input_schema: { type: 'object' },
          description: 'Weather of a city.',
          parse: (given: unknown) => given,
          run: (given: unknown) => {
            asked.push(given);
            return 'rain';
          },
        },
      ],
    });
    const final = await runner;
    expect(final.content).toMatchObject([{ type: 'text', text: 'It rains.' }]);
    expect(asked).toEqual([input]);
  });
});

describe('more than text', () => {
  test('an image reaches the provider, and a JSON schema brings an object back', async () => {
    const value = { city: 'Oslo', days: 2 };
    mock.onMessage('trip', { content: JSON.stringify(value) });
    const format = jsonSchemaOutputFormat({
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city', 'days'],
      additionalProperties: false,
    });
    const data = Buffer.alloc(12_000, 'not a picture').toString('base64');
    const content: Anthropic.ContentBlockParam[] = [
      { type: 'text', text: 'trip' },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data } },
    ];
    const params = { ...ask(content), output_config: { format } };
    expect((await client.messages.parse(params)).parsed_output).toEqual(value);
    expect((await client.messages.stream(params).finalMessage()).parsed_output).toEqual(value);
  });

  test('models are listed and found by the routes’ names', async () => {
    const listed: string[] = [];
    for await (const { id } of client.models.list()) listed.push(id);
    expect(listed).toEqual(['claude-listed']);
    expect(await client.models.retrieve('claude-any')).toMatchObject({ id: 'claude-any', type: 'model' });
    await expect(client.models.retrieve('unknown')).rejects.toBeInstanceOf(Anthropic.NotFoundError);
  });
});

describe('errors of the provider', () => {
  test.each([
    [400, Anthropic.BadRequestError],
    [404, Anthropic.NotFoundError],
    [413, Anthropic.APIError],
    [422, Anthropic.UnprocessableEntityError],
    [429, Anthropic.RateLimitError],
  ] as const)('%i is passed on, with its message', async (status, type) => {
    mock.onMessage(`fail ${status}`, {
      error: { message: `mock says ${status}`, type: 'some_error' },
      status,
    });
    const error: unknown = await client.messages
      .create(ask(`fail ${status}`))
      .catch((cause: unknown) => cause);
    if (!(error instanceof Anthropic.APIError)) throw new Error('no error of the SDK');
    expect(error).toBeInstanceOf(type);
    expect(error.status).toBe(status);
    expect(error.message).toContain(`mock says ${status}`);
    expect(error.requestID).toMatch(/^req_/);
  });
});
