/** What a request's URL says beside its path: C9, C12 and C14 of what the field has shown. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { changed, listed, load } from '../support/config-samples.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { startUpstream } from '../support/upstream.ts';

const replies = {
  anthropic: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [{ type: 'text', text: 'Hi.' }],
    stop_reason: 'end_turn',
    usage: { input_tokens: 3, output_tokens: 2 },
  },
  gemini: {
    candidates: [{ content: { role: 'model', parts: [{ text: 'Hi.' }] }, finishReason: 'STOP', index: 0 }],
    usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 },
  },
  openai: {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hi.' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
  },
} as const;

async function start(dialect: keyof typeof replies, query = '', more: ConfigInput = {}) {
  const upstream = await startUpstream((call) => {
    const counts = call.path.includes('count');
    const body = counts ? { input_tokens: 4, totalTokens: 4 } : replies[dialect];
    call.whole(200, { 'content-type': 'application/json' }, JSON.stringify(body));
  });
  const sidecar = await startTestSidecar({
    providers: { p: { dialect, baseUrl: upstream.baseUrl + query, apiKey: 'My API Key' } },
    routes: [{ model: 'm', targets: [{ provider: 'p' }] }],
    ...more,
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  return { sidecar, upstream, sent: async () => (await upstream.call(upstream.calls.length - 1)).path };
}

const messages = [{ role: 'user', content: 'hi' }];
const contents = [{ role: 'user', parts: [{ text: 'hi' }] }];

describe('C9: the query of a request', () => {
  test.each([
    ['anthropic', '/v1/messages?beta=true', '/v1/messages?beta=true'],
    ['anthropic', '/v1/messages/count_tokens?beta=true', '/v1/messages/count_tokens?beta=true'],
    ['anthropic', '/v1/messages', '/v1/messages'],
    ['anthropic', '/v1/messages?', '/v1/messages'],
    ['openai', '/v1/chat/completions?a=1&b=%20x&a=2', '/v1/chat/completions?a=1&b=%20x&a=2'],
    // A credential is for Sidegate, however its name is written.
    ['openai', '/v1/chat/completions?key=secret&a=1&API-Key=secret', '/v1/chat/completions?a=1'],
    ['openai', '/v1/chat/completions?k%65y=secret&%24access_token=secret', '/v1/chat/completions'],
  ] as const)('reaches a provider of the %s dialect: %s', async (dialect, path, up) => {
    const { sidecar, sent } = await start(dialect);
    const { status } = await ask(sidecar.url, path, { body: { model: 'm', max_tokens: 9, messages } });
    expect([status, await sent()]).toEqual([200, up]);
  });

  test("of Gemini is passed on without its key, and without what the reply's form depends on", async () => {
    const { sidecar, sent } = await start('gemini');
    const path = '/v1beta/models/m:generateContent?key=secret&alt=json&$fields=candidates&quotaUser=u';
    expect((await ask(sidecar.url, path, { body: { contents } })).status).toBe(200);
    expect(await sent()).toBe('/v1/models/m:generateContent?quotaUser=u');
    const streamed = '/v1beta/models/m:streamGenerateContent?alt=sse&key=secret&a=1';
    await ask(sidecar.url, streamed, { body: { contents } });
    expect(await sent()).toBe('/v1/models/m:streamGenerateContent?alt=sse&a=1');
    expect(sidecar.logText()).not.toContain('secret');
  });

  test("doesn't override the provider's own", async () => {
    const { sidecar, sent } = await start('openai', '?api-version=2024-10-21');
    const path = '/v1/chat/completions?api-version=1999-01-01&a=1';
    expect((await ask(sidecar.url, path, { body: { model: 'm', messages } })).status).toBe(200);
    expect(await sent()).toBe('/v1/chat/completions?a=1&api-version=2024-10-21');
  });

  test('means nothing in another dialect', async () => {
    const { sidecar, sent } = await start('openai');
    const body = { model: 'm', max_tokens: 9, messages };
    expect((await ask(sidecar.url, '/v1/messages?beta=true', { body })).status).toBe(200);
    expect(await sent()).toBe('/v1/chat/completions');
  });

  test('separates cached replies, and requests with an idempotency key', async () => {
    const { sidecar, upstream } = await start('anthropic', '', { cache: { enabled: true } });
    const body = { model: 'm', max_tokens: 9, temperature: 0, messages };
    const asking = async (path: string, headers = {}) => {
      const reply = await ask(sidecar.url, path, { body, headers });
      return [reply.status, upstream.calls.length];
    };
    expect(await asking('/v1/messages')).toEqual([200, 1]);
    expect(await asking('/v1/messages?beta=true')).toEqual([200, 2]);
    expect(await asking('/v1/messages?beta=true')).toEqual([200, 2]);
    const key = { 'idempotency-key': 'k', 'cache-control': 'no-store' };
    expect(await asking('/v1/messages?beta=true', key)).toEqual([200, 3]);
    expect(await asking('/v1/messages', key)).toEqual([422, 3]);
  });
});

describe('C12: the API version v1alpha of Gemini', () => {
  test('is served as v1beta is', async () => {
    const { sidecar, sent } = await start('gemini');
    const { status } = await ask(sidecar.url, '/v1alpha/models/m:generateContent', { body: { contents } });
    expect([status, await sent()]).toEqual([200, '/v1/models/m:generateContent']);
    const list = await ask(sidecar.url, '/v1alpha/models', { method: 'GET', body: '' });
    expect(JSON.parse(list.text).models[0].name).toBe('models/m');
    const one = await ask(sidecar.url, '/v1alpha/models/m', { method: 'GET', body: '' });
    expect(JSON.parse(one.text).name).toBe('models/m');
  });

  test("gets errors in Gemini's form", async () => {
    const { sidecar } = await start('gemini');
    const { status, text } = await ask(sidecar.url, '/v1alpha/somethingElse', { body: {} });
    expect([status, JSON.parse(text).error.status]).toEqual([404, 'NOT_FOUND']);
  });
});

test('C14: a credential with a space is sent as it is', async () => {
  const { sidecar, upstream } = await start('anthropic');
  await ask(sidecar.url, '/v1/messages', { body: { model: 'm', max_tokens: 9, messages } });
  expect((await upstream.call(0)).headers['x-api-key']).toBe('My API Key');
  expect(listed(load(changed('providers.own.apiKey', 'My API Key')))).toEqual([]);
  for (const key of [' My API Key', 'My API Key ', 'My\tAPI Key'])
    expect(listed(load(changed('providers.own.apiKey', key)))).toEqual([
      expect.stringContaining('header cannot carry'),
    ]);
});
