/** The simulator's realtime sessions, over a real WebSocket. */
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../support/session-upstream.ts';
import { simulator } from '../support/simulate-client.ts';

async function start(
  settings: object = {},
  headers: Record<string, string> = {},
  path = '/v1/realtime?model=m',
) {
  const sim = await simulator(settings);
  onTestFinished(() => sim.close());
  return connect(sim.url, path, headers);
}

/** Sends events, and resolves with the types of what comes up to one of them, and that one. */
async function say(client: Awaited<ReturnType<typeof start>>, last: string, ...events: object[]) {
  await client.open;
  for (const event of events) client.socket.send(JSON.stringify(event));
  const found = JSON.parse(await client.next((text) => JSON.parse(text).type === last));
  const types = client.messages.splice(0).map(({ data }) => JSON.parse(data.toString()).type as string);
  return { types: [...new Set(types)], event: found };
}

const said = (text: string) => ({
  type: 'conversation.item.create',
  item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
});

test('a conversation grows, and its earlier part is cached', async () => {
  const client = await start({ replyTokens: 12 });
  const text = { type: 'session.update', session: { output_modalities: ['text'] } };
  const first = await say(client, 'response.done', text, said('Hello there'), { type: 'response.create' });
  expect(first.types).toEqual([
    'session.created',
    'session.updated',
    'conversation.item.added',
    'conversation.item.done',
    'response.created',
    'response.output_text.delta',
  ]);
  expect(first.event.response.usage).toMatchObject({
    input_tokens: 2,
    output_tokens: 12,
    input_token_details: { cached_tokens: 0 },
    output_token_details: { text_tokens: 12, audio_tokens: 0 },
  });
  const second = await say(client, 'response.done', said('And you'), { type: 'response.create' });
  expect(second.event.response.usage).toMatchObject({
    input_tokens: 16,
    input_token_details: { cached_tokens: 2 },
  });
});

test('sound is heard, transcribed and spoken', async () => {
  const client = await start();
  const audio = Buffer.alloc(48_000).toString('base64');
  const transcription = { model: 'gpt-4o-transcribe' };
  const { types, event } = await say(
    client,
    'response.done',
    { type: 'session.update', session: { audio: { input: { transcription } } } },
    { type: 'input_audio_buffer.append', audio },
    { type: 'input_audio_buffer.commit' },
    { type: 'response.create' },
  );
  expect(types).toContain('conversation.item.input_audio_transcription.completed');
  expect(types).toContain('response.output_audio.delta');
  expect(event.response.usage.input_token_details).toMatchObject({ audio_tokens: 10 });
  expect(event.response.usage.output_token_details.audio_tokens).toBeGreaterThan(0);
});

test('mistakes are told, and the session goes on', async () => {
  const client = await start();
  const { event } = await say(client, 'error', { type: 'response.creat' });
  expect(event.error).toMatchObject({ type: 'invalid_request_error', param: 'type' });
  await say(client, 'error', { type: 'input_audio_buffer.commit' });
  client.socket.send('{');
  await say(client, 'input_audio_buffer.cleared', { type: 'input_audio_buffer.clear' });
});

test.each([
  ['fault=rate_limited', '/v1/realtime?model=m', 429],
  ['fault=unauthorized', '/openai/v1/realtime?model=m', 401],
  ['fault=server_error', '/openai/realtime?deployment=m', 500],
  ['nonsense', '/v1/realtime?model=m', 400],
  ['fault=none', '/v1/realtime/other', 404],
])('%s at %s is an HTTP error', async (simulate, path, status) => {
  const client = await start({}, { 'x-simulate': simulate }, path);
  expect(await client.refused).toMatchObject({ status });
});

test('a model that is not served is one, too', async () => {
  expect(await (await start({ models: ['other'] })).refused).toMatchObject({ status: 404 });
});

test('faults later on break off, or leave the usage out', async () => {
  const client = await start({}, { 'x-simulate': 'fault=cut_stream' });
  await client.open;
  client.socket.send(JSON.stringify({ type: 'response.create' }));
  expect((await client.closed)[0]).toBe(1006);
  const silent = await start({}, { 'x-simulate': 'fault=missing_usage' });
  const { event } = await say(silent, 'response.done', { type: 'response.create' });
  expect(event.response.usage).toBeNull();
});

test("Gemini's Live API sets up first", async () => {
  const path = '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent';
  const client = await start({}, {}, path);
  await client.open;
  client.socket.send(JSON.stringify({ setup: { model: 'models/m' } }));
  expect(await client.next()).toBe('{"setupComplete":{}}');
  const turns = [{ role: 'user', parts: [{ text: 'Hello' }] }];
  client.socket.send(JSON.stringify({ clientContent: { turns, turnComplete: true } }));
  const last = JSON.parse(await client.next((text) => text.includes('turnComplete')));
  expect(last.usageMetadata.promptTokenCount).toBe(1);
  const rude = await start({}, {}, path);
  await rude.open;
  rude.socket.send(JSON.stringify({ clientContent: { turns } }));
  expect((await rude.closed)[0]).toBe(1006);
});
