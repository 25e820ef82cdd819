/** The official SDKs before simulated providers of every dialect: a table of client and provider. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestSidecar, type TestSidecar } from '../sidecar.ts';

/** Presets that answer by themselves, one for each dialect of a provider. */
const simulators = {
  openai: 'simulator',
  anthropic: 'simulator-anthropic',
  gemini: 'simulator-gemini',
  bedrock: 'simulator-bedrock',
  responses: 'simulator-responses',
  cohere: 'simulator-cohere',
  replicate: 'simulator-replicate',
} as const;
const providers = Object.keys(simulators) as (keyof typeof simulators)[];

/** Predictions are text out of text, in one piece: no tools, no schemas, and no streams that could break off. */
const isTextOnly = (provider: string): boolean => provider === 'replicate';
/** The model a provider is asked for, where any name won't do. */
const models: Readonly<Record<string, string>> = { replicate: 'openai/gpt-4o' };

let sidecar: TestSidecar;
let openai: OpenAI;
let anthropic: Anthropic;
beforeAll(async () => {
  sidecar = await startTestSidecar({
    providers: Object.fromEntries(providers.map((name) => [name, { preset: simulators[name] }])),
    routes: providers.map((name) => ({
      model: `to-${name}`,
      targets: [{ provider: name, ...(models[name] === undefined ? {} : { model: models[name] }) }],
    })),
    cache: { enabled: false },
    attempt: { breaker: { failures: 1000 } },
  });
  openai = new OpenAI({ apiKey: 'k', baseURL: `${sidecar.url}/v1`, maxRetries: 0 });
  anthropic = new Anthropic({ apiKey: 'k', baseURL: sidecar.url, maxRetries: 0 });
});
afterAll(() => sidecar.stop());

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const parameters = {
  type: 'object' as const,
  properties: { city: { type: 'string' } },
  required: ['city'],
};
const schema = {
  type: 'object' as const,
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
};
const user = (content: string) => [{ role: 'user' as const, content }];

describe.each(providers)('openai SDK to %s', (provider) => {
  const model = `to-${provider}`;

  test('text', async () => {
    const reply = await openai.chat.completions.create({ model, messages: user('Hello there') });
    expect(reply.choices[0]?.message.content).toContain('Hello there');
    expect(reply.choices[0]?.finish_reason).toBe('stop');
    expect(reply.usage?.prompt_tokens).toBeGreaterThan(0);
    expect(reply.usage?.total_tokens).toBe(
      (reply.usage?.prompt_tokens ?? 0) + (reply.usage?.completion_tokens ?? 0),
    );
  });

  test('a stream, with its usage', async () => {
    const stream = openai.chat.completions.stream({
      model,
      messages: user('Hello there'),
      stream_options: { include_usage: true },
    });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.content).toContain('Hello there');
    expect(final.usage?.completion_tokens).toBeGreaterThan(0);
  });

  test('a limit of tokens', async () => {
    const reply = await openai.chat.completions.create({ model, messages: user('Hello'), max_tokens: 16 });
    expect(reply.choices[0]?.finish_reason).toBe('length');
  });

  const tools = [{ type: 'function' as const, function: { name: 'get_weather', parameters } }];

  test.skipIf(isTextOnly(provider))('a tool, called whole, and its result', async () => {
    const asked = await openai.chat.completions.create({
      model,
      messages: user('Weather?'),
      tools,
      tool_choice: 'required',
    });
    const message = asked.choices[0]?.message;
    const call = message?.tool_calls?.[0];
    if (message === undefined || call?.type !== 'function') throw new Error('no call');
    expect(asked.choices[0]?.finish_reason).toBe('tool_calls');
    expect(call.function.name).toBe('get_weather');
    expect(JSON.parse(call.function.arguments)).toHaveProperty('city');
    const answer = await openai.chat.completions.create({
      model,
      messages: [...user('Weather?'), message, { role: 'tool', tool_call_id: call.id, content: '-3 °C' }],
      tools,
    });
    expect(answer.choices[0]?.message.content).toContain('-3 °C');
  });

  test.skipIf(isTextOnly(provider))('a tool, its arguments streamed', async () => {
    const stream = openai.chat.completions.stream({
      model,
      messages: user('Weather?'),
      tools,
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
    });
    let pieces = 0;
    stream.on('tool_calls.function.arguments.delta', () => (pieces += 1));
    const final = await stream.finalChatCompletion();
    const call = final.choices[0]?.message.tool_calls?.[0];
    expect(call?.type === 'function' && JSON.parse(call.function.arguments)).toHaveProperty('city');
    expect(pieces).toBeGreaterThan(0);
  });

  test('an image', async () => {
    const content = [
      { type: 'text' as const, text: 'What is it?' },
      { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${png}` } },
    ];
    const reply = await openai.chat.completions.create({ model, messages: [{ role: 'user', content }] });
    expect(reply.choices[0]?.message.content).toMatch(/image/);
  });

  test.skipIf(isTextOnly(provider))('JSON by a schema', async () => {
    const reply = await openai.chat.completions.create({
      model,
      messages: user('Who?'),
      response_format: { type: 'json_schema', json_schema: { name: 'person', schema, strict: true } },
    });
    const person = JSON.parse(reply.choices[0]?.message.content ?? '');
    expect(Object.keys(person).sort()).toEqual(['age', 'name']);
  });

  test.each([
    ['bad_request', OpenAI.BadRequestError],
    ['not_found', OpenAI.NotFoundError],
    ['unprocessable', OpenAI.UnprocessableEntityError],
    ['context_window', OpenAI.BadRequestError],
    ['server_error', OpenAI.InternalServerError],
  ] as const)('the error %s', async (fault, kind) => {
    const asked = openai.chat.completions.create(
      { model, messages: user('Hello') },
      { headers: { 'x-simulate': `fault=${fault}` } },
    );
    await expect(asked).rejects.toThrow(kind);
  });

  test.skipIf(isTextOnly(provider))('a stream that breaks off', async () => {
    const stream = await openai.chat.completions.create(
      { model, messages: user('Hello'), stream: true },
      { headers: { 'x-simulate': 'fault=cut_stream' } },
    );
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow('broke off');
  });
});

describe.each(providers)('openai SDK, Responses API, to %s', (provider) => {
  const model = `to-${provider}`;

  test('text', async () => {
    const reply = await openai.responses.create({ model, input: 'Hello there', instructions: 'Be brief.' });
    expect(reply.output_text).toContain('Hello there');
    expect(reply.status).toBe('completed');
    expect(reply.usage?.input_tokens).toBeGreaterThan(0);
  });

  test('a stream, with its usage', async () => {
    const stream = openai.responses.stream({ model, input: 'Hello there' });
    let text = '';
    stream.on('response.output_text.delta', ({ delta }) => (text += delta));
    const final = await stream.finalResponse();
    expect(text).toContain('Hello there');
    expect(final.output_text).toBe(text);
    expect(final.usage?.output_tokens).toBeGreaterThan(0);
  });

  test('a limit of tokens', async () => {
    const reply = await openai.responses.create({ model, input: 'Hello', max_output_tokens: 16 });
    expect(reply.status).toBe('incomplete');
    expect(reply.incomplete_details?.reason).toBe('max_output_tokens');
  });

  const tools = [{ type: 'function' as const, name: 'get_weather', parameters, strict: false }];

  test.skipIf(isTextOnly(provider))('a tool, called whole, and its result', async () => {
    const input = user('Weather?');
    const called = await openai.responses.create({ model, input, tools, tool_choice: 'required' });
    const call = called.output.find(({ type }) => type === 'function_call');
    if (call?.type !== 'function_call') throw new Error('no call');
    expect(JSON.parse(call.arguments)).toHaveProperty('city');
    const answer = await openai.responses.create({
      model,
      input: [
        ...input,
        ...called.output.filter(({ type }) => type !== 'reasoning'),
        { type: 'function_call_output', call_id: call.call_id, output: '-3 °C' },
      ] as OpenAI.Responses.ResponseInput,
      tools,
    });
    expect(answer.output_text).toContain('-3 °C');
  });

  test.skipIf(isTextOnly(provider))('a tool, its arguments streamed', async () => {
    const stream = openai.responses.stream({
      model,
      input: 'Weather?',
      tools,
      tool_choice: { type: 'function', name: 'get_weather' },
    });
    let pieces = 0;
    stream.on('response.function_call_arguments.delta', () => (pieces += 1));
    const final = await stream.finalResponse();
    const call = final.output.find(({ type }) => type === 'function_call');
    expect(call?.type === 'function_call' && JSON.parse(call.arguments)).toHaveProperty('city');
    expect(pieces).toBeGreaterThan(0);
  });

  test('an image', async () => {
    const reply = await openai.responses.create({
      model,
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'What is it?' },
            { type: 'input_image', image_url: `data:image/png;base64,${png}`, detail: 'auto' },
          ],
        },
      ],
    });
    expect(reply.output_text).toMatch(/image/);
  });

  test.skipIf(isTextOnly(provider))('JSON by a schema', async () => {
    const reply = await openai.responses.create({
      model,
      input: 'Who?',
      text: { format: { type: 'json_schema', name: 'person', schema, strict: true } },
    });
    expect(Object.keys(JSON.parse(reply.output_text)).sort()).toEqual(['age', 'name']);
  });

  test.each([
    ['bad_request', OpenAI.BadRequestError],
    ['not_found', OpenAI.NotFoundError],
    ['server_error', OpenAI.InternalServerError],
  ] as const)('the error %s', async (fault, kind) => {
    const headers = { 'x-simulate': `fault=${fault}` };
    await expect(openai.responses.create({ model, input: 'Hello' }, { headers })).rejects.toThrow(kind);
  });

  test.skipIf(isTextOnly(provider))('a stream that breaks off', async () => {
    const headers = { 'x-simulate': 'fault=cut_stream' };
    const stream = await openai.responses.create({ model, input: 'Hello', stream: true }, { headers });
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow('broke off');
  });
});

describe.each(providers)('Anthropic SDK to %s', (provider) => {
  const model = `to-${provider}`;
  const asked = { model, max_tokens: 200 };

  test('text', async () => {
    const reply = await anthropic.messages.create({ ...asked, messages: user('Hello there') });
    expect(reply.content[0]).toMatchObject({ type: 'text', text: expect.stringContaining('Hello there') });
    expect(reply.stop_reason).toBe('end_turn');
    expect(reply.usage.input_tokens).toBeGreaterThan(0);
  });

  test('a stream, with its usage', async () => {
    const stream = anthropic.messages.stream({ ...asked, messages: user('Hello there') });
    expect(await stream.finalText()).toContain('Hello there');
    const final = await stream.finalMessage();
    expect(final.usage.output_tokens).toBeGreaterThan(0);
    expect(final.stop_reason).toBe('end_turn');
  });

  test('a limit of tokens', async () => {
    const reply = await anthropic.messages.create({ model, max_tokens: 16, messages: user('Hello') });
    expect(reply.stop_reason).toBe('max_tokens');
  });

  const tools = [{ name: 'get_weather', input_schema: parameters }];

  test.skipIf(isTextOnly(provider))('a tool, called whole, and its result', async () => {
    const called = await anthropic.messages.create({
      ...asked,
      messages: user('Weather?'),
      tools,
      tool_choice: { type: 'any' },
    });
    const call = called.content.find(({ type }) => type === 'tool_use');
    if (call?.type !== 'tool_use') throw new Error('no call');
    expect(called.stop_reason).toBe('tool_use');
    expect(call.input).toHaveProperty('city');
    const answer = await anthropic.messages.create({
      ...asked,
      messages: [
        ...user('Weather?'),
        { role: 'assistant', content: called.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: '-3 °C' }] },
      ],
      tools,
    });
    expect(answer.content[0]).toMatchObject({ text: expect.stringContaining('-3 °C') });
  });

  test.skipIf(isTextOnly(provider))('a tool, its arguments streamed', async () => {
    const stream = anthropic.messages.stream({
      ...asked,
      messages: user('Weather?'),
      tools,
      tool_choice: { type: 'tool', name: 'get_weather' },
    });
    let pieces = 0;
    stream.on('inputJson', () => (pieces += 1));
    const final = await stream.finalMessage();
    const call = final.content.find(({ type }) => type === 'tool_use');
    expect(call?.type === 'tool_use' && call.input).toHaveProperty('city');
    expect(pieces).toBeGreaterThan(0);
  });

  test('an image', async () => {
    const reply = await anthropic.messages.create({
      ...asked,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } },
            { type: 'text', text: 'What is it?' },
          ],
        },
      ],
    });
    expect(reply.content[0]).toMatchObject({ text: expect.stringMatching(/image/) });
  });

  test.skipIf(isTextOnly(provider))('JSON by a schema', async () => {
    const reply = await anthropic.messages.create({
      ...asked,
      messages: user('Who?'),
      output_config: { format: { type: 'json_schema', schema } },
    });
    const [block] = reply.content;
    const person = JSON.parse(block?.type === 'text' ? block.text : '');
    expect(Object.keys(person).sort()).toEqual(['age', 'name']);
  });

  test.each([
    ['bad_request', Anthropic.BadRequestError],
    ['not_found', Anthropic.NotFoundError],
    ['unprocessable', Anthropic.UnprocessableEntityError],
    ['context_window', Anthropic.BadRequestError],
    ['server_error', Anthropic.InternalServerError],
  ] as const)('the error %s', async (fault, kind) => {
    const failing = anthropic.messages.create(
      { ...asked, messages: user('Hello') },
      { headers: { 'x-simulate': `fault=${fault}` } },
    );
    await expect(failing).rejects.toThrow(kind);
  });

  test.skipIf(isTextOnly(provider))('a stream that breaks off', async () => {
    const stream = anthropic.messages.stream(
      { ...asked, messages: user('Hello') },
      { headers: { 'x-simulate': 'fault=cut_stream' } },
    );
    await expect(stream.finalMessage()).rejects.toThrow('broke off');
  });
});

describe.each(providers.filter(isTextOnly))('what %s can not be told', (provider) => {
  const model = `to-${provider}`;
  const tool = { type: 'function' as const, function: { name: 'get_weather', parameters } };

  test('tools and schemas are refused, and the field is named', async () => {
    const messages = user('Weather?');
    await expect(openai.chat.completions.create({ model, messages, tools: [tool] })).rejects.toThrow(
      '"tools"',
    );
    const response_format = { type: 'json_schema' as const, json_schema: { name: 'person', schema } };
    await expect(openai.chat.completions.create({ model, messages, response_format })).rejects.toThrow(
      '"response_format"',
    );
  });

  test('a reply that breaks off is none, streamed or not', async () => {
    const headers = { 'x-simulate': 'fault=cut_stream' };
    for (const stream of [false, true]) {
      const asked = openai.chat.completions.create({ model, messages: user('Hi'), stream }, { headers });
      await expect(asked).rejects.toThrow('No target could answer');
    }
  });

  test('a longer conversation goes as one text', async () => {
    const reply = await openai.chat.completions.create({
      model,
      messages: [
        { role: 'system', content: 'Be brief.' },
        ...user('First question'),
        { role: 'assistant', content: 'An answer' },
        ...user('Second question'),
      ],
    });
    expect(reply.choices[0]?.message.content).toContain('Second question');
    expect(reply.choices[0]?.message.content).not.toContain('First question');
  });
});
