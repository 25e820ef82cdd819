/** What could fill the memory of the process: bombs, floods and clients that don't read. Memory is measured from outside. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { metricIn, spawnChain, startChain } from '../support/chain.ts';
import { send } from '../support/client.ts';
import { lastError, wires } from '../support/replies.ts';
import { until } from '../support/until.ts';
import { answers, type Script } from '../support/upstream.ts';

/** What lies about until it is collected, up to 32 MB by Node's defaults, would hide what is kept. */
const smallNewSpace = { NODE_OPTIONS: '--max-semi-space-size=1' };
const MB = 1024 * 1024;

/** 512 MB of spaces in a good half of a megabyte: a gzip file may have many members. */
const bomb = Buffer.concat(Array(512).fill(gzipSync(Buffer.alloc(MB, ' '))));

describe.each(wires)('$name', (wire) => {
  test('row 13: a decompression bomb gives 502, and takes no more memory than the bound', async () => {
    const replyMaxBytes = 8 * MB;
    const packed: Script = (call) =>
      call.whole(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }, bomb);
    const good = answers(wire, 'Lives');
    const attempt = { replyMaxBytes, breaker: { failures: 9 } };
    const chain = await spawnChain(wire, [[good, packed, packed, packed, good]], { attempt }, smallNewSpace);
    expect((await chain.ask()).status).toBe(200);
    const before = await chain.peakBytes();
    for (let i = 0; i < 3; i++) {
      const { status, text } = await chain.ask();
      expect(status).toBe(502);
      expect(wire.errorOf(text)).toMatchObject({ code: 'upstream_failed' });
    }
    // A quarter of what one unpacks to; what three leave behind is collected late on a busy machine.
    expect((await chain.peakBytes()) - before).toBeLessThan(128 * MB);
    expect((await chain.ask()).text).toContain('Lives');
  });

  test('row 16: a client that does not read stops the provider, and gets every byte when it reads on', async () => {
    const chain = await spawnChain(wire, [[]], {}, smallNewSpace);
    const coming = send(chain.url, wire.path, {
      body: wire.request('Go on.', { stream: true }),
      discard: true,
    }).reply;
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('Hello'));
    const reply = await coming;
    reply.pause();
    const before = await chain.peakBytes();
    const event = Buffer.from(wire.text('x'.repeat(16 * 1024)));
    const events = 16_384;
    let done = false;
    const flooding = call.flood(event, events).finally(() => {
      done = true;
    });
    // The provider is stopped when it has sent nothing more over a while; without back-pressure it would be done.
    let sentBytes = -1;
    while (call.sentBytes !== sentBytes) {
      sentBytes = call.sentBytes;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(done).toBe(false);
    expect(sentBytes).toBeLessThan(32 * MB);
    expect((await chain.peakBytes()) - before).toBeLessThan(32 * MB);

    reply.resume();
    expect(await flooding).toBe(events);
    call.end(wire.finish() + wire.end);
    await reply.all();
    const expected = wire.opening + wire.text('Hello') + wire.finish() + wire.end;
    expect(reply.bytes).toBe(Buffer.byteLength(expected) + events * event.length);
    // 256 MB went through; what lies about until it is collected is a part of it that does not grow with the whole.
    expect((await chain.peakBytes()) - before).toBeLessThan(160 * MB);
  });

  test('row 16: waiting for a slow client is no idle stream of the provider', async () => {
    // Long enough for a provider that a busy machine holds up, and shorter than the client's pause.
    const idleTimeoutMs = 2000;
    const chain = await startChain(wire, [[]], { attempt: { idleTimeoutMs } });
    const coming = send(chain.url, wire.path, {
      body: wire.request('Go on.', { stream: true }),
      discard: true,
    }).reply;
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('Hello'));
    const reply = await coming;
    reply.pause();
    const event = Buffer.from(wire.text('x'.repeat(16 * 1024)));
    const flooding = call.flood(event, 2048);
    let sentBytes = -1;
    while (call.sentBytes !== sentBytes) {
      sentBytes = call.sentBytes;
      await new Promise((resolve) => setTimeout(resolve, idleTimeoutMs * 1.25));
    }
    reply.resume();
    expect(await flooding).toBe(2048);
    call.end(wire.finish() + wire.end);
    await reply.all();
    expect(reply.bytes).toBeGreaterThan(2048 * event.length);
  });

  test('row 16: a client that reads nothing for too long is given up, and its provider with it', async () => {
    const chain = await startChain(wire, [[]], { listen: { clientTimeoutMs: 50 } });
    const coming = chain.stream();
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('Hello'));
    const reply = await coming;
    reply.pause();
    const sent = await call.flood(Buffer.from(wire.text('x'.repeat(16 * 1024))), 8192);
    expect(sent).toBeLessThan(8192);
    await call.aborted;
    await chain.recordWhere(({ abandoned }) => abandoned);
  });

  test('row 16: a whole reply that the client does not read is given up as well', async () => {
    const chain = await startChain(wire, [[answers(wire, 'x'.repeat(24 * MB))]], {
      listen: { clientTimeoutMs: 50 },
    });
    const reply = await chain.send().reply;
    reply.pause();
    await chain.recordWhere(({ status }) => status === 200);
    await until(async () => metricIn(await chain.metrics(), 'sidegate_requests_in_flight') === 0);
    reply.resume();
    await expect(reply.all()).rejects.toThrow('broken');
  });

  test('row 16: floods of several streams at once stay within their queues', async () => {
    const chain = await spawnChain(wire, [[]]);
    const event = Buffer.from(wire.text('x'.repeat(16 * 1024)));
    const replies = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const coming = send(chain.url, wire.path, {
          body: wire.request('Go on.', { stream: true }),
          discard: true,
        }).reply;
        const call = await chain.first.call(index);
        call.streamHead();
        call.write(wire.opening + wire.text('Hello'));
        const reply = await coming;
        reply.pause();
        void call.flood(event, 4096);
        return { call, reply };
      }),
    );
    const all = (): number => replies.reduce((sum, { call }) => sum + call.sentBytes, 0);
    let sentBytes = -1;
    while (all() !== sentBytes) {
      sentBytes = all();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    // 8 × 64 MB are on offer.
    expect(await chain.peakBytes()).toBeLessThan(200 * MB);
    for (const { reply } of replies) reply.hangUp();
    await Promise.all(replies.map(({ call }) => call.closed));
  });

  test('row 13: an event without end gives an error event, and takes no more memory than the bound', async () => {
    const cut: Script = (call) => {
      call.streamHead();
      call.write(wire.opening + wire.text('Hello'));
      call.cut();
    };
    const attempt = { eventMaxBytes: MB, breaker: { failures: 9 } };
    const chain = await spawnChain(wire, [[cut, () => {}]], { attempt }, smallNewSpace);
    // What the tokenizer takes, once, is not what is measured here.
    await chain.ask({ stream: true });
    await chain.outputMatching(/"usageKnown":false/);
    const coming = chain.stream();
    const call = await chain.first.call(1);
    call.streamHead();
    call.write(wire.opening + wire.text('Hello'));
    const reply = await coming;
    await reply.sees('Hello');
    const before = await chain.peakBytes();
    call.write('data: "');
    expect(await call.flood(Buffer.alloc(64 * 1024, 'x'), 4096)).toBeLessThan(4096);
    expect(lastError(wire, await reply.all())?.message).toContain('too_large');
    expect((await chain.peakBytes()) - before).toBeLessThan(32 * MB);
  });
});
