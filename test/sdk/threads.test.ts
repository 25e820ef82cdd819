/** Threads of Anthropic's SDK, which sends only what is new: nothing of a conversation is lost on the way. */
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

let sidecar: TestSidecar;
let client: Anthropic;
const kinds = ['', '-anthropic', '-gemini', '-responses', '-bedrock', '-cohere'] as const;

beforeAll(async () => {
  const of = (kind: string) => [`sim${kind}`, { preset: `simulator${kind}` }];
  const to = (kind: string) => ({ model: `m${kind}`, targets: [{ provider: `sim${kind}` }] });
  sidecar = await startTestSidecar({
    providers: Object.fromEntries(kinds.map(of)) as ConfigInput['providers'],
    routes: [
      ...kinds.map(to),
      { model: 'drops', unsupported: 'drop', targets: [{ provider: 'sim' }] },
      { model: 'both', targets: [{ provider: 'sim' }, { provider: 'sim-anthropic' }] },
    ],
  });
  client = new Anthropic({ baseURL: sidecar.url, apiKey: 'app-key', maxRetries: 0 });
});
afterAll(() => sidecar.stop());

const betas = ['message-threads-2026-08-12' as const];

describe.each([...kinds.map((kind) => `m${kind}`), 'drops', 'both'])('%s', (model) => {
  test('a thread goes on with all that was said before', async () => {
    const thread = client.beta.messages.thread({ model, max_tokens: 60 });
    const first = await thread.send({ role: 'user', content: 'My name is Ann.' });
    const second = await thread.send({ role: 'user', content: 'What is my name?' });
    const { input_tokens: said, output_tokens: answered } = first.usage;
    expect(second.usage.input_tokens).toBeGreaterThan(said + answered / 2);
  });

  test.each([false, true])('the tool runner gives results back (stream: %s)', async (stream) => {
    const asked: unknown[] = [];
    const weather = betaTool({
      name: 'get_weather',
      description: 'Weather of a city.',
      inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      run: (args) => {
        asked.push(args);
        return 'rain';
      },
    });
    const runner = client.beta.messages.toolRunner({
      model,
      max_tokens: 200,
      messages: [{ role: 'user', content: 'Use get_weather' }],
      tools: [weather],
      stream,
    });
    const { content } = await runner.runUntilDone();
    expect(asked).toEqual([{ city: expect.any(String) }]);
    expect(content).toEqual([
      expect.objectContaining({ type: 'text', text: expect.stringContaining('rain') }),
    ]);
  });
});

test('who goes on with a thread of another provider is told so by the API’s own error', async () => {
  const messages = [{ role: 'user' as const, content: 'And now?' }];
  const thread = { type: 'continue' as const, previous_message_id: 'msg_1' };
  const failed: unknown = await client.beta.messages
    .create({ model: 'm', max_tokens: 9, messages, betas, thread })
    .catch((cause: unknown) => cause);
  expect(failed).toBeInstanceOf(Anthropic.NotFoundError);
  expect(failed).toMatchObject({
    status: 404,
    error: {
      error: {
        type: 'not_found_error',
        code: 'thread_not_found',
        param: 'thread',
        details: { error_code: 'thread_not_found' },
      },
    },
  });
});

test('a thread that begins at another provider is told as left out', async () => {
  const { response } = await client.beta.messages
    .create({
      model: 'm',
      max_tokens: 9,
      messages: [{ role: 'user', content: 'Hi' }],
      betas,
      thread: { type: 'create' },
    })
    .withResponse();
  expect(response.headers.get('x-sidegate-dropped')).toContain('thread');
});
