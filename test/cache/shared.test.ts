/** Identical requests that come at once: one upstream call, and all get its reply. */
import { afterEach, describe, expect, test } from 'vitest';
import { metricIn } from '../support/chain.ts';
import { type Gate, startGate } from '../support/gate.ts';
import { type Wire, wires } from '../support/replies.ts';
import { answers, echoes, refuses } from '../support/upstream.ts';

describe.each(wires)('identical requests at once, $name', (wire: Wire) => {
  let gate: Gate;
  afterEach(() => gate.stop());
  const streaming = { more: { stream: true } };

  /** Resolves once so many requests are in flight. */
  async function inFlight(count: number): Promise<void> {
    while (metricIn(await gate.sidecar.metrics(), 'sidegate_requests_in_flight') !== count);
  }

  test('500 streams make one call, and all are complete and equal', async () => {
    gate = await startGate([], { cache: { singleFlight: true } });
    const first = gate.stream(wire, 'hi');
    const call = await gate.upstream.call(0);
    const early = Array.from({ length: 250 }, () => gate.stream(wire, 'hi'));
    await inFlight(251);
    call.streamHead();
    call.write(wire.opening + wire.text('one '));
    await (await first).sees('one');
    const late = Array.from({ length: 249 }, () => gate.stream(wire, 'hi'));
    await inFlight(500);
    call.write(wire.text('two') + wire.finish() + wire.usage);
    call.end(wire.end);
    const replies = await Promise.all([first, ...early, ...late]);
    const texts = await Promise.all(replies.map((reply) => reply.all()));
    expect(new Set(texts).size).toBe(1);
    expect(wire.textOf(texts[0] ?? '')).toBe('one two');
    expect(gate.upstream.calls).toHaveLength(1);
    expect(replies.filter(({ headers }) => headers['cache-status']?.includes('collapsed'))).toHaveLength(499);
    expect(replies.every(({ headers }) => headers['idempotent-replayed'] === undefined)).toBe(true);
    const records = gate.sidecar.records();
    expect(records.filter(({ cache, attempts }) => cache === 'hit' && attempts === 0)).toHaveLength(499);
    expect(records.filter(({ error }) => error !== '')).toEqual([]);
  });

  test('when the first hangs up, the others get all of it', async () => {
    gate = await startGate([], { cache: { singleFlight: true } });
    const first = gate.stream(wire, 'hi');
    const call = await gate.upstream.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('half'));
    const leader = await first;
    await leader.sees('half');
    const second = await gate.stream(wire, 'hi');
    await second.sees('half');
    leader.hangUp();
    // The sidecar runs in this process: by the end of a round trip it has seen the first one leave.
    await gate.sidecar.metrics();
    call.write(wire.text(' and half') + wire.finish() + wire.usage);
    call.end(wire.end);
    expect(wire.textOf(await second.all())).toBe('half and half');
    expect((await gate.ask(wire, 'hi', streaming)).headers['cache-status']).toBe('sidegate; hit');
    expect(gate.upstream.calls).toHaveLength(1);
  });

  test('a large stream that breaks off leaves all of its memory to what is stored', async () => {
    const bytesMax = 128 * 1024;
    gate = await startGate([], { cache: { singleFlight: true, bytesMax, entryMaxBytes: bytesMax } });
    const ask = (text: string, headers = {}) => gate.ask(wire, text, { headers });
    const kept = ask('kept');
    (await gate.upstream.call(0)).whole(
      200,
      { 'content-type': 'application/json' },
      wire.whole('x'.repeat(60_000)),
    );
    await kept;
    const first = gate.stream(wire, 'hi');
    const call = await gate.upstream.call(1);
    call.streamHead();
    call.write(wire.opening + wire.text('y'.repeat(90_000)));
    const leader = await first;
    await leader.sees('y'.repeat(1000));
    call.reset();
    await leader.all().catch(() => {});
    const alone = ask('alone', { 'cache-control': 'no-cache' });
    (await gate.upstream.call(2)).whole(
      200,
      { 'content-type': 'application/json' },
      wire.whole('x'.repeat(60_000)),
    );
    await alone;
    expect((await ask('alone')).headers['cache-status']).toBe('sidegate; hit');
  });

  test('when one of the others hangs up, nobody else notices', async () => {
    gate = await startGate([], { cache: { singleFlight: true } });
    const first = gate.stream(wire, 'hi');
    const call = await gate.upstream.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('half'));
    await (await first).sees('half');
    const [second, third] = [await gate.stream(wire, 'hi'), await gate.stream(wire, 'hi')];
    second.hangUp();
    await gate.sidecar.recordWhere(({ abandoned }) => abandoned);
    call.write(wire.text(' and half') + wire.finish() + wire.usage);
    call.end(wire.end);
    for (const reply of [await first, third]) expect(wire.textOf(await reply.all())).toBe('half and half');
  });

  test('a first that nobody joined ends with its client', async () => {
    gate = await startGate([], { cache: { singleFlight: true } });
    const first = await startedStream();
    first.leader.hangUp();
    await first.call.aborted;
    expect((await gate.sidecar.recordWhere(({ abandoned }) => abandoned)).cache).toBe('miss');
  });

  async function startedStream() {
    const reply = gate.stream(wire, 'hi');
    const call = await gate.upstream.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('half'));
    const leader = await reply;
    await leader.sees('half');
    return { leader, call };
  }

  test('whole replies are shared', async () => {
    gate = await startGate([], { cache: { singleFlight: true } });
    const first = gate.ask(wire, 'hi');
    const call = await gate.upstream.call(0);
    const others = Array.from({ length: 20 }, () => gate.ask(wire, 'hi'));
    await inFlight(21);
    call.whole(200, { 'content-type': 'application/json' }, wire.whole('done'));
    const { text } = await first;
    for (const other of await Promise.all(others)) {
      expect(other.text).toBe(text);
      expect(other.headers['cache-status']).toBe('sidegate; fwd=uri-miss; collapsed');
      expect(other.headers['x-sidegate-cost-usd']).toBe('0.000000000');
    }
    expect(gate.upstream.calls).toHaveLength(1);
  });

  test('after a failure each goes itself, all at once', async () => {
    gate = await startGate([], { cache: { singleFlight: true }, attempt: { retriesMax: 0 } });
    const first = gate.ask(wire, 'hi');
    const call = await gate.upstream.call(0);
    const others = Array.from({ length: 5 }, () => gate.ask(wire, 'hi'));
    await inFlight(6);
    gate.upstream.answer(answers(wire, 'fine'));
    await refuses(wire.error(400, 'no'))(call);
    expect((await first).status).toBe(400);
    expect((await Promise.all(others)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(gate.upstream.calls).toHaveLength(6);
  });

  test('a stream that breaks off breaks off for all, with an error', async () => {
    gate = await startGate([], { cache: { singleFlight: true }, attempt: { retriesMax: 0 } });
    const { leader, call } = await startedStream();
    const second = await gate.stream(wire, 'hi');
    await second.sees('half');
    call.cut();
    for (const reply of [leader, second]) expect(await reply.all()).toContain('stream_cut');
  });

  test('a stream too large for the cache still reaches all, and later ones go themselves', async () => {
    const cache = { singleFlight: true, entryMaxBytes: 2048 };
    gate = await startGate([], { cache });
    const { leader, call } = await startedStream();
    const second = await gate.stream(wire, 'hi');
    await second.sees('half');
    for (let i = 0; i < 20; i++) {
      call.write(wire.text(` part ${i} ${'x'.repeat(500)}`));
      await Promise.all([leader.sees(` part ${i} `), second.sees(` part ${i} `)]);
    }
    const third = gate.stream(wire, 'hi');
    const other = await gate.upstream.call(1);
    answers(wire, 'own')(other);
    expect(wire.textOf(await (await third).all())).toBe('own');
    call.write(wire.finish() + wire.usage);
    call.end(wire.end);
    const texts = [await leader.all(), await second.all()];
    expect(texts[1]).toBe(texts[0]);
    expect(wire.textOf(texts[0] ?? '')).toContain(' part 19 ');
  });

  test.each([
    ['another user', { headers: { 'x-sidegate-user': 'bob' } }],
    ['who wants a fresh answer', { headers: { 'cache-control': 'no-cache' } }],
    ['who wants nothing stored', { headers: { 'cache-control': 'no-store' } }],
    ['with an idempotency key', { headers: { 'idempotency-key': 'k' } }],
    ['with another text', { more: { temperature: 0.5 } }],
  ])('%s shares nothing', async (_, asking) => {
    gate = await startGate([], { cache: { singleFlight: true } });
    const first = gate.ask(wire, 'hi', { headers: { 'x-sidegate-user': 'ann' } });
    const call = await gate.upstream.call(0);
    const headers = { 'x-sidegate-user': 'ann', ...('headers' in asking ? asking.headers : {}) };
    const second = gate.ask(wire, 'hi', { ...asking, headers });
    const other = await gate.upstream.call(1);
    answers(wire, 'own')(other);
    expect((await second).text).toContain('own');
    answers(wire, 'first')(call);
    expect((await first).text).toContain('first');
  });

  test('each gets its own values back', async () => {
    gate = await startGate([], { cache: { singleFlight: true } });
    const ask = (): Promise<string> => gate.stream(wire, 'I am ann@example.com').then((reply) => reply.all());
    const first = ask();
    const call = await gate.upstream.call(0);
    const second = ask();
    await inFlight(2);
    echoes(wire, (token) => ['to ', token.slice(0, 4), token.slice(4)])(call);
    for (const text of await Promise.all([first, second]))
      expect(wire.textOf(text)).toBe('to ann@example.com');
  });
});
