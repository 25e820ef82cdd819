/** Streams that break off, end without their last event or stall once the client has seen a part of the answer. */
import { describe, expect, test } from 'vitest';
import { type Chain, labelOf, startChain } from '../support/chain.ts';
import type { Incoming } from '../support/client.ts';
import { eventData, lastError, openaiWire, type Wire, wires } from '../support/replies.ts';
import { streamBySdk } from '../support/sdk.ts';
import { silenceMs, standingTime } from '../support/time.ts';
import { answers, type Call, type Script } from '../support/upstream.ts';

/** Nothing of this may stand in a stream that broke off: each would let a client take it for whole. */
const forged = ['[DONE]', 'message_stop', '"end_turn"', '"finish_reason":"stop"'];

/** A stream of which the client has seen `Hello`; the hand on the rest is given. */
async function begun(
  chain: Chain,
  headers: Record<string, string> = {},
): Promise<{ call: Call; reply: Incoming }> {
  const coming = chain.stream({}, headers);
  const call = await chain.first.call(0);
  call.streamHead();
  call.write(chain.wire.opening);
  call.write(chain.wire.text('Hello'));
  const reply = await coming;
  await reply.sees('Hello');
  return { call, reply };
}

/** The client holds what came, then an error of its dialect, then a clean end, and no forged one. */
function expectCut(wire: Wire, text: string, reason: string): void {
  expect(text.startsWith(wire.opening + wire.text('Hello'))).toBe(true);
  const error = lastError(wire, text);
  expect(error).toMatchObject({ code: 'stream_cut', type: 'api_error' });
  expect(error?.message).toContain(reason);
  for (const end of forged) expect(text).not.toContain(end);
  if (wire.name === 'anthropic') expect(text).toContain('event: error\n');
}

/** Ways in which a connection ends that is not the reply's end. */
const breaks: readonly (readonly [name: string, end: (call: Call) => void])[] = [
  ['a reset', (call) => call.reset()],
  ['a connection closed in the middle of the reply', (call) => call.cut()],
];

describe.each(wires)('$name', (wire) => {
  for (const [name, end] of breaks) {
    test(`row 3: ${name}: the text so far, then an error event, the received part billed`, async () => {
      const chain = await startChain(wire, [[], [answers(wire, 'Never')]]);
      const { call, reply } = await begun(chain);
      end(call);
      expectCut(wire, await reply.all(), 'reset');
      const record = await chain.recordWhere(({ stream }) => stream);
      expect(record).toMatchObject({
        status: 200,
        error: 'stream_cut',
        abandoned: false,
        target: labelOf(0),
      });
      expect(record).toMatchObject({ attempts: 1, tried: `${labelOf(0)}: reset` });
      expect(record.inputTokens).toBeGreaterThan(0);
      expect(record.outputTokens).toBeGreaterThan(0);
      expect(await chain.breaker()).toBe('open');
      expect(chain.second.calls).toHaveLength(0);
    });
  }

  test('row 3: what was received is billed by its length, not by what the start of the stream stated', async () => {
    const chain = await startChain(wire, [[]]);
    const { call, reply } = await begun(chain);
    call.write(wire.text('word '.repeat(400)));
    await reply.sees('word '.repeat(400));
    call.reset();
    await reply.all();
    const record = await chain.recordWhere(({ stream }) => stream);
    expect(record.outputTokens).toBeGreaterThan(200);
    expect(record.usageKnown).toBe(false);
  });

  test('row 3: the SDK throws, with the text so far in hand', async () => {
    const chain = await startChain(wire, [[]]);
    const outcome = streamBySdk(wire, chain.url, { onText: () => call.reset() });
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening);
    call.write(wire.text('Hello'));
    const { text, error } = await outcome;
    expect(text).toBe('Hello');
    expect(error?.message).toContain('broke off');
  });

  test('row 3: restart on-cut: the answer begins again on the next target, after an event that says so', async () => {
    const chain = await startChain(wire, [[], [answers(wire, 'Anew', ' and whole')]]);
    const { call, reply } = await begun(chain, { 'x-sidegate-restart': 'on-cut' });
    call.reset();
    const text = await reply.all();
    const [before, after] = text.split(/(?:event: sidegate_restart\n)?data: [^\n]*sidegate[^\n]*\n\n/);
    expect(before).toBe(wire.opening + wire.text('Hello'));
    expect(wire.textOf(after ?? '')).toBe('Anew and whole');
    expect(eventData(after ?? '').at(-1)).toContain(wire.name === 'openai' ? '[DONE]' : 'message_stop');
    expect(lastError(wire, text)).toBeNull();
    const record = await chain.recordWhere(({ stream }) => stream);
    expect(record).toMatchObject({ error: '', target: labelOf(1), attempts: 2 });
    expect(record.tried).toBe(`${labelOf(0)}: reset, ${labelOf(1)}: ok`);
    expect(await chain.breaker()).toBe('open');
    expect(await chain.breaker(1)).toBe('closed');
  });

  test('row 3: restart on-cut: never after a tool call has begun', async () => {
    const chain = await startChain(wire, [[], [answers(wire, 'Never')]]);
    const { call, reply } = await begun(chain, { 'x-sidegate-restart': 'on-cut' });
    call.write(wire.toolBegins);
    call.write(wire.toolArguments('{"city":'));
    await reply.sees('city');
    call.reset();
    expectCut(wire, await reply.all(), 'reset');
    expect(chain.second.calls).toHaveLength(0);
  });

  test('row 3: restart on-cut with no target left is an error event', async () => {
    const chain = await startChain(wire, [[]]);
    const { call, reply } = await begun(chain, { 'x-sidegate-restart': 'on-cut' });
    call.reset();
    expectCut(wire, await reply.all(), 'reset');
  });

  test('row 3: restart on-cut: not once the request’s time is over, which the next target isn’t to blame for', async () => {
    const time = standingTime();
    const attempt = { totalTimeoutMs: silenceMs };
    const chain = await startChain(wire, [[], [answers(wire, 'Never')]], { attempt }, time.world);
    const { reply } = await begun(chain, { 'x-sidegate-restart': 'on-cut' });
    time.pass(silenceMs);
    expectCut(wire, await reply.all(), 'deadline');
    expect(await chain.recordWhere(({ stream }) => stream)).toMatchObject({
      attempts: 1,
      tried: `${labelOf(0)}: deadline`,
    });
    expect([await chain.breaker(), await chain.breaker(1)]).toEqual(['open', 'closed']);
  });

  test('row 3: a client that reads until its time is over, but slowly, is no failure of the provider', async () => {
    const time = standingTime();
    const chain = await startChain(wire, [[]], { attempt: { totalTimeoutMs: silenceMs } }, time.world);
    const { call, reply } = await begun(chain);
    reply.pause();
    const flooding = call.flood(Buffer.from(wire.text('x'.repeat(60_000))), 2000);
    // Without back-pressure it would send all of it.
    let [sentBytes, unchanged] = [0, 0];
    // A machine that is busy may send nothing for a while, too.
    while (unchanged < 5) {
      unchanged = sentBytes > 0 && call.sentBytes === sentBytes ? unchanged + 1 : 0;
      sentBytes = call.sentBytes;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    time.pass(silenceMs);
    expect(await flooding).toBeLessThan(2000);
    reply.resume();
    expectCut(wire, await reply.all(), 'client_slow');
    expect(await chain.breaker()).toBe('closed');
  });

  test('row 4: a clean end without the last event is an error, and a failure for the breaker', async () => {
    const chain = await startChain(wire, [[], [answers(wire, 'Never')]]);
    const { call, reply } = await begun(chain);
    call.end();
    expectCut(wire, await reply.all(), 'ended_early');
    expect(await chain.recordWhere(({ stream }) => stream)).toMatchObject({
      error: 'stream_cut',
      abandoned: false,
    });
    expect(await chain.breaker()).toBe('open');
  });

  test('row 4: the SDK, which takes such an end for success, throws', async () => {
    const script: Script = (call) => {
      call.streamHead();
      call.write(wire.opening + wire.text('Hello'));
      call.end();
    };
    const chain = await startChain(wire, [[script]]);
    const outcome = await streamBySdk(wire, chain.url);
    expect(outcome.text).toBe('Hello');
    expect(outcome.error?.message).toContain('broke off');
    // The same reply without the gateway: the silent success this row is about.
    const direct = await streamBySdk(wire, chain.first.baseUrl.replace('/v1', ''));
    expect(direct).toEqual({ text: 'Hello', error: null });
  });

  test('row 4: nothing but an opening, ended cleanly, is retried', async () => {
    const script: Script = (call) => {
      call.streamHead();
      call.end(wire.opening);
    };
    const chain = await startChain(wire, [[script], [answers(wire, 'Good')]]);
    expect(wire.textOf(await (await chain.stream()).all())).toBe('Good');
  });

  test('row 4: a finish reason without the last event is complete, and gets its end', async () => {
    const chain = await startChain(wire, [[]]);
    const { call, reply } = await begun(chain);
    call.end(wire.finish() + wire.usage);
    expect(await reply.all()).toBe(wire.opening + wire.text('Hello') + wire.finish() + wire.end);
    const record = await chain.recordWhere(({ stream }) => stream);
    expect(record).toMatchObject({ error: '', inputTokens: 25, outputTokens: 15, usageKnown: true });
    expect(await chain.breaker()).toBe('closed');
  });

  test('row 4: the last event without its blank line still counts', async () => {
    const chain = await startChain(wire, [[]]);
    const { call, reply } = await begun(chain);
    call.end((wire.finish() + wire.end).trimEnd());
    const text = await reply.all();
    expect(lastError(wire, text)).toBeNull();
    expect(eventData(text).at(-1)).toBe(eventData(wire.end)[0]);
    expect(await chain.breaker()).toBe('closed');
  });

  test('row 4: a connection left open after the last event keeps nobody waiting', async () => {
    const chain = await startChain(wire, [[]]);
    const { call, reply } = await begun(chain);
    call.write(wire.finish());
    call.write(wire.end);
    expect(await reply.all()).toBe(wire.opening + wire.text('Hello') + wire.finish() + wire.end);
    await call.aborted;
    expect(await chain.breaker()).toBe('closed');
  });

  test('row 6: a stall ends by the idle timeout, and comments reach the client meanwhile', async () => {
    const time = standingTime();
    const settings = { attempt: { idleTimeoutMs: silenceMs }, listen: { keepAliveMs: 10 } };
    const chain = await startChain(wire, [[]], settings, time.world);
    const { call, reply } = await begun(chain);
    // A moment too short, however long the machine takes.
    time.pass(silenceMs - 2);
    await reply.sees(': keep-alive\n\n'.repeat(5));
    time.pass(2);
    const text = await reply.all();
    expectCut(wire, text, 'idle_timeout');
    await call.aborted;
    expect(await chain.breaker()).toBe('open');
    const record = await chain.recordWhere(({ stream }) => stream);
    expect(record.error).toBe('stream_cut');
    expect(record.outputTokens).toBeGreaterThan(0);
  });

  test('row 6: silence shorter than the timeout is no stall, however long the stream', async () => {
    const time = standingTime();
    const settings = { attempt: { idleTimeoutMs: silenceMs }, listen: { keepAliveMs: 10 } };
    const chain = await startChain(wire, [[]], settings, time.world);
    const { call, reply } = await begun(chain);
    let last = 'Hello';
    for (const next of [' 0', ' 1', ' 2', ' 3', ' 4', ' 5']) {
      time.pass(silenceMs - 2);
      await reply.sees(wire.text(last) + ': keep-alive\n\n'.repeat(3));
      call.write(wire.text(next));
      await reply.sees(next);
      last = next;
    }
    call.end(wire.finish() + wire.end);
    expect(wire.textOf(await reply.all())).toBe('Hello 0 1 2 3 4 5');
    expect(await chain.breaker()).toBe('closed');
  });

  test('row 6: the SDK reads over comments, and throws at the stall', async () => {
    const script: Script = (call) => {
      call.streamHead();
      call.write(wire.opening + wire.text('Hello'));
    };
    const settings = { attempt: { idleTimeoutMs: 60 }, listen: { keepAliveMs: 10 } };
    const chain = await startChain(wire, [[script]], settings);
    const { text, error } = await streamBySdk(wire, chain.url);
    expect(text).toBe('Hello');
    expect(error?.message).toContain('idle_timeout');
  });
});

test('row 4: several choices of which one has ended aren’t complete, and aren’t kept', async () => {
  const wire = openaiWire;
  const other = (text: string): string => text.replace('"index":0', '"index":1');
  const chain = await startChain(wire, [[() => {}, answers(wire, 'Asked again')]], {
    cache: { enabled: true },
    attempt: { breaker: { failures: 9 } },
  });
  const coming = chain.stream({ n: 2 });
  const call = await chain.first.call(0);
  call.streamHead();
  call.end(wire.opening + wire.text('Hello') + other(wire.text('Ho')) + wire.finish());
  expect(lastError(wire, await (await coming).all())?.message).toContain('ended_early');
  expect((await chain.stream({ n: 2 })).headers['cache-status']).not.toContain('hit');
});
