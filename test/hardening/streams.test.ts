/** Streams: what is held of each is bounded, and of all of them together, however they are read, written and ended. */
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { flowBytes, joinStreams, leaveStreams, textBytes } from '../../src/upstream/shares.ts';
import { ask, openSocket, send } from '../support/client.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { longestTurn, shortest } from '../support/time.ts';
import {
  answers,
  hangs,
  refuses,
  resets,
  type Script,
  startUpstream,
  type Upstream,
} from '../support/upstream.ts';

/** What no request may exceed, in ms of CPU time. */
const turnMaxMs = 50;
const [replyMaxBytes, repliesMaxBytes] = [2_000_000, 3_000_000];
/** A provider, and a sidecar before it. */
async function start(): Promise<{ readonly upstream: Upstream; readonly sidecar: TestSidecar }> {
  const upstream = await startUpstream();
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    listen: { repliesMaxBytes },
    attempt: { replyMaxBytes, retriesMax: 0 },
    providers: { openai: { dialect: 'openai', baseUrl: upstream.baseUrl, apiKey: 'k' } },
    routes: [{ model: 'm', targets: [{ provider: 'openai' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  return { upstream, sidecar };
}

/** The same prompt, told to each of the client's APIs. */
const clients = {
  responses: ['/v1/responses', { model: 'm', input: 'Hi', stream: true }],
  anthropic: [
    '/v1/messages',
    { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }], stream: true },
  ],
  openai: ['/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: 'Hi' }], stream: true }],
} as const;

const piece = Buffer.from(wire.text('x'.repeat(10_000)));
/** Says so many bytes, then whatever `then` does. */
const says =
  (bytes: number, then: Script): Script =>
  async (call) => {
    call.streamHead();
    call.write(wire.opening);
    await call.flood(piece, Math.ceil(bytes / 10_000));
    return then(call);
  };
const ends: Script = (call) => call.end(wire.finish() + wire.usage + wire.end);

test.each([
  ['repeated to a client of the Responses API', 'responses'],
  ['translated for a client of Anthropic’s', 'anthropic'],
] as const)('H15: a stream that is %s holds no more than a whole reply may', async (_, client) => {
  const { upstream, sidecar } = await start();
  const [path, body] = clients[client];
  upstream.answer(says(4 * replyMaxBytes, hangs));
  const reply = await ask(sidecar.url, path, { body });
  expect(reply.text).toContain('too_large');
  upstream.answer(says(replyMaxBytes / 2, ends));
  expect((await ask(sidecar.url, path, { body })).text).not.toContain('too_large');
});

test('H15: a stream that passes as it is may be of any length', async () => {
  const { upstream, sidecar } = await start();
  const [path, body] = clients.openai;
  upstream.answer(says(4 * replyMaxBytes, ends));
  const { text } = await ask(sidecar.url, path, { body });
  expect(text.length).toBeGreaterThan(4 * replyMaxBytes);
  expect(text).toContain('[DONE]');
});

test('H15: what translated streams hold leaves no room for other large ones, until they are over', async () => {
  const { upstream, sidecar } = await start();
  const [path, body] = clients.responses;
  const asked = upstream.calls.length;
  upstream.answer(says(0.9 * replyMaxBytes, () => {}));
  const first = await send(sidecar.url, path, { body }).reply;
  while (first.bytes < 0.9 * replyMaxBytes) await new Promise((resolve) => setTimeout(resolve, 10));
  upstream.answer(says(0.9 * replyMaxBytes, ends));
  expect((await ask(sidecar.url, path, { body })).text).toContain('no_room');
  (await upstream.call(asked)).end(wire.finish() + wire.usage + wire.end);
  expect(await first.all()).toContain('response.completed');
  while ((await ask(sidecar.url, path, { body })).text.includes('no_room'));
});

test('H12: the more streams there are, the less each holds', () => {
  const alone = [flowBytes(), textBytes()];
  for (let i = 0; i < 1024; i++) joinStreams();
  const crowded = [flowBytes(), textBytes()];
  for (let i = 0; i < 1024; i++) leaveStreams();
  expect([alone, crowded, [flowBytes(), textBytes()]]).toEqual([
    [64 * 1024, 128 * 1024],
    [16 * 1024, 16 * 1024],
    [64 * 1024, 128 * 1024],
  ]);
});

test.each<readonly [string, Script]>([
  ['to its end', answers(wire, 'Hello')],
  ['in a refusal', refuses(wire.error(500, 'no'))],
  ['in a reset', resets],
  ['in a cut after its first words', says(10_000, (call) => call.cut())],
  ['with something else than events', (call) => call.whole(200, { 'content-type': 'text/html' }, '<html>')],
  ['with an error event', says(10_000, (call) => call.end(wire.errorEvent('no')))],
  ['as more than one may be', says(4 * replyMaxBytes, ends)],
])('H12: a stream that comes %s counts no longer', async (_, script) => {
  // With a thousand others, one that still counts would show.
  for (let i = 0; i < 1000; i++) joinStreams();
  onTestFinished(() => {
    for (let i = 0; i < 1000; i++) leaveStreams();
  });
  const before = flowBytes();
  for (const [path, body] of Object.values(clients)) {
    const { upstream, sidecar } = await start();
    upstream.answer(script);
    await ask(sidecar.url, path, { body }).catch(() => {});
    expect(upstream.calls).toHaveLength(1);
    expect(flowBytes(), path).toBe(before);
  }
});

test('H12: a stream whose client leaves counts no longer', async () => {
  const { upstream, sidecar } = await start();
  for (let i = 0; i < 1000; i++) joinStreams();
  const before = flowBytes();
  for (const script of [hangs, says(10_000, hangs)]) {
    const asked = upstream.calls.length;
    upstream.answer(script);
    const [path, body] = clients.openai;
    const content = JSON.stringify(body);
    const socket = await openSocket(sidecar.url);
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${content.length}\r\n\r\n${content}`,
    );
    await upstream.call(asked);
    if (script !== hangs) await once(socket, 'data');
    expect(flowBytes()).toBeLessThan(before);
    socket.destroy();
    while (flowBytes() !== before) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (let i = 0; i < 1000; i++) leaveStreams();
});

test('H12: a kept stream whose values are restored is replayed and joined in turns', async () => {
  const { upstream, sidecar } = await start();
  const event = Buffer.from(wire.text('[a'));
  const events = Math.floor(3_800_000 / event.length);
  let end = (): void => {};
  upstream.answer(async (call) => {
    call.streamHead();
    call.write(wire.opening);
    await call.flood(event, events);
    end = () => call.end(wire.finish() + wire.usage + wire.end);
  });
  const [path] = clients.openai;
  const body = {
    model: 'm',
    messages: [{ role: 'user', content: 'Write to ann@example.com' }],
    stream: true,
  };
  const sending = { body, headers: { 'idempotency-key': 'kept' }, discard: true };
  const first = await send(sidecar.url, path, sending).reply;
  while (first.bytes < events * event.length) await new Promise((resolve) => setTimeout(resolve, 10));
  const repeat = (): Promise<number> =>
    longestTurn(
      (async () => {
        const reply = await send(sidecar.url, path, sending).reply;
        while (reply.bytes < events * event.length) await new Promise((resolve) => setTimeout(resolve, 1));
      })(),
    );
  const during = await shortest(turnMaxMs, repeat);
  end();
  await first.all();
  const after = await shortest(turnMaxMs, repeat);
  expect(Math.max(during, after)).toBeLessThan(turnMaxMs);
});
