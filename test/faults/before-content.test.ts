/** Faults before a client has seen anything: it sees one good reply, or one clear error. */
import { describe, expect, test } from 'vitest';
import { labelOf, startChain } from '../support/chain.ts';
import { lastError, wires } from '../support/replies.ts';
import { askBySdk, streamBySdk } from '../support/sdk.ts';
import { silenceMs, standingTime } from '../support/time.ts';
import { answers, hangs, resets } from '../support/upstream.ts';

describe.each(wires)('$name', (wire) => {
  for (const stream of [true, false]) {
    const kind = stream ? 'stream' : 'whole reply';
    const textIn = (text: string): string => (stream ? wire.textOf(text) : JSON.stringify(JSON.parse(text)));

    test(`row 1: a reset before the headers is retried on the same target (${kind})`, async () => {
      const attempt = { retriesMax: 1, breaker: { failures: 3 } };
      const chain = await startChain(wire, [[resets, answers(wire, 'Hello', ' you')]], { attempt });
      const { status, headers, text } = await chain.ask({ stream });
      expect(status).toBe(200);
      expect(textIn(text)).toContain('Hello you');
      expect(headers['x-sidegate-attempts']).toBe('2');
      const [before, after] = chain.first.calls;
      expect(after?.body).toEqual(before?.body);
      expect(await chain.recordWhere(({ status }) => status === 200)).toMatchObject({
        error: '',
        attempts: 2,
        tried: `${labelOf(0)}: reset, ${labelOf(0)}: ok`,
      });
    });

    test(`row 1: a reset before the headers falls back to the next target (${kind})`, async () => {
      const chain = await startChain(wire, [[resets], [answers(wire, 'From the second')]]);
      const { status, headers, text } = await chain.ask({ stream });
      expect(status).toBe(200);
      expect(textIn(text)).toContain('From the second');
      expect(headers['x-sidegate-target']).toBe(labelOf(1));
      expect(chain.first.calls).toHaveLength(1);
      expect(await chain.breaker()).toBe('open');
      expect(await chain.breaker(1)).toBe('closed');
    });
  }

  test('row 1: a kept connection that the provider closes under a request costs the client nothing', async () => {
    const attempt = { retriesMax: 1, breaker: { failures: 3 } };
    const good = answers(wire, 'Hello');
    const chain = await startChain(wire, [[good, resets, good]], { attempt });
    expect((await chain.ask()).status).toBe(200);
    expect((await chain.ask()).status).toBe(200);
    const [one, two, three] = chain.first.calls;
    expect(two?.connection).toBe(one?.connection);
    expect(three?.connection).not.toBe(one?.connection);
  });

  test('row 1: the SDK sees one good reply', async () => {
    const chain = await startChain(wire, [[resets], [answers(wire, 'Fine')]]);
    expect(await streamBySdk(wire, chain.url)).toEqual({ text: 'Fine', error: null });
    expect(await askBySdk(wire, chain.url)).toEqual({ text: 'Fine', error: null });
  });

  test('row 2: a reset after the headers is retried', async () => {
    const chain = await startChain(wire, [[], [answers(wire, 'Good')]]);
    const sent = chain.send({ stream: true });
    const call = await chain.first.call(0);
    call.streamHead();
    call.reset();
    const reply = await sent.reply;
    expect(reply.status).toBe(200);
    expect(wire.textOf(await reply.all())).toBe('Good');
    expect(reply.headers['x-sidegate-target']).toBe(labelOf(1));
  });

  test('row 2: a reset after role, message_start and ping is retried, and nothing of it is shown', async () => {
    const chain = await startChain(wire, [[], [answers(wire, 'Good')]]);
    const sent = chain.send({ stream: true });
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening);
    call.write(': a comment is no content\n\n');
    // The gateway reads on past this point only when it has read the opening.
    await new Promise((resolve) => setImmediate(resolve));
    call.reset();
    const text = await (await sent.reply).all();
    const good = wire.stream('Good').filter((event) => event !== wire.usage || event === '');
    expect(text).toBe(good.join(''));
    expect(await chain.breaker()).toBe('open');
  });

  test('row 2: the first content ends the holding back', async () => {
    const chain = await startChain(wire, [[], [answers(wire, 'Never')]]);
    const sent = chain.send({ stream: true });
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening);
    call.write(wire.thinking('Hm'));
    const reply = await sent.reply;
    await reply.sees('Hm');
    expect(reply.text.startsWith(wire.opening)).toBe(true);
    call.write(wire.text('Hello'));
    call.write(wire.finish());
    call.end(wire.end);
    expect(await reply.all()).toBe(
      wire.opening + wire.thinking('Hm') + wire.text('Hello') + wire.finish() + wire.end,
    );
    expect(chain.second.calls).toHaveLength(0);
  });

  test('row 5: no first token in time: the call is given up and the next target answers', async () => {
    const time = standingTime();
    const attempt = { firstTokenTimeoutMs: silenceMs };
    const chain = await startChain(wire, [[], [answers(wire, 'Quick')]], { attempt }, time.world);
    const sent = chain.send({ stream: true });
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening);
    time.pass(silenceMs);
    const reply = await sent.reply;
    expect(wire.textOf(await reply.all())).toBe('Quick');
    expect(reply.headers['x-sidegate-target']).toBe(labelOf(1));
    await call.aborted;
    expect(await chain.breaker()).toBe('open');
    const record = await chain.recordWhere(({ status }) => status === 200);
    expect(record.tried).toBe(`${labelOf(0)}: first_token_timeout, ${labelOf(1)}: ok`);
  });

  test('row 5: a slow target is not asked again, and with no other the error names the setting', async () => {
    const time = standingTime();
    const attempt = { firstTokenTimeoutMs: silenceMs, retriesMax: 3, breaker: { failures: 9 } };
    const chain = await startChain(wire, [[time.silent]], { attempt }, time.world);
    const { status, headers, text } = await chain.ask({ stream: true });
    expect(status).toBe(504);
    expect(headers['content-type']).toContain('application/json');
    expect(headers['x-should-retry']).toBe('false');
    expect(wire.errorOf(text)).toMatchObject({ code: 'upstream_timeout', type: 'api_error' });
    expect(text).toContain('attempt.firstTokenTimeoutMs');
    expect(chain.first.calls).toHaveLength(1);
  });

  test('row 5: a whole reply that does not come in time goes to the next target', async () => {
    const time = standingTime();
    const attempt = { replyTimeoutMs: silenceMs };
    const chain = await startChain(wire, [[], [answers(wire, 'Quick')]], { attempt }, time.world);
    const sent = chain.send();
    const call = await chain.first.call(0);
    call.head(200, { 'content-type': 'application/json', 'content-length': '4000' });
    call.write('{"id":');
    time.pass(silenceMs);
    const reply = await sent.reply;
    expect(await reply.all()).toContain('Quick');
    await call.aborted;
  });

  test("row 5: the client's own deadline counts over all targets", async () => {
    // Two targets would take longer together.
    const time = standingTime();
    const attempt = { firstTokenTimeoutMs: 2 * silenceMs };
    const chain = await startChain(wire, [[hangs], [hangs]], { attempt }, time.world);
    const asked = chain.ask({ stream: true }, { 'x-sidegate-timeout': String(3 * silenceMs) });
    await chain.first.call(0);
    time.pass(2 * silenceMs);
    await chain.second.call(0);
    time.pass(silenceMs);
    const { status, text } = await asked;
    expect(status).toBe(504);
    expect(text).toContain('x-sidegate-timeout');
    expect(chain.second.calls).toHaveLength(1);
  });

  test("row 5: the client's own deadline holds for a stream that has begun, first token included", async () => {
    const time = standingTime();
    const deadlineMs = 4 * silenceMs;
    const chain = await startChain(wire, [[]], { listen: { keepAliveMs: 10 } }, time.world);
    const coming = chain.stream({}, { 'x-sidegate-timeout': String(deadlineMs) });
    const call = await chain.first.call(0);
    call.streamHead();
    // Its first content comes late: from then on it doesn't have the whole time again.
    time.pass(3 * silenceMs);
    call.write(wire.opening + wire.text('Hello'));
    const reply = await coming;
    await reply.sees('Hello');
    // In real time all of it is over by now, many times.
    await reply.sees(': keep-alive\n\n'.repeat(10));
    time.pass(silenceMs);
    expect(lastError(wire, await reply.all())?.message).toContain('deadline');
    await call.aborted;
  });

  test("row 5: the client can cancel meanwhile, and that is nobody's failure", async () => {
    const chain = await startChain(wire, [[hangs], [answers(wire, 'Never')]]);
    const sent = chain.send({ stream: true });
    const call = await chain.first.call(0);
    sent.hangUp();
    await call.aborted;
    await chain.recordWhere(({ abandoned }) => abandoned);
    expect(chain.second.calls).toHaveLength(0);
    expect(await chain.breaker()).toBe('closed');
  });
});
