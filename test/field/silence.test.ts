/** Silence before the first token is bounded, and fallback still happens unseen: FIELD row B18, issue 22, item 8. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { send } from '../support/client.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { anthropicWire, lastError, openaiWire, type Wire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, type Script, startUpstream } from '../support/upstream.ts';

const waits: Script = () => {};

async function start(wire: Wire, keepAliveMs: number, more: ConfigInput = {}) {
  const [one, two] = await Promise.all([startUpstream(waits), startUpstream(answers(wire, 'Good'))]);
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    listen: { keepAliveMs },
    providers: {
      one: { dialect: wire.name, baseUrl: one.baseUrl },
      two: { dialect: wire.name, baseUrl: two.baseUrl },
    },
    routes: [{ model: '*', targets: [{ provider: 'one' }, { provider: 'two' }] }],
    attempt: { retriesMax: 0 },
    ...more,
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all([one.close(), two.close()]);
  });
  const ask = (client: Wire = wire) =>
    send(sidecar.url, client.streamPath ?? client.path, { body: client.request('hi', { stream: true }) });
  return { one, two, sidecar, ask };
}

const alone = { routes: [{ model: '*', targets: [{ provider: 'one' }] }] };
const comment = ': keep-alive\n\n';

describe.each([openaiWire, anthropicWire, geminiWire])('B18: $name', (wire) => {
  test('the head and a comment go out before the answer, which follows from the second target', async () => {
    const { one, ask, sidecar } = await start(wire, 50);
    const reply = await ask().reply;
    expect([reply.status, reply.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
    await reply.sees(comment);
    (await one.call(0)).whole(500, {}, '{}');
    const text = await reply.all();
    expect(text.replaceAll(comment, '')).toContain('Good');
    const { target, status, attempts, error } = await sidecar.recordWhere(() => true);
    expect([target, status, attempts, error]).toEqual(['two/test-model', 200, 2, '']);
  });

  test('if nobody answers, the stream ends with the error', async () => {
    const { one, ask, sidecar } = await start(wire, 50, alone);
    const reply = await ask().reply;
    await reply.sees(comment);
    (await one.call(0)).whole(500, {}, '{}');
    expect(lastError(wire, await reply.all())?.message).toContain('one/test-model: status 500');
    expect((await sidecar.recordWhere(() => true)).error).toBe('targets_down');
    expect(sidecar.logText()).toMatch(/"level":50,.*"status":200,"error":"targets_down"/);
  });

  test("a provider's refusal is told in its words", async () => {
    const { one, ask } = await start(wire, 50, alone);
    const reply = await ask().reply;
    await reply.sees(comment);
    const { status, headers, body } = wire.error(400, 'Not like this.');
    (await one.call(0)).whole(status, { ...headers }, body);
    expect(lastError(wire, await reply.all())?.message).toContain('status 400: Not like this.');
  });

  test('an answer that comes whole is billed, and neither kept nor taken for a refusal', async () => {
    const { one, ask, sidecar } = await start(wire, 50, { ...alone, cache: { enabled: true } });
    const reply = await ask().reply;
    await reply.sees(comment);
    (await one.call(0)).whole(200, { 'content-type': 'application/json' }, wire.whole('Good'));
    expect(lastError(wire, await reply.all())?.message).toContain('whole, after the stream had begun');
    const record = await sidecar.recordWhere(() => true);
    expect([record.error, record.outputTokens > 0]).toEqual(['upstream_failed', true]);
    const again = await ask().reply;
    expect(String(again.headers['cache-status'])).not.toContain('hit');
    again.hangUp();
  });
});

test('B18: an answer in time has its own head and status', async () => {
  const { one, ask } = await start(openaiWire, 60_000, alone);
  const sent = ask();
  (await one.call(0)).whole(400, { 'content-type': 'application/json' }, '{"error":{"message":"no"}}');
  expect((await sent.reply).status).toBe(400);
});

test('B18: a client that leaves a reply that has begun early cancels the call', async () => {
  const { one, ask, sidecar } = await start(openaiWire, 50, alone);
  const reply = await ask().reply;
  await reply.sees(comment);
  const call = await one.call(0);
  reply.hangUp();
  await call.aborted;
  expect(await sidecar.recordWhere(() => true)).toMatchObject({ abandoned: true, error: '' });
});

test('B18: a list of Gemini stays a list', async () => {
  const { one, sidecar } = await start(geminiWire, 50, alone);
  const path = geminiWire.path.replace(':generateContent', ':streamGenerateContent');
  const reply = await send(sidecar.url, path, { body: geminiWire.request('hi') }).reply;
  const call = await one.call(0);
  call.whole(500, {}, '{}');
  const [event] = JSON.parse(await reply.all());
  expect(event.error.message).toContain('one/test-model: status 500');
});
