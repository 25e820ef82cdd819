/** Responses over a WebSocket, as Codex and OpenAI's SDK ask for them: where they go, what they cost, and whose they are. */
import { expect, test } from 'vitest';
import { ask } from '../support/client.ts';
import { connect, keys, startSessions, startSessionUpstream } from '../support/session-upstream.ts';

const path = '/v1/responses';
const responses = { dialect: 'responses', preset: 'openai-responses' };
const as = (key: string) => ({ authorization: `Bearer ${key}` });

const event = (type: string, response: object): string =>
  JSON.stringify({ type, response: { object: 'response', error: null, usage: null, ...response } });
const usage = {
  input_tokens: 1000,
  input_tokens_details: { cached_tokens: 400 },
  output_tokens: 100,
  output_tokens_details: { reasoning_tokens: 60 },
  total_tokens: 1100,
};
const create = (more: object = {}): string =>
  JSON.stringify({ type: 'response.create', model: 'gpt-5', input: 'hi', ...more });

/** Answers each message with a response: its id, and how it ends. */
const answering = (id: string, end: object = { usage }, type = 'response.completed') =>
  startSessionUpstream(({ socket }) =>
    socket.on('message', () => {
      socket.send(event('response.created', { id, status: 'in_progress' }));
      // A text that only looks like an event.
      socket.send(
        JSON.stringify({ type: 'response.output_text.delta', delta: '{"type":"response.completed"}' }),
      );
      socket.send(type === 'error' ? JSON.stringify({ type, ...end }) : event(type, { id, ...end }));
    }),
  );
const isEnd = (text: string): boolean =>
  /"type":"(?:response\.(?:completed|incomplete|failed)|error)"/.test(text);

test('pass both ways to a provider of that dialect, and cost what their models do', async () => {
  const upstream = await answering('resp_1');
  const sidecar = await startSessions(upstream, {}, responses);
  const client = connect(sidecar.url, path, {
    'openai-beta': 'responses_websockets=2026-02-06',
    'x-other': 'x',
  });
  await client.open;
  expect(upstream.handshakes[0]?.url).toBe('/v1/responses');
  expect(upstream.handshakes[0]?.headers).toMatchObject({
    authorization: 'Bearer provider-key',
    'openai-beta': 'responses_websockets=2026-02-06',
  });
  expect(upstream.handshakes[0]?.headers).not.toHaveProperty('x-other');
  client.socket.send(create());
  await client.next(isEnd);
  client.socket.send(create({ model: 'gpt-5-mini', previous_response_id: 'resp_1' }));
  await client.next(isEnd);
  const [side] = upstream.sides;
  expect(side?.messages.map(({ data }) => data.toString())).toEqual([
    create(),
    create({ model: 'gpt-5-mini', previous_response_id: 'resp_1' }),
  ]);
  client.socket.close(1000);
  const record = await sidecar.recordWhere(({ status }) => status === 101);
  // Dollars per million tokens: 1.25, cached 0.125 and 10; 0.25, 0.025 and 2.
  const micro = 600 * 1.25 + 400 * 0.125 + 100 * 10 + 600 * 0.25 + 400 * 0.025 + 100 * 2;
  expect(record).toMatchObject({
    endpoint: 'responses',
    target: 'first/responses',
    model: 'gpt-5-mini',
    inputTokens: 2000,
    cachedInputTokens: 800,
    outputTokens: 200,
    usageKnown: true,
    priced: true,
    costNanoUsd: Math.round(micro * 1000),
  });
});

test.each([
  ['response.incomplete', { usage }, 1000, true],
  ['response.failed', { status: 'failed', error: { code: 'server_error' } }, 0, true],
  ['error', { status: 400, error: { code: 'previous_response_not_found' } }, 0, true],
  ['response.completed', {}, 0, false],
] as const)('what ends with %s and %j is counted', async (type, end, inputTokens, usageKnown) => {
  const upstream = await answering('resp_1', end, type);
  const sidecar = await startSessions(upstream, {}, responses);
  const client = connect(sidecar.url, path);
  await client.open;
  client.socket.send(create());
  await client.next(isEnd);
  client.socket.close(1000);
  const record = await sidecar.recordWhere(({ status }) => status === 101);
  expect(record).toMatchObject({ inputTokens, usageKnown, error: '', abandoned: false });
});

test("another tenant's response can't be gone on with, and can't be fetched", async () => {
  const upstream = await answering('resp_a');
  const sidecar = await startSessions(upstream, { authenticate: { keys } }, responses);
  const own = connect(sidecar.url, path, as('k-a'));
  await own.open;
  own.socket.send(create());
  await own.next(isEnd);
  own.socket.send(create({ previous_response_id: 'resp_a' }));
  await own.next(isEnd);

  const other = connect(sidecar.url, path, as('k-b'));
  await other.open;
  other.socket.send(create({ previous_response_id: 'resp_a' }));
  expect(JSON.parse(await other.next())).toEqual({
    type: 'error',
    status: 404,
    error: expect.objectContaining({ code: 'object_not_found' }),
  });
  expect((await other.closed)[0]).toBe(1008);
  expect(upstream.sides[1]?.messages).toEqual([]);

  const codeFor = async (key: string) => {
    const reply = await ask(sidecar.url, `${path}/resp_a`, { method: 'GET', body: '', headers: as(key) });
    return [reply.status, JSON.parse(reply.text).error?.code];
  };
  // The provider here keeps nothing; what matters is who it is asked for.
  expect(await codeFor('k-a')).not.toEqual([404, 'object_not_found']);
  expect(await codeFor('k-b')).toEqual([404, 'object_not_found']);
});

test('a plain request to the path is none', async () => {
  const upstream = await startSessionUpstream();
  const sidecar = await startSessions(upstream, {}, { ...responses, passthrough: false });
  expect(await connect(sidecar.url, path).outcome).toBe('passthrough_off');
  const { status } = await ask(sidecar.url, path, { method: 'GET', body: '' });
  expect([status, upstream.handshakes]).toEqual([404, []]);
});
