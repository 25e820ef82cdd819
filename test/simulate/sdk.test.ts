/** The official SDKs, unmodified, against the simulator: every kind of request, in both dialects. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Simulator } from '../../src/simulate/server.ts';
import { simulator } from '../support/simulate-client.ts';

let sim: Simulator;
let openai: OpenAI;
let anthropic: Anthropic;

beforeAll(async () => {
  sim = await simulator();
  openai = new OpenAI({ baseURL: `${sim.url}/v1`, apiKey: 'sk-test', maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: sim.url, apiKey: 'sk-ant-test', maxRetries: 0 });
});
afterAll(() => sim.close());

const pixels = Buffer.alloc(12 * 1024, 7).toString('base64');
const city = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1, maximum: 7 } },
  required: ['city', 'days'],
  additionalProperties: false,
} as const;
const ask = (content: string) => [{ role: 'user' as const, content }];
const said = (block: Anthropic.ContentBlock | undefined) => (block?.type === 'text' ? block.text : '');

describe('openai', () => {
  const model = 'gpt-test';

  test('answers in text and counts its tokens', async () => {
    const { data, request_id } = await openai.chat.completions
      .create({ model, messages: ask('Write to alice@example.com, then to [EMAIL_2].') })
      .withResponse();
    expect(data.choices[0]?.message.content).toMatch(
      /^This is a simulated answer from Sidegate to: "Write to alice@/,
    );
    expect(data.choices[0]?.message.content).toContain('[EMAIL_2]');
    expect(data.choices[0]?.finish_reason).toBe('stop');
    expect(data.usage?.completion_tokens).toBe(64);
    expect(data.usage?.total_tokens).toBe((data.usage?.prompt_tokens ?? 0) + 64);
    expect(data.usage?.prompt_tokens_details?.cached_tokens).toBe(0);
    expect(request_id).toMatch(/^req_sim_/);
  });

  test('streams the same text, with usage if requested', async () => {
    const whole = await openai.chat.completions.create({ model, messages: ask('Hello') });
    const stream = openai.chat.completions.stream({
      model,
      messages: ask('Hello'),
      stream_options: { include_usage: true },
    });
    let deltas = 0;
    stream.on('content.delta', () => deltas++);
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    expect(final.usage).toEqual(whole.usage);
    expect(deltas).toBe(64);
  });

  test('streams tool calls whose arguments obey the schema, then answers with the result', async () => {
    const tools: OpenAI.ChatCompletionTool[] = [
      { type: 'function', function: { name: 'get_weather', parameters: { ...city } } },
      { type: 'function', function: { name: 'get_time', parameters: { type: 'object', properties: {} } } },
    ];
    const messages: OpenAI.ChatCompletionMessageParam[] = ask('Please get weather and get_time for Paris.');
    const stream = openai.chat.completions.stream({ model, messages, tools });
    let pieces = 0;
    stream.on('tool_calls.function.arguments.delta', () => pieces++);
    const message = (await stream.finalChatCompletion()).choices[0];
    expect(message?.finish_reason).toBe('tool_calls');
    const calls =
      message?.message.tool_calls?.flatMap((call) => (call.type === 'function' ? [call] : [])) ?? [];
    expect(calls.map((call) => call.function.name)).toEqual(['get_weather', 'get_time']);
    expect(new Set(calls.map((call) => call.id)).size).toBe(2);
    const given = JSON.parse(calls[0]?.function.arguments ?? '') as { city: string; days: number };
    expect(typeof given.city).toBe('string');
    expect(given.days).toBeGreaterThanOrEqual(1);
    expect(given.days).toBeLessThanOrEqual(7);
    expect(pieces).toBeGreaterThan(2);

    messages.push({ role: 'assistant', content: null, tool_calls: calls });
    for (const { id } of calls)
      messages.push({ role: 'tool', tool_call_id: id, content: 'Sunny, 21 degrees.' });
    const after = await openai.chat.completions.create({ model, messages, tools });
    expect(after.choices[0]?.finish_reason).toBe('stop');
    expect(after.choices[0]?.message.content).toContain('The tool answered: "Sunny, 21 degrees."');
  });

  test('calls a tool if one is required, and the named one if a name is given', async () => {
    const tools = ['first', 'second'].map((name) => ({ type: 'function' as const, function: { name } }));
    const named = { type: 'function' as const, function: { name: 'second' } };
    const pick = async (choice: OpenAI.ChatCompletionToolChoiceOption, text = 'Hi') => {
      const reply = await openai.chat.completions.create({
        model,
        messages: ask(text),
        tools,
        tool_choice: choice,
      });
      return reply.choices[0]?.message.tool_calls?.map(
        (call) => call.type === 'function' && call.function.name,
      );
    };
    expect(await pick('required')).toEqual(['first']);
    expect(await pick(named)).toEqual(['second']);
    expect(await pick('none', 'use first')).toBeUndefined();
    expect(await pick('auto')).toBeUndefined();
    expect(await pick('auto', 'use second')).toEqual(['second']);
  });

  test('obeys a JSON schema, and acknowledges images by their size', async () => {
    const parsed = await openai.chat.completions.parse({
      model,
      messages: ask('Where to?'),
      response_format: { type: 'json_schema', json_schema: { name: 'trip', schema: city, strict: true } },
    });
    expect(parsed.choices[0]?.message.parsed).toMatchObject({
      city: expect.any(String),
      days: expect.any(Number),
    });
    const seen = await openai.chat.completions.create({
      model,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${pixels}` } },
            { type: 'image_url', image_url: { url: 'https://example.com/cat.png' } },
          ],
        },
      ],
    });
    expect(seen.choices[0]?.message.content).toContain(
      'It came with an image of 12 KB and an image by reference.',
    );
  });

  test('embeds texts as unit vectors, in both encodings', async () => {
    const input = ['a small boat crosses the bay', 'a small boat leaves the bay', 'tax law of 1911'];
    // Without an encoding the SDK requests base64 and decodes it.
    const vectors = (await openai.embeddings.create({ model: 'e', input })).data.map((one) => one.embedding);
    const float = await openai.embeddings.create({
      model: 'e',
      input: input[0] ?? '',
      encoding_format: 'float',
    });
    const dot = (a: number[] = [], b: number[] = []) =>
      a.reduce((sum, value, n) => sum + value * (b[n] ?? 0), 0);
    expect(vectors[0]).toHaveLength(1536);
    expect(dot(vectors[0], vectors[0])).toBeCloseTo(1, 5);
    expect(dot(vectors[0], float.data[0]?.embedding)).toBeCloseTo(1, 5);
    expect(dot(vectors[0], vectors[1])).toBeGreaterThan(0.5);
    expect(dot(vectors[0], vectors[2])).toBeLessThan(0.3);
    expect(float.usage.prompt_tokens).toBeGreaterThan(0);
    const small = await openai.embeddings.create({ model: 'e', input: [[1, 2, 3]], dimensions: 8 });
    expect(small.data[0]?.embedding).toHaveLength(8);
    expect(small.usage.prompt_tokens).toBe(3);
  });

  test('lists models, and throws the classes users catch', async () => {
    const listed: string[] = [];
    for await (const { id } of openai.models.list()) listed.push(id);
    expect(listed).toContain('simulated-large');
    expect((await openai.models.retrieve('any/name')).id).toBe('any/name');
    const failing = (fault: string) =>
      openai.chat.completions.create(
        { model, messages: ask('Hi') },
        { headers: { 'x-simulate': `fault=${fault}` } },
      );
    await expect(failing('rate_limited')).rejects.toBeInstanceOf(OpenAI.RateLimitError);
    await expect(failing('unauthorized')).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    await expect(failing('server_error')).rejects.toBeInstanceOf(OpenAI.InternalServerError);
    await expect(failing('context_window')).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    });
    await expect(failing('quota_exhausted')).rejects.toMatchObject({
      status: 429,
      type: 'insufficient_quota',
    });
    await expect(failing('reset_before_headers')).rejects.toBeInstanceOf(OpenAI.APIConnectionError);
  });
});

describe('anthropic', () => {
  const model = 'claude-test';
  const base = { model, max_tokens: 2000 };

  test('answers in text and counts as count_tokens does', async () => {
    const messages = ask('Write to alice@example.com.');
    const reply = await anthropic.messages.create({ ...base, system: 'Be kind.', messages });
    expect(said(reply.content[0])).toContain('to: "Write to alice@example.com."');
    expect(reply).toMatchObject({
      type: 'message',
      role: 'assistant',
      model,
      stop_reason: 'end_turn',
      stop_sequence: null,
    });
    expect(reply.usage).toMatchObject({ output_tokens: 64, cache_read_input_tokens: 0 });
    expect(reply._request_id).toMatch(/^req_sim_/);
    const counted = await anthropic.messages.countTokens({ model, system: 'Be kind.', messages });
    expect(counted.input_tokens).toBe(reply.usage.input_tokens);
  });

  test('streams the same message', async () => {
    const whole = await anthropic.messages.create({ ...base, messages: ask('Hello') });
    const stream = anthropic.messages.stream({ ...base, messages: ask('Hello') });
    let deltas = 0;
    stream.on('text', () => deltas++);
    const final = await stream.finalMessage();
    expect(final.content).toEqual(whole.content);
    expect(final.id).toBe(whole.id);
    expect(final.usage).toMatchObject({ input_tokens: whole.usage.input_tokens, output_tokens: 64 });
    expect(deltas).toBe(64);
  });

  test('streams tool use whose input obeys the schema, then answers with the result', async () => {
    const tools = [{ name: 'get_weather', input_schema: { ...city, required: ['city', 'days'] } }];
    const question = ask('What does get_weather say?');
    const stream = anthropic.messages.stream({ ...base, messages: question, tools });
    const jsons: string[] = [];
    stream.on('inputJson', (piece) => jsons.push(piece));
    const message = await stream.finalMessage();
    expect(message.stop_reason).toBe('tool_use');
    expect(message.content.map((block) => block.type)).toEqual(['text', 'tool_use']);
    const use = message.content[1];
    if (use?.type !== 'tool_use') throw new Error('no tool use');
    expect(use.input).toMatchObject({ city: expect.any(String), days: expect.any(Number) });
    expect(JSON.parse(jsons.join(''))).toEqual(use.input);
    expect(jsons.filter((piece) => piece !== '').length).toBeGreaterThan(1);
    const whole = await anthropic.messages.create({ ...base, messages: question, tools });
    expect(whole.content[1]).toEqual(use);

    const result = { type: 'tool_result' as const, tool_use_id: use.id, content: 'Sunny.' };
    const after = await anthropic.messages.create({
      ...base,
      tools,
      messages: [
        ...question,
        { role: 'assistant', content: message.content },
        { role: 'user', content: [result] },
      ],
    });
    expect(after.stop_reason).toBe('end_turn');
    expect(said(after.content[0])).toContain('The tool answered: "Sunny."');
    const forced = await anthropic.messages.create({
      ...base,
      messages: ask('Hi'),
      tools,
      tool_choice: { type: 'any' },
    });
    expect(forced.content.map((block) => block.type)).toEqual(['tool_use']);
  });

  test('thinks, signs its thinking, and accepts it back only unchanged', async () => {
    const request = {
      ...base,
      messages: ask('Why?'),
      thinking: { type: 'enabled', budget_tokens: 1024 } as const,
    };
    const stream = anthropic.messages.stream(request);
    let thoughts = 0;
    stream.on('thinking', () => thoughts++);
    const message = await stream.finalMessage();
    const [thinking, text] = message.content;
    if (thinking?.type !== 'thinking') throw new Error('no thinking');
    expect(thinking.thinking).toContain('The user asks: "Why?"');
    expect(thinking.signature.length).toBeGreaterThan(64);
    expect(thoughts).toBeGreaterThan(20);
    expect(message.usage.output_tokens).toBe(thoughts + 64);
    expect(said(text)).toContain('This is a simulated answer');
    expect((await anthropic.messages.create(request)).content).toEqual(message.content);
    const next = (content: Anthropic.ContentBlockParam[]) =>
      anthropic.messages.create({
        ...base,
        messages: [...request.messages, { role: 'assistant', content }, ...ask('And?')],
      });
    await expect(next(message.content)).resolves.toMatchObject({ stop_reason: 'end_turn' });
    const forged = next([{ ...thinking, thinking: 'Something else.' }]);
    await expect(forged).rejects.toThrow(/Invalid `signature`/);
  });

  test('acknowledges images, obeys a JSON schema, stops at a stop sequence', async () => {
    const image = { type: 'base64' as const, media_type: 'image/png' as const, data: pixels };
    const seen = await anthropic.messages.create({
      ...base,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: image },
            { type: 'text', text: 'What?' },
          ],
        },
      ],
    });
    expect(said(seen.content[0])).toContain('an image of 12 KB');
    const format = { type: 'json_schema' as const, schema: city };
    const json = await anthropic.messages.create({
      ...base,
      messages: ask('Where?'),
      output_config: { format },
    });
    expect(JSON.parse(said(json.content[0]))).toMatchObject({ city: expect.any(String) });
    const cut = await anthropic.messages.create({
      ...base,
      messages: ask('Hi'),
      stop_sequences: ['never', ' answer'],
    });
    expect(said(cut.content[0])).toBe('This is a simulated');
    expect(cut).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: ' answer' });
  });

  test('lists models, and throws the classes users catch', async () => {
    const listed: string[] = [];
    for await (const { id, type } of anthropic.models.list()) listed.push(`${type} ${id}`);
    expect(listed).toContain('model simulated-large');
    expect(await anthropic.models.retrieve('x')).toMatchObject({
      id: 'x',
      created_at: '2025-01-01T00:00:00Z',
    });
    const failing = (fault: string, stream = false) =>
      anthropic.messages.create(
        { ...base, messages: ask('Hi'), stream },
        { headers: { 'x-simulate': `fault=${fault}` } },
      );
    await expect(failing('overloaded')).rejects.toMatchObject({ status: 529, type: 'overloaded_error' });
    await expect(failing('rate_limited')).rejects.toBeInstanceOf(Anthropic.RateLimitError);
    await expect(failing('quota_exhausted')).rejects.toMatchObject({
      errorCode: 'enforced_spend_limit_reached',
    });
    await expect(failing('context_window')).rejects.toThrow(/prompt is too long/);
    await expect(failing('forbidden')).rejects.toBeInstanceOf(Anthropic.PermissionDeniedError);
    const stream = (await failing('error_event', true)) as AsyncIterable<unknown>;
    const read = async () => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toMatchObject({ type: 'overloaded_error' });
  });
});
