/** OpenAI's and Google's own clients of realtime sessions, through Sidegate to the simulator. */
import { connect as connectTcp } from 'node:net';
import { GoogleGenAI } from '@google/genai';
import OpenAI, { AzureOpenAI } from 'openai';
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { expect, onTestFinished, test } from 'vitest';
import { keys } from '../support/passing.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';

const simulated: ConfigInput = {
  providers: { simulator: { preset: 'simulator', passthrough: 'unscrubbed' } },
  routes: [{ model: 'voice', targets: [{ provider: 'simulator' }] }],
  authenticate: { keys },
};

async function start(more: ConfigInput = {}) {
  const sidecar = await startTestSidecar({ ...simulated, ...more });
  onTestFinished(() => sidecar.stop());
  // The SDK only knows wss; to a sidecar without TLS, the connection is opened for it.
  const { port } = new URL(sidecar.url);
  const options = { createConnection: () => connectTcp(Number(port), '127.0.0.1') };
  return { ...sidecar, options };
}

/** Asks for a reply to a text, and resolves with it and its usage. */
function converse(client: OpenAIRealtimeWS): Promise<{ text: string; tokens: number }> {
  onTestFinished(() => client.close());
  return new Promise((resolve, reject) => {
    let text = '';
    client.on('error', reject);
    client.on('session.created', () => {
      client.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['text'] } });
      client.send({
        type: 'conversation.item.create',
        item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Say hello.' }] },
      });
      client.send({ type: 'response.create' });
    });
    client.on('response.output_text.delta', ({ delta }) => {
      text += delta;
    });
    client.on('response.done', ({ response }) =>
      resolve({ text, tokens: response.usage?.output_tokens ?? 0 }),
    );
  });
}

test("the OpenAI SDK's session is answered and counted", async () => {
  const sidecar = await start();
  const openai = new OpenAI({ apiKey: 'k-a', baseURL: `${sidecar.url}/v1` });
  const client = new OpenAIRealtimeWS({ model: 'voice', options: sidecar.options as never }, openai);
  const { text, tokens } = await converse(client);
  expect(text).toContain('Say hello.');
  client.close({ code: 1000, reason: 'OK' });
  const record = await sidecar.recordWhere(({ status }) => status === 101);
  expect(record).toMatchObject({
    tenant: 'a',
    model: 'voice',
    route: 'voice',
    outputTokens: tokens,
    abandoned: false,
  });
  expect(tokens).toBeGreaterThan(0);
});

test("its Azure client's, with `api-key`", async () => {
  const sidecar = await start();
  const azure = new AzureOpenAI({
    apiKey: 'k-b',
    baseURL: `${sidecar.url}/openai`,
    apiVersion: '2025-04-01-preview',
  });
  const client = await OpenAIRealtimeWS.azure(azure, {
    deploymentName: 'voice',
    options: sidecar.options as never,
  });
  expect((await converse(client)).text).toContain('Say hello.');
  client.close();
  expect(await sidecar.recordWhere(({ status }) => status === 101)).toMatchObject({ tenant: 'b' });
});

test("its browser client's, with the key as a protocol", async () => {
  const sidecar = await start();
  const openai = new OpenAI({
    apiKey: 'k-a',
    baseURL: `${sidecar.url}/v1`,
    dangerouslyAllowBrowser: true,
  });
  // Of the browser's WebSocket, which Node has too, only the scheme is changed: there is no TLS here.
  const real = globalThis.WebSocket;
  onTestFinished(() => {
    globalThis.WebSocket = real;
  });
  globalThis.WebSocket = class extends real {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(String(url).replace('wss:', 'ws:'), protocols);
    }
  } as typeof real;
  const client = new OpenAIRealtimeWebSocket({ model: 'voice', dangerouslyAllowBrowser: true }, openai);
  onTestFinished(() => client.close());
  const created = await new Promise<string>((resolve, reject) => {
    client.on('error', reject);
    client.on('session.created', ({ session }) => resolve((session as { model: string }).model));
  });
  expect(created).toBe('voice');
});

test('what ends a session is an error that the SDK tells', async () => {
  const sidecar = await start({
    limits: [{ name: 'tokens', unit: 'tokens', capacity: 4100, refillPerSecond: 0.000_01 }],
  });
  const openai = new OpenAI({ apiKey: 'k-a', baseURL: `${sidecar.url}/v1` });
  const client = new OpenAIRealtimeWS({ model: 'voice', options: sidecar.options as never }, openai);
  const told = new Promise<string>((resolve) => client.on('error', ({ message }) => resolve(message)));
  await converse(client);
  expect(await told).toContain('code=rate_limited');
});

test("Google's Live client's session is answered and counted", async () => {
  const sidecar = await start({
    providers: { simulator: { preset: 'simulator-gemini', passthrough: 'unscrubbed' } },
    routes: [],
  });
  const google = new GoogleGenAI({ apiKey: 'k-a', httpOptions: { baseUrl: sidecar.url } });
  let text = '';
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const session = await google.live.connect({
    model: 'sim-live',
    callbacks: {
      onmessage: (message) => {
        text += message.text ?? '';
        if (message.serverContent?.turnComplete === true) end();
      },
    },
  });
  session.sendClientContent({ turns: 'Say hello.', turnComplete: true });
  await ended;
  session.close();
  expect(text).toContain('Say hello.');
  expect(await sidecar.recordWhere(({ status }) => status === 101)).toMatchObject({
    endpoint: 'live',
    tenant: 'a',
    model: 'sim-live',
    outputTokens: expect.any(Number),
  });
});
