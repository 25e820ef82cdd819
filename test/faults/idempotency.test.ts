/** The same Idempotency-Key while the first request is in flight: one call, and everybody has the answer. */
import { describe, expect, test } from 'vitest';
import { type Chain, metricIn, startChain } from '../support/chain.ts';
import { send } from '../support/client.ts';
import { startGate } from '../support/gate.ts';
import { lastError, type Wire, wires } from '../support/replies.ts';
import { answers, echoes, refuses } from '../support/upstream.ts';

const headers = { 'idempotency-key': 'the-key' };
const json = { 'content-type': 'application/json' };

/** Waits until so many requests are at work: what has been sent has been read then. */
async function atWork(chain: Pick<Chain, 'metrics'>, count: number): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (metricIn(await chain.metrics(), 'sidegate_requests_in_flight') === count) return;
  }
  throw new Error(`never ${count} requests at work`);
}

describe.each(wires)('$name', (wire: Wire) => {
  const whole = wire.whole('Once');
  const ends = wire.finish() + wire.usage + wire.end;

  for (const stream of [true, false]) {
    test(`row 21: repeats join the first and get its reply (${stream ? 'stream' : 'whole'})`, async () => {
      const chain = await startChain(wire, [[]]);
      const sent = [chain.send({ stream }, headers)];
      const call = await chain.first.call(0);
      sent.push(chain.send({ stream }, headers), chain.send({ stream }, headers));
      await atWork(chain, 3);
      answers(wire, 'On', 'ce')(call);
      const replies = await Promise.all(sent.map(({ reply }) => reply));
      const texts = await Promise.all(replies.map((reply) => reply.all()));
      expect(new Set(texts).size).toBe(1);
      expect(texts[0]).toContain(stream ? 'ce' : 'Once');
      const replayed = replies.map((reply) => reply.headers['idempotent-replayed']);
      expect(replayed).toEqual([undefined, 'true', 'true']);
      expect(new Set(replies.map((reply) => reply.headers['x-request-id'])).size).toBe(3);
      expect(chain.first.calls).toHaveLength(1);
      const paid = chain.records().filter(({ inputTokens }) => inputTokens > 0);
      expect(paid).toHaveLength(1);
    });
  }

  test('row 21: another body under the key gets 422, also while the first runs', async () => {
    const chain = await startChain(wire, [[]]);
    const first = chain.send({}, headers);
    const call = await chain.first.call(0);
    const other = await chain.ask({ temperature: 1 }, headers);
    expect(other.status).toBe(422);
    expect(wire.errorOf(other.text)?.code).toBe('idempotency_mismatch');
    call.whole(200, json, whole);
    expect((await first.reply).status).toBe(200);
    expect(chain.first.calls).toHaveLength(1);
  });

  test('row 21: a repeat of a stream sees it flow, from its first byte', async () => {
    const chain = await startChain(wire, [[]]);
    const coming = chain.stream({}, headers);
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('begin'));
    const first = await coming;
    await first.sees('begin');
    const second = await chain.stream({}, headers);
    await second.sees('begin');
    call.write(wire.text(' middle'));
    await second.sees('middle');
    call.end(ends);
    expect(await second.all()).toBe(await first.all());
  });

  test('row 21: whoever joins may leave, or have no time, without harm to the first', async () => {
    const chain = await startChain(wire, [[]]);
    const first = chain.send({ stream: true }, headers);
    const call = await chain.first.call(0);
    const late = await chain.ask({ stream: true }, { ...headers, 'x-sidegate-timeout': '20' });
    expect(late.status).toBe(409);
    expect(Number(late.headers['retry-after-ms'])).toBeGreaterThanOrEqual(1);
    const leaving = chain.send({ stream: true }, headers);
    await atWork(chain, 2);
    leaving.hangUp();
    await atWork(chain, 1);
    call.streamHead();
    call.write(wire.opening + wire.text('half'));
    const follower = await chain.stream({}, headers);
    await follower.sees('half');
    follower.hangUp();
    await atWork(chain, 1);
    call.write(wire.text(' whole'));
    call.end(ends);
    expect(await (await first.reply).all()).toContain('whole');
    expect(chain.first.calls).toHaveLength(1);
  });

  test('row 21: the first may leave without harm to whoever joined', async () => {
    const chain = await startChain(wire, [[]]);
    const first = chain.send({}, headers);
    const call = await chain.first.call(0);
    const second = chain.send({}, headers);
    await atWork(chain, 2);
    first.hangUp();
    call.whole(200, json, whole);
    expect(await (await second.reply).all()).toBe(whole);
    expect(chain.first.calls).toHaveLength(1);
  });

  test('row 21: more than may join get 409 with Retry-After', async () => {
    const chain = await startChain(wire, [[]], { replay: { joinersMax: 1 } });
    const first = chain.send({}, headers);
    const call = await chain.first.call(0);
    const second = chain.send({}, headers);
    await atWork(chain, 2);
    const third = await chain.ask({}, headers);
    expect(third.status).toBe(409);
    expect(wire.errorOf(third.text)?.code).toBe('idempotency_in_flight');
    expect(Number(third.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    call.whole(200, json, whole);
    expect(await (await second.reply).all()).toBe(await (await first.reply).all());
  });

  test('row 21: when the first fails, one of the others goes upstream, and the rest join that one', async () => {
    const chain = await startChain(wire, [[]]);
    const first = chain.send({}, headers);
    const call = await chain.first.call(0);
    const others = [chain.send({}, headers), chain.send({}, headers), chain.send({}, headers)];
    await atWork(chain, 4);
    refuses(wire.error(400, 'not this time'))(call);
    expect((await first.reply).status).toBe(400);
    const again = await chain.first.call(1);
    await atWork(chain, 3);
    expect(chain.first.calls).toHaveLength(2);
    again.whole(200, json, whole);
    const replies = await Promise.all(others.map(({ reply }) => reply));
    expect(await Promise.all(replies.map((reply) => reply.all()))).toEqual([whole, whole, whole]);
    expect(replies.filter((reply) => reply.headers['idempotent-replayed'] === undefined)).toHaveLength(1);
    expect(chain.first.calls).toHaveLength(2);
  });

  test('row 21: a stream that is cut is cut for all who follow it, and isn’t pinned', async () => {
    const chain = await startChain(wire, [[]], { attempt: { breaker: { failures: 9 } } });
    const coming = chain.stream({}, headers);
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('half'));
    const first = await coming;
    const second = await chain.stream({}, headers);
    await second.sees('half');
    call.cut();
    for (const reply of [first, second]) expect(lastError(wire, await reply.all())?.code).toBe('stream_cut');
    chain.first.answer(answers(wire, 'whole'));
    const third = await chain.ask({ stream: true }, headers);
    expect(third.headers['idempotent-replayed']).toBeUndefined();
    expect(third.text).toContain('whole');
  });

  test('row 21: a stream over the memory for one reply goes on for the first alone', async () => {
    const chain = await startChain(wire, [[]], { replay: { entryMaxBytes: 2048 } });
    const coming = chain.stream({}, headers);
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('small'));
    const first = await coming;
    const second = await chain.stream({}, headers);
    await second.sees('small');
    call.write(wire.text('x'.repeat(3000)));
    expect(lastError(wire, await second.all())?.message).toContain('too large');
    expect((await chain.ask({ stream: true }, headers)).status).toBe(409);
    call.end(ends);
    expect(wire.textOf(await first.all())).toHaveLength(3005);
    chain.first.answer(answers(wire, 'anew'));
    expect((await chain.ask({ stream: true }, headers)).text).toContain('anew');
  });

  test('row 21: what is shared is masked, and each gets the values', async () => {
    const chain = await startChain(wire, [[]]);
    const asking = { messages: [{ role: 'user', content: 'I am ann@example.com' }], stream: true };
    const sent = [chain.send(asking, headers)];
    const call = await chain.first.call(0);
    expect(call.body.toString()).not.toContain('ann@');
    sent.push(chain.send(asking, headers));
    await atWork(chain, 2);
    echoes(wire, (token) => ['to ', token.slice(0, 4), token.slice(4)])(call);
    for (const { reply } of sent) expect(wire.textOf(await (await reply).all())).toBe('to ann@example.com');
  });

  test('row 21: whoever waits when the process shuts down is told so', async () => {
    const gate = await startGate([], { listen: { drainMs: 0 } });
    const body = wire.request('hi');
    const first = send(gate.sidecar.url, wire.path, { body, headers });
    await gate.upstream.call(0);
    const second = send(gate.sidecar.url, wire.path, { body, headers });
    await atWork(gate.sidecar, 2);
    const stopped = gate.stop();
    for (const { reply } of [first, second]) expect((await reply).status).toBe(503);
    await stopped;
  });
});
