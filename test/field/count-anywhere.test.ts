/** Tokens are counted for models that another dialect serves: C10 of what the field has shown. */
import { hash } from 'node:crypto';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { describe, expect, onTestFinished, test } from 'vitest';
import { gives, start } from '../support/auxiliary.ts';
import { ask } from '../support/client.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { tokenizer } from '../support/tokenizer.ts';
import { startUpstream } from '../support/upstream.ts';

const text = 'The ledger says what was delivered; größere Beträge, 客户端, and nothing else. '.repeat(20);
const tokens = tokenizer.encode(text, [], []).length;

const serve = async (more: ConfigInput = {}) => {
  const { upstreams, ...sidecar } = await start(
    [[gives({ error: { message: 'not asked' } }, undefined, 500)]],
    {
      ...more,
    },
  );
  return { ...sidecar, calls: () => upstreams[0]?.calls.length };
};

describe('C10: counting', () => {
  test('in the dialect of Anthropic, of a model that OpenAI serves', async () => {
    const { url, calls, recordWhere } = await serve();
    const client = new Anthropic({ baseURL: url, apiKey: 'k', maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: text }];
    const { input_tokens: one } = await client.messages.countTokens({ model: 'm', messages });
    // Each message and the reply have some tokens of their own.
    expect(one).toBeGreaterThan(tokens);
    expect(one).toBeLessThan(tokens + 12);
    const { input_tokens: more } = await client.messages.countTokens({
      model: 'm',
      messages,
      system: text,
      tools: [{ name: 'find', description: text, input_schema: { type: 'object' } }],
    });
    expect(more).toBeGreaterThan(3 * tokens);
    expect(more).toBeLessThan(3 * tokens + 50);
    const beta = await client.beta.messages.countTokens({ model: 'm', messages });
    expect(beta.input_tokens).toBe(one);
    expect(calls()).toBe(0);
    const record = await recordWhere(({ endpoint }) => endpoint === 'count_tokens');
    expect(record).toMatchObject({ status: 200, inputTokens: 0, costNanoUsd: 0, model: 'm' });
  });

  test('in the dialect of Gemini, of a model that OpenAI serves', async () => {
    const { url, calls } = await serve();
    const client = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: url } });
    const counted = await client.models.countTokens({ model: 'm', contents: text });
    expect(counted.totalTokens).toBeGreaterThan(tokens);
    expect(counted.totalTokens).toBeLessThan(tokens + 12);
    const contents = [{ role: 'user', parts: [{ text }] }];
    const body = { generateContentRequest: { contents, systemInstruction: { parts: [{ text }] } } };
    const whole = JSON.parse((await ask(url, '/v1beta/models/m:countTokens', { body })).text);
    expect(whole.totalTokens).toBeGreaterThan(2 * tokens);
    expect(calls()).toBe(0);
  });

  test('asks the model’s own provider where it speaks the dialect', async () => {
    const upstream = await startUpstream(gives({ input_tokens: 7 }));
    const { baseUrl } = upstream;
    const sidecar = await startTestSidecar({
      providers: { first: { dialect: 'openai', baseUrl }, second: { dialect: 'anthropic', baseUrl } },
      routes: [{ model: 'm', targets: [{ provider: 'first' }, { provider: 'second' }] }],
    });
    onTestFinished(async () => {
      await sidecar.stop();
      await upstream.close();
    });
    const body = { model: 'm', messages: [{ role: 'user', content: text }] };
    const reply = await ask(sidecar.url, '/v1/messages/count_tokens', { body });
    expect([JSON.parse(reply.text), upstream.calls.length]).toEqual([{ input_tokens: 7 }, 1]);
  });

  test('estimates what the tokenizer has no time for', async () => {
    const { url } = await serve({ count: { deadlineMs: 10 } });
    const body = { model: 'm', messages: [{ role: 'user', content: text.repeat(500) }] };
    const { input_tokens } = JSON.parse((await ask(url, '/v1/messages/count_tokens', { body })).text);
    expect(input_tokens).toBeGreaterThan(tokens * 200);
    expect(input_tokens).toBeLessThan(tokens * 1000);
  });

  test('is still refused for a model that nobody serves, and counts as a request', async () => {
    const { url } = await serve({
      limits: [{ name: 'all', unit: 'requests', capacity: 1, refillPerSecond: 0.001 }],
      authenticate: { keys: [{ id: 'k', sha256: hash('sha256', 'key'), tenant: 't', models: ['m'] }] },
    });
    const counting = async (model: string) => {
      const body = { model, messages: [{ role: 'user', content: 'hi' }] };
      const headers = { authorization: 'Bearer key' };
      const reply = await ask(url, '/v1/messages/count_tokens', { body, headers });
      return [reply.status, JSON.parse(reply.text).error?.type];
    };
    expect(await counting('none')).toEqual([403, 'permission_error']);
    expect(await counting('m')).toEqual([200, undefined]);
    expect(await counting('m')).toEqual([429, 'rate_limit_error']);
    const open = await serve();
    const body = { model: 'none', messages: [{ role: 'user', content: 'hi' }] };
    expect((await ask(open.url, '/v1/messages/count_tokens', { body })).status).toBe(404);
  });
});
