/** Requests that name no model, as SDKs allow: C8 of what the field has shown. */
import { hash } from 'node:crypto';
import OpenAI, { toFile } from 'openai';
import { describe, expect, onTestFinished, test } from 'vitest';
import { gives, noise, start } from '../support/auxiliary.ts';
import { ask } from '../support/client.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { startUpstream } from '../support/upstream.ts';

const pictures = { created: 1, data: [{ b64_json: 'AAAA' }] };
const response = {
  id: 'resp_1',
  object: 'response',
  created_at: 1,
  status: 'completed',
  model: 'm',
  output: [
    {
      type: 'message',
      id: 'msg_1',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'Hi.', annotations: [] }],
    },
  ],
  usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 },
};

const targeted = (model?: string): ConfigInput['routes'] => [
  { model: 'default', targets: [{ provider: 'first', ...(model === undefined ? {} : { model }) }] },
];

describe('C8: a request without a model', () => {
  const all = async (routes: ConfigInput['routes']) => {
    const { url, upstreams } = await start([[gives(pictures)]], { routes });
    const { images } = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'k', maxRetries: 0 });
    const image = await toFile(noise, 'a.png', { type: 'image/png' });
    await images.generate({ prompt: 'a cat' });
    await images.edit({ prompt: 'a cat', image });
    await images.createVariation({ image });
    return upstreams[0]?.calls.map(({ body }) => body.toString('latin1')) ?? [];
  };

  test('for pictures goes to the route `default`, whose model it gets', async () => {
    const [json = '', edit, variation] = await all(targeted('dall-e-2'));
    expect(JSON.parse(json)).toEqual({ model: 'dall-e-2', prompt: 'a cat' });
    for (const form of [edit, variation]) expect(form).toContain('name="model"\r\n\r\ndall-e-2\r\n');
  });

  test("stays without one where the route's target names none: the provider has its own default", async () => {
    const [json = '', edit, variation] = await all(targeted());
    expect(JSON.parse(json)).toEqual({ prompt: 'a cat' });
    for (const form of [edit, variation]) expect(form).not.toContain('name="model"');
  });

  test.each([
    [undefined, { prompt: { id: 'pmpt_1' } }],
    ['gpt-5', { model: 'gpt-5', prompt: { id: 'pmpt_1' } }],
  ])('with a stored prompt goes to the route `default` (%s)', async (model, sent) => {
    const upstream = await startUpstream(gives(response));
    const sidecar = await startTestSidecar({
      providers: { first: { dialect: 'responses', baseUrl: upstream.baseUrl } },
      routes: targeted(model),
    });
    onTestFinished(async () => {
      await sidecar.stop();
      await upstream.close();
    });
    const client = new OpenAI({ baseURL: `${sidecar.url}/v1`, apiKey: 'k', maxRetries: 0 });
    const answer = await client.responses.create({ prompt: { id: 'pmpt_1' } });
    expect([answer.output_text, upstream.calls[0]?.json]).toEqual(['Hi.', sent]);
  });

  test.each([
    ['/v1/images/generations', { prompt: 'a cat' }],
    ['/v1/responses', { prompt: { id: 'pmpt_1' } }],
  ])('is refused without such a route: %s', async (path, body) => {
    const { url, upstreams } = await start([[gives(pictures)]]);
    const { status, text } = await ask(url, path, { body });
    expect([status, JSON.parse(text).error]).toMatchObject([
      400,
      { code: 'invalid_field', param: 'model', message: expect.stringContaining('no route "default"') },
    ]);
    expect(upstreams[0]?.calls).toEqual([]);
  });

  test('is still refused where every request must name one', async () => {
    const { url } = await start([[gives(pictures)]], { routes: targeted() });
    const { status, text } = await ask(url, '/v1/chat/completions', { body: { messages: [] } });
    expect([status, JSON.parse(text).error.code]).toEqual([400, 'invalid_field']);
  });

  test('may use the route only if its key may', async () => {
    const sha256 = hash('sha256', 'key');
    const { url } = await start([[gives(pictures)]], {
      routes: targeted(),
      authenticate: { keys: [{ id: 'k', sha256, tenant: 't', models: ['gpt-*'] }] },
    });
    const { text } = await ask(url, '/v1/images/generations', {
      body: { prompt: 'a cat' },
      headers: { authorization: 'Bearer key' },
    });
    expect(JSON.parse(text).error.code).toBe('model_forbidden');
  });
});
