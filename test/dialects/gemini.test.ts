/** Google's SDK with simulated providers of every dialect, and what only Gemini's dialect has. */
import Anthropic from '@anthropic-ai/sdk';
import { ApiError, type FunctionDeclaration, GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { openaiWire, testModel } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, echoes, refuses, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const simulators = {
  openai: 'simulator',
  anthropic: 'simulator-anthropic',
  gemini: 'simulator-gemini',
} as const;
const providers = Object.keys(simulators) as (keyof typeof simulators)[];

let sidecar: TestSidecar;
let genai: GoogleGenAI;
beforeAll(async () => {
  sidecar = await startTestSidecar({
    providers: Object.fromEntries(providers.map((name) => [name, { preset: simulators[name] }])),
    routes: [
      ...providers.map((name) => ({ model: `to-${name}`, targets: [{ provider: name }] })),
      { model: 'signed', targets: [{ provider: 'gemini', model: 'gemini-3-flash' }] },
    ],
    cache: { enabled: false },
  });
  genai = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: sidecar.url } });
});
afterAll(() => sidecar.stop());

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const declaration: FunctionDeclaration = { name: 'get_weather', parametersJsonSchema: parameters };
const tools = [{ functionDeclarations: [declaration] }];
const forced = { functionCallingConfig: { mode: 'ANY' as never } };

describe.each(providers)('Google SDK to %s', (provider) => {
  const model = `to-${provider}`;

  test('text', async () => {
    const reply = await genai.models.generateContent({ model, contents: 'Hello there' });
    expect(reply.text).toContain('Hello there');
    expect(reply.candidates?.[0]?.finishReason).toBe('STOP');
    const { promptTokenCount = 0, candidatesTokenCount = 0, totalTokenCount } = reply.usageMetadata ?? {};
    expect(Math.min(promptTokenCount, candidatesTokenCount)).toBeGreaterThan(0);
    expect(totalTokenCount).toBe(promptTokenCount + candidatesTokenCount);
  });

  test('a stream, with its usage; a chat keeps its history', async () => {
    const chat = genai.chats.create({ model });
    let text = '';
    let counted = 0;
    for await (const chunk of await chat.sendMessageStream({ message: 'Hello there' })) {
      text += chunk.text ?? '';
      counted = chunk.usageMetadata?.candidatesTokenCount ?? counted;
    }
    expect(text).toContain('Hello there');
    expect(counted).toBeGreaterThan(0);
    expect(chat.getHistory(true).map(({ role }) => role)).toContain('model');
    expect((await chat.sendMessage({ message: 'And again' })).text).toContain('And again');
  });

  test('a token limit', async () => {
    const config = { maxOutputTokens: 5 };
    const reply = await genai.models.generateContent({ model, contents: 'Hello', config });
    expect(reply.candidates?.[0]?.finishReason).toBe('MAX_TOKENS');
  });

  test.each([false, true])('a tool and its result (stream: %s)', async (stream) => {
    const asked = { model, contents: 'Weather?', config: { tools, toolConfig: forced } };
    const chunks = [];
    if (stream) for await (const one of await genai.models.generateContentStream(asked)) chunks.push(one);
    else chunks.push(await genai.models.generateContent(asked));
    const parts = chunks.flatMap((one) => one.candidates?.[0]?.content?.parts ?? []);
    const call = parts.find(({ functionCall }) => functionCall !== undefined)?.functionCall;
    expect(call).toMatchObject({ name: 'get_weather', args: { city: expect.any(String) } });
    const result = { name: 'get_weather', id: call?.id, response: { output: '-3 °C' } };
    const answer = await genai.models.generateContent({
      model,
      contents: [
        { role: 'user', parts: [{ text: 'Weather?' }] },
        { role: 'model', parts: parts.filter(({ text }) => text === undefined) },
        { role: 'user', parts: [{ functionResponse: JSON.parse(JSON.stringify(result)) }] },
      ],
      config: { tools },
    });
    expect(answer.text).toContain('-3 °C');
  });

  test('an image', async () => {
    const parts = [{ inlineData: { mimeType: 'image/png', data: png } }, { text: 'What is it?' }];
    const reply = await genai.models.generateContent({ model, contents: [{ role: 'user', parts }] });
    expect(reply.text).toMatch(/image/);
  });

  test('JSON by a schema', async () => {
    const schema = {
      type: 'object',
      properties: { name: { type: 'string' }, age: { type: 'integer' } },
      required: ['name', 'age'],
      additionalProperties: false,
    };
    const config = { responseMimeType: 'application/json', responseJsonSchema: schema };
    const reply = await genai.models.generateContent({ model, contents: 'Who?', config });
    expect(Object.keys(JSON.parse(reply.text ?? '')).sort()).toEqual(['age', 'name']);
  });

  test.each([
    ['bad_request', 400],
    ['not_found', 404],
    ['unprocessable', 422],
    ['context_window', 400],
    ['server_error', 503],
  ])('the error %s', async (fault, status) => {
    const config = { httpOptions: { headers: { 'x-simulate': `fault=${fault}` } } };
    const failing = genai.models.generateContent({ model, contents: 'Hello', config });
    const error: unknown = await failing.catch((cause: unknown) => cause);
    if (!(error instanceof ApiError)) throw new Error('no error of the SDK');
    expect(Math.floor(error.status / 100)).toBe(Math.floor(status / 100));
    expect(JSON.parse(error.message).error).toMatchObject({
      code: error.status,
      message: expect.any(String),
    });
  });

  test('a stream that is cut', async () => {
    const config = { httpOptions: { headers: { 'x-simulate': 'fault=cut_stream' } } };
    const stream = await genai.models.generateContentStream({ model, contents: 'Hello', config });
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow('broke off');
  });
});

describe('signatures of calls are sent back to Gemini', () => {
  const model = 'signed';
  const user = [{ role: 'user' as const, content: 'Weather?' }];

  test.each([false, true])("through OpenAI's SDK (stream: %s)", async (stream) => {
    const client = new OpenAI({ apiKey: 'k', baseURL: `${sidecar.url}/v1`, maxRetries: 0 });
    const functions = [{ type: 'function' as const, function: { name: 'get_weather', parameters } }];
    const asked = { model, messages: user, tools: functions, tool_choice: 'required' as const };
    const reply = stream
      ? await client.chat.completions.stream(asked).finalChatCompletion()
      : await client.chat.completions.create(asked);
    const message = reply.choices[0]?.message;
    const call = message?.tool_calls?.[0];
    if (message === undefined || call === undefined) throw new Error('no call');
    expect(call).toHaveProperty('extra_content.google.thought_signature');
    const result = { role: 'tool' as const, tool_call_id: call.id, content: '-3 °C' };
    const messages = [...user, message, result];
    const answer = await client.chat.completions.create({ model, messages, tools: functions });
    expect(answer.choices[0]?.message.content).toContain('-3 °C');
    // A changed one is refused, which shows that it was looked at.
    Object.assign(call, { extra_content: { google: { thought_signature: 'Zm9yZ2Vk' } } });
    await expect(client.chat.completions.create({ model, messages, tools: functions })).rejects.toThrow(
      'Invalid thought signature',
    );
  });

  test.each([false, true])("through Anthropic's SDK (stream: %s)", async (stream) => {
    const client = new Anthropic({ apiKey: 'k', baseURL: sidecar.url, maxRetries: 0 });
    const given = [{ name: 'get_weather', input_schema: { ...parameters, type: 'object' as const } }];
    const asked = {
      model,
      max_tokens: 200,
      messages: user,
      tools: given,
      tool_choice: { type: 'any' as const },
    };
    const reply = stream
      ? await client.messages.stream(asked).finalMessage()
      : await client.messages.create(asked);
    const call = reply.content.find(({ type }) => type === 'tool_use');
    if (call?.type !== 'tool_use') throw new Error('no call');
    expect(reply.content.map(({ type }) => type)).toContain('redacted_thinking');
    const result = { type: 'tool_result' as const, tool_use_id: call.id, content: '-3 °C' };
    const answer = (content: typeof reply.content): Promise<Anthropic.Message> =>
      client.messages.create({
        model,
        max_tokens: 200,
        messages: [...user, { role: 'assistant', content }, { role: 'user', content: [result] }],
        tools: given,
      });
    expect(JSON.stringify((await answer(reply.content)).content)).toContain('-3 °C');
    // An app that leaves thinking out loses nothing but what the model had thought.
    const bare = reply.content.filter(({ type }) => type === 'tool_use');
    expect(JSON.stringify((await answer(bare)).content)).toContain('-3 °C');
  });
});

/** A sidecar with one provider under the test's control. */
async function before(
  script: Script,
  dialect: 'gemini' | 'openai' = 'gemini',
): Promise<{ url: string; upstream: Upstream; own: TestSidecar }> {
  const upstream = await startUpstream(script);
  const own = await startTestSidecar({
    authenticate: {
      keys: [
        {
          id: 'app',
          // SHA-256 of `app-key`.
          sha256: '2924a27d7fc715372a952b03583ae5f1221556bcdabbf2a57ff5de577efe11c1',
          tenant: 'app',
        },
      ],
    },
    providers: { p: { dialect, baseUrl: upstream.baseUrl, apiKey: 'provider-key' } },
    routes: [
      { model: testModel, targets: [{ provider: 'p' }] },
      { model: 'alias', targets: [{ provider: 'p', model: 'real name' }] },
      { model: 'other', targets: [{ provider: 'p', model: testModel }] },
    ],
    attempt: { retriesMax: 0, backoffBaseMs: 0 },
  });
  onTestFinished(async () => {
    await own.stop();
    await upstream.close();
  });
  return { url: own.url, upstream, own };
}

const pathTo = (model: string, method = 'generateContent'): string => `/v1beta/models/${model}:${method}`;
const body = (text: string): unknown => geminiWire.request(text);
const key = { 'x-goog-api-key': 'app-key' };

describe('passed through', () => {
  test('bytes pass unchanged, to the model and the method of the path', async () => {
    const { url, upstream } = await before(answers(geminiWire, 'Grüße'));
    const sent = '{ "contents":[{"parts":[{"text":"Hi é"}]}], "futureField": [1.0] }';
    const whole = await ask(url, pathTo('alias'), { body: sent, headers: key });
    expect(whole.text).toBe(geminiWire.whole('Grüße'));
    const streamed = await ask(url, `${pathTo('alias', 'streamGenerateContent')}?alt=sse`, {
      body: sent,
      headers: key,
    });
    expect(streamed.text).toBe(geminiWire.stream('Grüße').join(''));
    expect(
      upstream.calls.map(({ path, body: got, headers }) => [path, got.toString(), headers['x-goog-api-key']]),
    ).toEqual([
      ['/v1/models/real%20name:generateContent', sent, 'provider-key'],
      ['/v1/models/real%20name:streamGenerateContent?alt=sse', sent, 'provider-key'],
    ]);
  });

  test('without alt=sse a stream is one list, from the cache too, including errors', async () => {
    const { url, upstream } = await before(answers(geminiWire, 'One ', 'two'));
    for (const status of ['fwd=uri-miss', 'hit']) {
      const reply = await ask(url, pathTo(testModel, 'streamGenerateContent'), {
        body: body('Hi'),
        headers: key,
      });
      expect(reply.headers['content-type']).toContain('application/json');
      expect(reply.headers['cache-status']).toContain(status);
      const texts = JSON.parse(reply.text).map(
        (event: { candidates: { content: { parts: { text: string }[] } }[] }) =>
          event.candidates[0]?.content.parts[0]?.text,
      );
      expect(texts.join('')).toBe('One two');
    }
    upstream.answer((call) => {
      call.streamHead();
      call.write(geminiWire.text('Hello'));
      call.cut();
    });
    const cut = await ask(url, pathTo(testModel, 'streamGenerateContent'), {
      body: body('Cut'),
      headers: key,
    });
    const list = JSON.parse(cut.text);
    expect(list).toHaveLength(2);
    expect(list[1].error).toMatchObject({ code: 502, details: [{ reason: 'stream_cut' }] });
  });

  test('the cache and idempotency keys distinguish the model and the method of the path', async () => {
    const { url, upstream } = await before(answers(geminiWire, 'x'));
    const send = (path: string, more = {}) =>
      ask(url, path, { body: body('Hi'), headers: { ...key, ...more } });
    await send(pathTo(testModel));
    expect((await send(pathTo(testModel))).headers['cache-status']).toContain('hit');
    expect((await send(pathTo('other'))).headers['cache-status']).toContain('fwd');
    expect(
      (await send(`${pathTo(testModel, 'streamGenerateContent')}?alt=sse`)).headers['cache-status'],
    ).toContain('fwd');
    expect(upstream.calls).toHaveLength(3);
    await send(pathTo(testModel), { 'idempotency-key': 'k' });
    expect((await send(pathTo('other'), { 'idempotency-key': 'k' })).status).toBe(422);
  });

  test('personal data is masked in the request and restored in the reply', async () => {
    const address = 'ann.smith@example.com';
    const { url, upstream } = await before(
      echoes(geminiWire, (token) => [
        `to ${token.slice(0, 4)}`,
        `${token.slice(4)} and ${token.slice(0, 9)}`,
        `${token.slice(9)}.`,
      ]),
      'gemini',
    );
    const sent = {
      systemInstruction: { parts: [{ text: `You write for ${address}.` }] },
      ...geminiWire.request(`Write to ${address}`),
    };
    for (const path of [
      pathTo(testModel),
      `${pathTo(testModel, 'streamGenerateContent')}?alt=sse`,
      pathTo(testModel, 'streamGenerateContent'),
    ]) {
      const reply = await ask(url, path, { body: sent, headers: key });
      const text = path.endsWith('sse')
        ? geminiWire.textOf(reply.text)
        : reply.text.replaceAll(/"\}.*?"text":"/gs, '');
      expect(text).toContain(`to ${address} and ${address}.`);
    }
    for (const call of upstream.calls) expect(call.body.toString()).not.toContain(address);
  });
});

describe('keys', () => {
  test.each([
    ['x-goog-api-key', '', key],
    ['the query', '?key=app-key', {}],
    ['Authorization', '', { authorization: 'Bearer app-key' }],
  ])('%s', async (_, query, headers) => {
    const { url, own } = await before(answers(geminiWire, 'x'));
    expect((await ask(url, pathTo(testModel) + query, { body: body('Hi'), headers })).status).toBe(200);
    expect(own.logText()).not.toContain('app-key');
  });

  test('a missing or wrong one is a 401 in the dialect, and is never logged', async () => {
    const { url, own } = await before(answers(geminiWire, 'x'));
    const missing = await ask(url, pathTo(testModel), { body: body('Hi') });
    expect(missing.status).toBe(401);
    expect(JSON.parse(missing.text).error).toMatchObject({
      code: 401,
      status: 'UNAUTHENTICATED',
      details: [{ reason: 'missing_key' }],
    });
    const wrong = await ask(url, `${pathTo(testModel)}?key=another-key`, { body: body('Hi') });
    expect(JSON.parse(wrong.text).error.details[0].reason).toBe('wrong_key');
    expect(own.logText()).not.toContain('another-key');
  });
});

test('RetryInfo in a 429 determines the cooldown of the target', async () => {
  const details = [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '7.2s' }];
  const error = { code: 429, message: 'Later.', status: 'RESOURCE_EXHAUSTED', details };
  const headers = { 'content-type': 'application/json' };
  const { url } = await before(refuses({ status: 429, headers, body: JSON.stringify({ error }) }));
  const reply = await ask(url, openaiWire.path, {
    body: openaiWire.request('Hi'),
    headers: { authorization: 'Bearer app-key' },
  });
  expect(reply.status).toBe(429);
  expect(openaiWire.errorOf(reply.text)).toMatchObject({ message: 'Later.', code: 'RESOURCE_EXHAUSTED' });
  expect(Number(reply.headers['retry-after'])).toBeGreaterThan(6);
});

test('models are listed and found in the dialect', async () => {
  const { url } = await before(answers(geminiWire, 'x'));
  const list = await ask(url, '/v1beta/models', { method: 'GET', headers: key });
  expect(JSON.parse(list.text).models.map(({ name }: { name: string }) => name)).toContain(
    `models/${testModel}`,
  );
  const one = await ask(url, `/v1beta/models/${testModel}`, { method: 'GET', headers: key });
  expect(JSON.parse(one.text).name).toBe(`models/${testModel}`);
});
