/** What Replicate's predictions don't support, and how a conversation becomes a prompt. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

const model = 'predicted';
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
const tool = { type: 'function' as const, function: { name: 'get_weather', parameters } };
const user = (content: string) => [{ role: 'user' as const, content }];

let sidecar: TestSidecar;
let openai: OpenAI;
beforeAll(async () => {
  sidecar = await startTestSidecar({
    providers: { replicate: { preset: 'simulator-replicate' } },
    routes: [{ model, targets: [{ provider: 'replicate', model: 'openai/gpt-4o' }] }],
    attempt: { breaker: { failures: 1000 } },
  });
  openai = new OpenAI({ apiKey: 'k', baseURL: `${sidecar.url}/v1`, maxRetries: 0 });
});
afterAll(() => sidecar.stop());

test('tools and schemas are refused, and the field is named', async () => {
  const messages = user('Weather?');
  await expect(openai.chat.completions.create({ model, messages, tools: [tool] })).rejects.toThrow('"tools"');
  const response_format = { type: 'json_schema' as const, json_schema: { name: 'person', schema } };
  await expect(openai.chat.completions.create({ model, messages, response_format })).rejects.toThrow(
    '"response_format"',
  );
});

test('a truncated reply is invalid, streamed or not', async () => {
  const headers = { 'x-simulate': 'fault=cut_stream' };
  for (const stream of [false, true]) {
    const asked = openai.chat.completions.create({ model, messages: user('Hi'), stream }, { headers });
    await expect(asked).rejects.toThrow('No target could answer');
  }
});

test('a longer conversation is sent as one text', async () => {
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
