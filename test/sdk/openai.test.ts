/** The official OpenAI SDK, unmodified, through the sidecar, before an independent mock. */
import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

const mock = new LLMock({ port: 0, chunkSize: 4 });
let sidecar: TestSidecar;
let client: OpenAI;

beforeAll(async () => {
  await mock.start();
  const providers = {
    mock: { dialect: 'openai' as const, baseUrl: `${mock.url}/v1`, apiKey: 'provider-key' },
  };
  const to = (model: string) => ({ model, targets: [{ provider: 'mock' }] });
  sidecar = await startTestSidecar({
    providers,
    routes: [to('gpt-*'), to('text-embedding-3-small'), to('gpt-listed')],
    attempt: { backoffBaseMs: 0, retriesMax: 0, breaker: { failures: 1000 } },
  });
  client = new OpenAI({ baseURL: `${sidecar.url}/v1`, apiKey: 'app-key', maxRetries: 0 });
});
afterAll(async () => {
  await sidecar.stop();
  await mock.stop();
});
beforeEach(() => void mock.clearFixtures().clearRequests());

const model = 'gpt-4o';
const says = (content: string) => [{ role: 'user' as const, content }];
/** The body the mock got last. */
const received = (): Record<string, unknown> => mock.getLastRequest()?.body as Record<string, unknown>;

describe('text', () => {
  test('whole, with usage, id and the headers of the gateway', async () => {
    mock.onMessage('hello', {
      content: 'Hi there!',
      id: 'chatcmpl-x',
      usage: { prompt_tokens: 9, completion_tokens: 4 },
    });
    const { data, response, request_id } = await client.chat.completions
      .create({ model, messages: says('hello') })
      .withResponse();
    expect(data.choices[0]?.message.content).toBe('Hi there!');
    expect(data.choices[0]?.finish_reason).toBe('stop');
    expect(data.id).toBe('chatcmpl-x');
    expect(data.usage).toMatchObject({ prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 });
    expect(request_id).toMatch(/^req_[0-9a-f]+$/);
    expect(response.headers.get('x-sidegate-target')).toBe('mock/gpt-4o');
    const record = await sidecar.recordWhere(({ requestId }) => requestId === request_id);
    expect(record).toMatchObject({ model, inputTokens: 9, outputTokens: 4, usageKnown: true });
  });

  test('streamed, in the pieces the provider sent', async () => {
    mock.onMessage('stream', { content: 'one two three four' });
    const stream = await client.chat.completions.create({ model, messages: says('stream'), stream: true });
    const pieces: string[] = [];
    for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta.content ?? '');
    expect(pieces.filter((piece) => piece !== '')).toEqual(['one ', 'two ', 'thre', 'e fo', 'ur']);
  });

  test('by the stream helper, the same whole as unstreamed; the second time from the cache', async () => {
    mock.onMessage('helper', {
      content: 'The whole text.',
      usage: { prompt_tokens: 3, completion_tokens: 5 },
    });
    for (const cache of ['sidegate; fwd=uri-miss', 'sidegate; hit']) {
      const stream = client.chat.completions.stream({
        model,
        messages: says('helper'),
        stream_options: { include_usage: true },
      });
      const deltas: string[] = [];
      stream.on('content.delta', ({ delta }) => deltas.push(delta));
      const final = await stream.finalChatCompletion();
      expect(final.choices[0]?.message.content).toBe('The whole text.');
      expect(final.usage?.total_tokens).toBe(8);
      expect(deltas.join('')).toBe('The whole text.');
      const records = sidecar.records();
      expect(records.at(-1)?.cache).toBe(cache.endsWith('hit') ? 'hit' : 'miss');
    }
    expect(mock.getRequests()).toHaveLength(1);
  });

  test('reasoning passes, streamed and whole', async () => {
    mock.onMessage('think', { content: 'Answer.', reasoning: 'Because of that.' });
    const stream = await client.chat.completions.create({ model, messages: says('think'), stream: true });
    let reasoning = '';
    for await (const chunk of stream) {
      const delta: object = chunk.choices[0]?.delta ?? {};
      if ('reasoning_content' in delta) reasoning += String(delta.reasoning_content);
    }
    expect(reasoning).toBe('Because of that.');
    const whole = await client.chat.completions.create({ model, messages: says('think') });
    expect(whole.choices[0]?.message).toMatchObject({
      content: 'Answer.',
      reasoning_content: 'Because of that.',
    });
  });
});

describe('tools', () => {
  const weather = {
    type: 'function' as const,
    function: {
      name: 'get_weather',
      description: 'Weather of a city.',
      parameters: { type: 'object' as const, properties: { city: { type: 'string' } } },
    },
  };
  const call = {
    id: 'call_1',
    name: 'get_weather',
    arguments: '{"city":"São Paulo \\"SP\\"","days":[1,2,3]}',
  };

  test('arguments streamed in pieces come together', async () => {
    mock.onMessage('weather', { toolCalls: [call, { ...call, id: 'call_2', arguments: '{"city":"Oslo"}' }] });
    const stream = client.chat.completions.stream({ model, messages: says('weather'), tools: [weather] });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.finish_reason).toBe('tool_calls');
    expect(
      final.choices[0]?.message.tool_calls?.map((one) => one.type === 'function' && [one.id, one.function]),
    ).toEqual([
      ['call_1', expect.objectContaining({ name: 'get_weather', arguments: call.arguments })],
      ['call_2', expect.objectContaining({ arguments: '{"city":"Oslo"}' })],
    ]);
  });

  test.each([true, false])('the tool runner goes round and back (stream: %s)', async (stream) => {
    mock.onToolResult('call_1', { content: 'It rains in São Paulo.' });
    mock.onMessage('weather', { toolCalls: [call] });
    const asked: unknown[] = [];
    const tool = {
      type: 'function' as const,
      function: {
        ...weather.function,
        parse: JSON.parse,
        function: (args: unknown) => {
          asked.push(args);
          return 'rain';
        },
      },
    };
    const body = { model, messages: says('weather'), tools: [tool] };
    const final = stream
      ? await client.chat.completions.runTools({ ...body, stream: true }).finalContent()
      : await client.chat.completions.runTools(body).finalContent();
    expect(final).toBe('It rains in São Paulo.');
    expect(asked).toEqual([JSON.parse(call.arguments)]);
    expect((received().messages as { role: string }[]).map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'tool',
    ]);
  });
});

describe('more than text', () => {
  test('an image reaches the provider as it was sent', async () => {
    mock.onMessage('picture', { content: 'A cat.' });
    const url = `data:image/png;base64,${Buffer.alloc(12_000, 'not a picture').toString('base64')}`;
    const content = [
      { type: 'text' as const, text: 'picture' },
      { type: 'image_url' as const, image_url: { url, detail: 'low' as const } },
    ];
    const reply = await client.chat.completions.create({ model, messages: [{ role: 'user', content }] });
    expect(reply.choices[0]?.message.content).toBe('A cat.');
    expect((received().messages as { content: unknown }[])[0]?.content).toEqual(content);
  });

  test('a JSON schema goes there, and an object of it comes back: parsed, streamed and not', async () => {
    const schema = z.object({ city: z.string(), days: z.array(z.number()) });
    const value = { city: 'Oslo', days: [1, 2] };
    const response_format = zodResponseFormat(schema, 'trip');
    mock.onMessage('trip', { content: JSON.stringify(value) });
    const parsed = await client.chat.completions.parse({ model, messages: says('trip'), response_format });
    expect(parsed.choices[0]?.message.parsed).toEqual(value);
    expect(received().response_format).toMatchObject({
      type: 'json_schema',
      json_schema: { name: 'trip', strict: true },
    });
    const streamed = await client.chat.completions
      .stream({ model, messages: says('trip'), response_format })
      .finalChatCompletion();
    expect(streamed.choices[0]?.message.parsed).toEqual(value);
  });

  test('embeddings, in the form the SDK asks for', async () => {
    mock.onEmbedding('embed', { embedding: [0.25, -0.5, 1] });
    const reply = await client.embeddings.create({ model: 'text-embedding-3-small', input: ['embed me'] });
    expect(reply.data.map(({ embedding }) => embedding)).toEqual([[0.25, -0.5, 1]]);
    const recordOf = (use: string) =>
      sidecar.recordWhere(({ endpoint, cache }) => endpoint === 'embeddings' && cache === use);
    expect((await recordOf('miss')).status).toBe(200);
    await client.embeddings.create({ model: 'text-embedding-3-small', input: ['embed me'] });
    expect((await recordOf('hit')).status).toBe(200);
  });

  test('models are listed and found by the routes’ names', async () => {
    const listed: string[] = [];
    for await (const { id } of client.models.list()) listed.push(id);
    expect(listed).toEqual(['text-embedding-3-small', 'gpt-listed']);
    expect(await client.models.retrieve('gpt-anything')).toMatchObject({
      id: 'gpt-anything',
      object: 'model',
    });
    await expect(client.models.retrieve('unknown')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });
});

describe('errors of the provider', () => {
  const fail = async (status: number, error = {}): Promise<InstanceType<typeof OpenAI.APIError>> => {
    mock.onMessage('fail', {
      error: { message: `mock says ${status}`, type: 't', code: 'c', ...error },
      status,
    });
    const failed: unknown = await client.chat.completions
      .create({ model, messages: says('fail') })
      .catch((cause: unknown) => cause);
    if (!(failed instanceof OpenAI.APIError)) throw new Error('no error of the SDK');
    expect(failed.requestID).toMatch(/^req_/);
    return failed;
  };

  test.each([
    [400, OpenAI.BadRequestError],
    [404, OpenAI.NotFoundError],
    [413, OpenAI.APIError],
    [422, OpenAI.UnprocessableEntityError],
  ] as const)('%i is passed on, with its message', async (status, type) => {
    const error = await fail(status);
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ status, message: `${status} mock says ${status}`, code: 'c', type: 't' });
  });

  test('429 is a RateLimitError with the time to come back', async () => {
    const error = await fail(429);
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error.message).toContain('mock says 429');
    expect(Number(error.headers?.get('retry-after-ms'))).toBeGreaterThan(0);
  });
});
