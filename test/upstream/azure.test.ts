/** Azure OpenAI: its paths, keys, versions and faults, against the simulator's Azure and against scripted replies. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { checkDraft } from '../../src/config/check.ts';
import { openai as openaiDialect } from '../../src/dialects/openai/index.ts';
import type { Simulator } from '../../src/simulate/server.ts';
import { ask } from '../support/client.ts';
import { openaiWire, testModel } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { simulator } from '../support/simulate-client.ts';
import { answers, refuses, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const apiVersion = '2024-10-21';

describe('the official SDKs against the simulated Azure', () => {
  let azure: Simulator;
  let sidecar: TestSidecar;
  let openai: OpenAI;
  let anthropic: Anthropic;
  beforeAll(async () => {
    azure = await simulator();
    const apiKey = 'azure-key';
    sidecar = await startTestSidecar({
      cache: { enabled: false },
      providers: {
        v1: { preset: 'azure', baseUrl: `${azure.url}/openai/v1`, apiKey },
        deployments: { preset: 'azure-deployments', baseUrl: `${azure.url}/openai`, apiVersion, apiKey },
        responses: { preset: 'azure-responses', baseUrl: `${azure.url}/openai/v1`, apiKey },
      },
      routes: ['v1', 'deployments', 'responses'].map((provider) => ({
        model: `${provider}/*`,
        targets: [{ provider, model: '*' }],
      })),
    });
    openai = new OpenAI({ apiKey: 'k', baseURL: `${sidecar.url}/v1`, maxRetries: 0 });
    anthropic = new Anthropic({ apiKey: 'k', baseURL: sidecar.url, maxRetries: 0 });
  });
  afterAll(async () => {
    await sidecar.stop();
    await azure.close();
  });

  const messages = [{ role: 'user' as const, content: 'Hello there' }];

  test.each(['v1', 'deployments', 'responses'])(
    'chat, whole and streamed, from any client: %s',
    async (name) => {
      const model = `${name}/my-own-name`;
      const whole = await openai.chat.completions.create({ model, messages });
      expect(whole.choices[0]?.message.content).toContain('Hello there');
      const stream = openai.chat.completions.stream({
        model,
        messages,
        stream_options: { include_usage: true },
      });
      const final = await stream.finalChatCompletion();
      expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
      expect(final.usage?.completion_tokens).toBeGreaterThan(0);
      const asked = { model, max_tokens: 200, messages };
      expect(await anthropic.messages.stream(asked).finalText()).toContain('Hello there');
      const response = await openai.responses.create({ model, input: 'Hello there' });
      expect(response.output_text).toContain('Hello there');
    },
  );

  test.each(['v1', 'deployments'])('embeddings: %s', async (name) => {
    const { data } = await openai.embeddings.create({ model: `${name}/embedder`, input: ['one', 'two'] });
    expect(data).toHaveLength(2);
  });

  test.each(['v1', 'deployments'])('what is beside chat: %s', async (name) => {
    const model = `${name}/artist`;
    const { data } = await openai.images.generate({ model, prompt: 'A fish', response_format: 'b64_json' });
    expect(data).toHaveLength(1);
    const speech = await openai.audio.speech.create({ model, voice: 'alloy', input: 'Hello' });
    expect((await speech.arrayBuffer()).byteLength).toBeGreaterThan(0);
  });

  test('content filter results reach an app of the same dialect', async () => {
    const model = 'v1/my-own-name';
    const whole = await openai.chat.completions.create({ model, messages });
    expect(whole).toHaveProperty('prompt_filter_results');
    const stream = await openai.chat.completions.create({ model, messages, stream: true });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks[0]).toMatchObject({ choices: [], prompt_filter_results: [{ prompt_index: 0 }] });
  });
});

/** A sidecar in front of a scripted Azure, with a spare target for what content policy refuses. */
async function before(
  more: ConfigInput['providers'] & object,
  ...scripts: Script[]
): Promise<{ url: string; azure: Upstream; spare: Upstream; own: TestSidecar }> {
  const [azure, spare] = await Promise.all([
    startUpstream(...scripts),
    startUpstream(answers(openaiWire, 'From the spare')),
  ]);
  const origin = azure.baseUrl.replace(/\/v1$/, '');
  const own = await startTestSidecar({
    cache: { enabled: false },
    providers: {
      ...Object.fromEntries(
        Object.entries(more).map(([name, provider]) => [
          name,
          { apiKey: 'azure-key', ...provider, baseUrl: origin + (provider?.baseUrl ?? '/openai/v1') },
        ]),
      ),
      spare: { dialect: 'openai', baseUrl: spare.baseUrl },
    },
    routes: [
      { model: testModel, targets: [{ provider: 'azure', model: 'my gpt' }] },
      {
        model: 'safe',
        targets: [{ provider: 'azure' }, { provider: 'spare', on: ['content_policy', 'rate_limited'] }],
      },
    ],
    attempt: { retriesMax: 0, backoffBaseMs: 0 },
  });
  onTestFinished(async () => {
    await own.stop();
    await Promise.all([azure.close(), spare.close()]);
  });
  return { url: own.url, azure, spare, own };
}

const good = answers(openaiWire, 'ok');
const chat = (url: string, more: object = {}) =>
  ask(url, openaiWire.path, { body: { ...openaiWire.request('Hi'), ...more } });

test.each([
  ['v1', { preset: 'azure' }, '/openai/v1/chat/completions'],
  [
    'v1 with a version',
    { preset: 'azure', apiVersion: 'preview' },
    '/openai/v1/chat/completions?api-version=preview',
  ],
  [
    'a query in the base URL',
    { preset: 'azure', baseUrl: '/openai/v1/?api-version=preview&x=1' },
    '/openai/v1/chat/completions?api-version=preview&x=1',
  ],
  [
    'deployments',
    { preset: 'azure-deployments', baseUrl: '/openai', apiVersion },
    `/openai/deployments/my%20gpt/chat/completions?api-version=${apiVersion}`,
  ],
])('the path and the key of %s', async (_, azureConfig, path) => {
  const { url, azure } = await before({ azure: azureConfig }, good);
  expect((await chat(url)).status).toBe(200);
  const [call] = azure.calls;
  expect(call?.path).toBe(path);
  expect(call?.headers).toMatchObject({ 'api-key': 'azure-key' });
  expect(call?.headers.authorization).toBeUndefined();
  expect(call?.json.model).toBe('my gpt');
  // Across dialects the path is the same, and a limit goes by the name that all of Azure's models know.
  await ask(url, '/v1/messages', {
    body: { model: testModel, max_tokens: 50, messages: [{ role: 'user', content: 'Hi' }] },
  });
  expect(azure.calls[1]?.path).toBe(path);
  expect(azure.calls[1]?.json).toMatchObject({ max_completion_tokens: 50 });
});

test('a query is added to one that a path already has', async () => {
  const gemini = { dialect: 'gemini' as const, baseUrl: '/v1beta?tenant=a' };
  const { url, azure } = await before({ azure: gemini }, (call) => call.whole(404, {}, ''));
  await ask(url, openaiWire.path, { body: openaiWire.request('Hi', { stream: true }) });
  expect(azure.calls[0]?.path).toBe('/v1beta/models/my%20gpt:streamGenerateContent?alt=sse&tenant=a');
});

const json = { 'content-type': 'application/json' };
/** Azure's reply to a prompt that its filter refuses. */
const filtered = {
  error: {
    message:
      "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    type: null,
    param: 'prompt',
    code: 'content_filter',
    status: 400,
    innererror: {
      code: 'ResponsibleAIPolicyViolation',
      content_filter_result: { hate: { filtered: true, severity: 'high' } },
    },
  },
};

describe('faults', () => {
  test('row 26: the refusal of a filtered prompt is passed on unchanged, or translated into another dialect', async () => {
    const refusal = refuses({ status: 400, headers: json, body: JSON.stringify(filtered) });
    const { url, own } = await before({ azure: { preset: 'azure' } }, refusal);
    const reply = await chat(url);
    expect([reply.status, JSON.parse(reply.text)]).toEqual([400, filtered]);
    const across = await ask(url, '/v1/messages', {
      body: { model: testModel, max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] },
    });
    expect([across.status, JSON.parse(across.text).error.message]).toEqual([400, filtered.error.message]);
    expect(await own.metrics()).toMatch(/sidegate_breaker_state\{target="azure\/my gpt"\} 0/);
  });

  test('row 26: with an edge for content policy the next target answers', async () => {
    const refusal = refuses({ status: 400, headers: json, body: JSON.stringify(filtered) });
    const { url } = await before({ azure: { preset: 'azure' } }, refusal);
    expect((await chat(url, { model: 'safe' })).text).toContain('From the spare');
  });

  test('a reply filtered midway ends as filtered, and is not stored', async () => {
    const chunk = (choices: object[], more: object = {}): string =>
      `data: ${JSON.stringify({ id: '', object: '', created: 0, model: '', choices, ...more })}\n\n`;
    const stopped: Script = (call) => {
      call.streamHead();
      call.write(chunk([], { prompt_filter_results: [{ prompt_index: 0 }] }));
      call.write(openaiWire.opening + openaiWire.text('Hel'));
      call.write(chunk([{ index: 0, delta: {}, finish_reason: 'content_filter' }]));
      call.end(openaiWire.end);
    };
    const { url, azure } = await before({ azure: { preset: 'azure' } }, stopped);
    const asked = {
      model: testModel,
      max_tokens: 50,
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
    };
    const { text } = await ask(url, '/v1/messages', { body: asked });
    expect(text).toContain('"stop_reason":"refusal"');
    expect(text).toContain('Hel');
    await ask(url, '/v1/messages', { body: asked });
    expect(azure.calls).toHaveLength(2);
  });

  test('row 4: annotations of a late filter after the finish reason do no harm', async () => {
    const late = JSON.stringify({
      id: '',
      object: '',
      created: 0,
      model: '',
      choices: [{ index: 0, finish_reason: null, content_filter_results: {}, content_filter_offsets: {} }],
    });
    const script: Script = (call) => {
      call.streamHead();
      call.write(openaiWire.opening + openaiWire.text('Hello') + openaiWire.finish());
      call.write(`data: ${late}\n\n`);
      call.end(openaiWire.end);
    };
    const { url } = await before({ azure: { preset: 'azure' } }, script);
    const own = await chat(url, { stream: true });
    expect([openaiWire.textOf(own.text), own.text.trimEnd().endsWith('[DONE]')]).toEqual(['Hello', true]);
    const asked = {
      model: testModel,
      max_tokens: 50,
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
    };
    expect((await ask(url, '/v1/messages', { body: asked })).text).toContain('"stop_reason":"end_turn"');
  });

  const said =
    'Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token ' +
    'rate limit of your current OpenAI S0 pricing tier. Please retry after 26 seconds.';
  test.each([
    ['the sentence', {}, 26_000],
    ['Retry-After', { 'retry-after': '12' }, 12_000],
    [
      'bare seconds until the reset',
      { 'x-ratelimit-reset-tokens': '55', 'x-ratelimit-remaining-tokens': '0' },
      55_000,
    ],
    [
      'a reset that tells nothing',
      { 'x-ratelimit-reset-tokens': '0', 'x-ratelimit-remaining-tokens': '-1' },
      26_000,
    ],
  ])('row 7: a 429 rests as long as %s says', (_, headers, retryAfterMs) => {
    const body = Buffer.from(JSON.stringify({ error: { code: '429', message: said } }));
    expect(openaiDialect.fault(429, headers, body, 0)).toEqual({ kind: 'rate_limited', retryAfterMs });
  });

  test('row 26: of several keys, one that Azure refuses cools down, and the next answers', async () => {
    const denied = {
      error: { code: '401', message: 'Access denied due to invalid subscription key or wrong API endpoint.' },
    };
    const refusal = refuses({ status: 401, headers: json, body: JSON.stringify(denied) });
    const { url, azure } = await before(
      { azure: { preset: 'azure', apiKeys: ['second-key'] } },
      refusal,
      good,
    );
    for (let n = 0; n < 2; n++) expect((await chat(url)).status).toBe(200);
    expect(azure.calls.map(({ headers }) => headers['api-key'])).toEqual([
      'azure-key',
      'second-key',
      'second-key',
    ]);
  });
});

test.each([
  [
    { preset: 'azure', apiKey: 'k' },
    'needs `baseUrl`: https://RESOURCE.openai.azure.com/openai/v1 with the name of your resource',
  ],
  [
    { preset: 'azure-deployments', baseUrl: 'https://x.openai.azure.com/openai', apiKey: 'k' },
    'needs `apiVersion`, such as "2024-10-21"',
  ],
  [
    { preset: 'azure', baseUrl: 'https://x.openai.azure.com/openai/v1?api-key=abc', apiKey: 'k' },
    'must contain no credentials: use `apiKey`',
  ],
  [
    {
      preset: 'azure',
      baseUrl: 'https://x.openai.azure.com/openai/v1',
      apiKey: 'k',
      credential: 'azure' as const,
    },
    'has no effect together with `credential: azure`: remove one of them',
  ],
  [
    { preset: 'azure-deployments', baseUrl: 'https://x.openai.azure.com/openai?api-version=1', apiKey: 'k' },
    null,
  ],
  [{ preset: 'azure', baseUrl: 'https://x.openai.azure.com/openai/v1', credential: 'azure' as const }, null],
])('check: %j', (azure, message) => {
  const draft = {
    authenticate: { anonymousTenant: 'a' },
    providers: { azure },
    routes: [{ model: 'm', targets: [{ provider: 'azure' }] }],
  };
  const { faults } = checkDraft(draft, JSON.stringify as never);
  expect(faults.map((fault) => fault.message)).toEqual(message === null ? [] : [message]);
});
