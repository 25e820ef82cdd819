/** The official OpenAI SDK's client of Azure, unmodified, through the sidecar: `endpoint` is all that changes. */
import { createHash } from 'node:crypto';
import OpenAI, { AzureOpenAI, toFile } from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { anthropicWire, openaiWire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const apiKey = 'sg-azure-app';
const sha256 = createHash('sha256').update(apiKey).digest('hex');
const apiVersion = '2024-10-21';
const messages = [{ role: 'user' as const, content: 'hi' }];

let running: { readonly sidecar: TestSidecar; readonly upstream: Upstream } | null = null;

afterEach(async () => {
  await running?.sidecar.stop();
  await running?.upstream.close();
  running = null;
});

async function start(script: Script, more: ConfigInput = {}) {
  const upstream = await startUpstream(script);
  const { baseUrl } = upstream;
  const sidecar = await startTestSidecar({
    authenticate: { keys: [{ id: 'app', sha256, tenant: 'team' }] },
    providers: {
      o: { dialect: 'openai', baseUrl, apiKey: 'provider-key', passthrough: 'unscrubbed' },
      a: { dialect: 'anthropic', baseUrl, apiKey: 'provider-key' },
      sim: { preset: 'simulator' },
    },
    routes: [
      { model: 'chat', targets: [{ provider: 'o' }] },
      { model: 'my chat/4', targets: [{ provider: 'o', model: 'gpt-4.1' }] },
      { model: 'claude', targets: [{ provider: 'a', model: 'claude-sonnet-4-5' }] },
      { model: 'media', targets: [{ provider: 'sim', model: 'sim-media' }] },
    ],
    attempt: { backoffBaseMs: 0, retriesMax: 0 },
    ...more,
  });
  running = { sidecar, upstream };
  const options = { endpoint: sidecar.url, apiKey, apiVersion, maxRetries: 0 };
  const azure = (more: object = {}): AzureOpenAI => new AzureOpenAI({ ...options, ...more });
  return { sidecar, upstream, azure };
}

const json =
  (body: object): Script =>
  (call) =>
    call.whole(200, { 'content-type': 'application/json' }, JSON.stringify(body));

describe('chat', () => {
  test('whole: the deployment is the model, and the provider sees neither key nor version of the app', async () => {
    const { sidecar, upstream, azure } = await start(answers(openaiWire, 'Hi there!'));
    const { data, request_id } = await azure()
      .chat.completions.create({ model: 'chat', messages })
      .withResponse();
    expect(data.choices[0]?.message.content).toBe('Hi there!');
    const [call] = upstream.calls;
    expect(call?.path).toBe('/v1/chat/completions');
    expect(call?.json).toEqual({ model: 'chat', messages });
    expect(JSON.stringify(call?.headers)).not.toContain(apiKey);
    const record = await sidecar.recordWhere(({ requestId }) => requestId === request_id);
    expect(record).toMatchObject({ endpoint: 'chat', model: 'chat', keyId: 'app', tenant: 'team' });
    expect(sidecar.logText()).not.toContain(apiKey);
  });

  test.each([
    ['another model', 'gpt-4o'],
    ['the same model', 'my chat/4'],
    ["a provider's model", 'gpt-4.1'],
    ['a model with escapes', 'g"\\p'],
    ['no model', undefined],
    ['null', null],
  ])('the deployment counts, though the body has %s', async (_, model) => {
    const { upstream, azure } = await start(answers(openaiWire, 'ok'));
    const client = azure({ deployment: 'my chat/4' });
    await client.chat.completions.create({ messages, model: model as string, temperature: 1 });
    expect(upstream.calls[0]?.json).toEqual({ messages, model: 'gpt-4.1', temperature: 1 });
    expect(upstream.calls[0]?.body.toString().match(/"model"/g)).toHaveLength(1);
  });

  test('a model that the key may not use stays forbidden, whatever the body says', async () => {
    const keys = [{ id: 'app', sha256, tenant: 'team', models: ['chat'] }];
    const { azure } = await start(answers(openaiWire, 'ok'), { authenticate: { keys } });
    const asked = azure({ deployment: 'claude' }).chat.completions.create({ model: 'chat', messages });
    await expect(asked).rejects.toBeInstanceOf(OpenAI.PermissionDeniedError);
  });

  test('streamed, with usage if it is wanted', async () => {
    const { azure } = await start(answers(openaiWire, 'one ', 'two'));
    const stream = await azure().chat.completions.create({
      model: 'chat',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let tokens = 0;
    for await (const { choices, usage } of stream) {
      text += choices[0]?.delta.content ?? '';
      tokens += usage?.total_tokens ?? 0;
    }
    expect([text, tokens]).toEqual(['one two', 40]);
  });

  test('the same by either path is one answer of the cache', async () => {
    const { sidecar, upstream, azure } = await start(answers(openaiWire, 'ok'));
    await azure({ deployment: 'chat' }).chat.completions.create({ model: 'chat', messages });
    const plain = new OpenAI({ baseURL: `${sidecar.url}/v1`, apiKey });
    const { response } = await plain.chat.completions.create({ model: 'chat', messages }).withResponse();
    expect(response.headers.get('cache-status')).toContain('hit');
    expect(upstream.calls).toHaveLength(1);
  });

  test('personal data is masked in a body that another model was written into, however long', async () => {
    const { sidecar, azure } = await start(answers(openaiWire, 'ok'));
    const content = `Write to alice@example.com ${'and on '.repeat(30_000)}`;
    const { data, request_id } = await azure({ deployment: 'media' })
      .chat.completions.create({ messages: [{ role: 'user', content }], model: 'gpt-4o' })
      .withResponse();
    expect(data.choices[0]?.message.content).toContain('alice@example.com');
    const record = await sidecar.recordWhere(({ requestId }) => requestId === request_id);
    expect(record).toMatchObject({ model: 'media', scrubbed: 'email=1' });
  });

  test('an idempotency key repeats its reply', async () => {
    const { upstream, azure } = await start(answers(openaiWire, 'ok'), { cache: { enabled: false } });
    const ask = () =>
      azure({ deployment: 'chat' }).chat.completions.create(
        { model: 'gpt-4o', messages },
        { headers: { 'idempotency-key': 'once' } },
      );
    expect(await ask()).toEqual(await ask());
    expect(upstream.calls).toHaveLength(1);
  });

  test("tools go to Anthropic and back, in each side's own words", async () => {
    const script: Script = (call) => {
      call.streamHead();
      const events = [anthropicWire.opening, anthropicWire.toolBegins];
      call.end(
        [...events, anthropicWire.toolArguments('{"city":"Rome"}'), anthropicWire.finish('tool')].join('') +
          anthropicWire.end,
      );
    };
    const { upstream, azure } = await start(script);
    const parameters = { type: 'object', properties: { city: { type: 'string' } } };
    const stream = azure().chat.completions.stream({
      model: 'claude',
      messages,
      tools: [{ type: 'function', function: { name: 'get_weather', parameters } }],
    });
    const { choices } = await stream.finalChatCompletion();
    const [call] = choices[0]?.message.tool_calls ?? [];
    expect(call).toMatchObject({ type: 'function', function: { arguments: '{"city":"Rome"}' } });
    expect(upstream.calls[0]?.path).toBe('/v1/messages');
    expect(upstream.calls[0]?.json).toMatchObject({ model: 'claude-sonnet-4-5', stream: true });
  });

  test('Anthropic answers whole, too', async () => {
    const { azure } = await start(answers(anthropicWire, 'Ciao'));
    const reply = await azure({ deployment: 'claude' }).chat.completions.create({
      model: 'gpt-4o',
      messages,
    });
    expect(reply.choices[0]?.message.content).toBe('Ciao');
  });
});

describe('errors have the shape and the class of the SDK', () => {
  test.each([
    ['a wrong key', { apiKey: 'wrong' }, 'chat', OpenAI.AuthenticationError, 'wrong_key'],
    ['an unknown deployment', {}, 'nope', OpenAI.NotFoundError, 'model_not_found'],
    [
      'two keys that differ',
      { defaultHeaders: { authorization: 'Bearer other' } },
      'chat',
      OpenAI.BadRequestError,
      'invalid_header',
    ],
  ])('%s', async (_, more, model, type, code) => {
    const { azure } = await start(answers(openaiWire, 'ok'));
    const error: unknown = await azure(more)
      .chat.completions.create({ model, messages })
      .catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ code, requestID: expect.stringMatching(/^req_/) });
  });

  test.each([
    ['get', '/deployments/chat/chat/completions', 405, 'method_not_allowed'],
    ['post', '/deployments/chat/assistants', 404, 'not_found'],
    ['post', '/deployments/%ff/chat/completions', 404, 'not_found'],
  ] as const)('%s %s', async (method, path, status, code) => {
    const { azure } = await start(answers(openaiWire, 'ok'));
    const error: unknown = await azure()
      [method](path, method === 'post' ? { body: {} } : {})
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject({ status, code });
  });
});

describe('what else a deployment is asked for', () => {
  test('embeddings', async () => {
    const vectors = { object: 'list', data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }] };
    const script = json({ ...vectors, model: 'x', usage: { prompt_tokens: 1, total_tokens: 1 } });
    const { upstream, azure } = await start(script);
    const input = { input: ['a'], encoding_format: 'float' as const };
    const reply = await azure({ deployment: 'chat' }).embeddings.create({ model: 'x', ...input });
    expect(reply.data[0]?.embedding).toEqual([0.5, -1]);
    expect(upstream.calls[0]?.path).toBe('/v1/embeddings');
    expect(upstream.calls[0]?.json).toEqual({ model: 'chat', ...input });
  });

  test('completions, which are passed through', async () => {
    const { upstream, azure } = await start(json({ choices: [{ text: 'x' }] }));
    await azure({ deployment: 'chat' }).completions.create({ model: 'other', prompt: 'a' });
    expect(upstream.calls[0]?.path).toBe('/v1/completions');
    expect(upstream.calls[0]?.json).toEqual({ model: 'chat', prompt: 'a' });
  });

  test('images, sound and speech; forms take the deployment as their model', async () => {
    const { sidecar, azure } = await start(answers(openaiWire, 'ok'));
    const client = azure({ deployment: 'media' });
    const sound = await toFile(Buffer.alloc(1000, 7), 'a.wav');
    const prompt = 'A red square';
    expect((await client.images.generate({ prompt })).data).toHaveLength(1);
    expect((await client.audio.speech.create({ model: 'tts', input: 'a', voice: 'alloy' })).ok).toBe(true);
    const { text } = await client.audio.transcriptions.create({ model: 'whisper', file: sound });
    expect(text).not.toBe('');
    await client.audio.translations.create({ model: 'whisper', file: sound });
    const image = await toFile(Buffer.alloc(9), 'a.png');
    // The same without a model.
    const form = new FormData();
    form.append('image', new Blob([Buffer.alloc(9)], { type: 'image/png' }), 'a.png');
    form.append('prompt', prompt);
    const path = `${sidecar.url}/openai/deployments/media/images/edits?api-version=${apiVersion}`;
    const bare = await fetch(path, { method: 'POST', headers: { 'api-key': apiKey }, body: form });
    expect([bare.status, await bare.text()]).toMatchObject([200, expect.stringContaining('b64_json')]);
    await client.images.edit({ image, prompt, model: 'gpt-image-1' });
    const records = sidecar.records().filter(({ model }) => model === 'media');
    expect(records.map(({ endpoint }) => endpoint).sort()).toEqual(
      ['image_edits', 'image_edits', 'images', 'speech', 'transcriptions', 'translations'].sort(),
    );
  });
});

describe("paths without a deployment are OpenAI's", () => {
  test('the list of models', async () => {
    const { azure } = await start(answers(openaiWire, 'ok'));
    const models = await azure().models.list();
    expect(models.data.map(({ id }) => id).sort()).toEqual(['chat', 'claude', 'media', 'my chat/4']);
    expect((await azure().models.retrieve('chat')).id).toBe('chat');
  });

  test.each([
    ['with an API version', '/openai'],
    ['of the v1 API', '/openai/v1'],
  ])('Responses and chat, %s', async (_, base) => {
    const { sidecar, azure } = await start(answers(openaiWire, 'Hello'));
    const client =
      base === '/openai'
        ? azure()
        : new OpenAI({
            baseURL: `${sidecar.url}${base}/`,
            apiKey: 'unused',
            defaultQuery: { 'api-version': 'preview' },
            defaultHeaders: { authorization: null, 'api-key': apiKey },
          });
    const reply = await client.responses.create({ model: 'chat', input: 'hi' });
    expect(reply.output_text).toBe('Hello');
    const chat = await client.chat.completions.create({ model: 'chat', messages });
    expect(chat.choices[0]?.message.content).toBe('Hello');
  });

  test('objects at the provider, without the version', async () => {
    const { upstream, azure } = await start(json({ id: 'batch_1', object: 'batch' }));
    const batch = await azure().batches.retrieve('batch_1');
    expect(batch.id).toBe('batch_1');
    expect(upstream.calls[0]?.path).toBe('/v1/batches/batch_1');
  });
});

test('with `credential: client` the key of the app goes to the provider as that expects it', async () => {
  const upstream = await startUpstream(answers(openaiWire, 'ok'));
  const { baseUrl } = upstream;
  const sidecar = await startTestSidecar({
    providers: { o: { dialect: 'openai', baseUrl, credential: 'client' } },
    routes: [{ model: 'chat', targets: [{ provider: 'o' }] }],
  });
  running = { sidecar, upstream };
  const client = new AzureOpenAI({ endpoint: sidecar.url, apiKey: 'sk-app', apiVersion });
  await client.chat.completions.create({ model: 'chat', messages });
  expect(upstream.calls[0]?.headers.authorization).toBe('Bearer sk-app');
  expect(upstream.calls[0]?.headers['api-key']).toBeUndefined();
});
