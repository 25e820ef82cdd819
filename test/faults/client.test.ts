/** What clients do wrong: they send too much, or hang up. */
import { describe, expect, test } from 'vitest';
import { type Chain, spawnChain, startChain } from '../support/chain.ts';
import { ask, openSocket, readAll, writable } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import { askBySdk } from '../support/sdk.ts';
import { loopMs } from '../support/time.ts';
import { answers, hangs } from '../support/upstream.ts';

const bodyMaxBytes = 64 * 1024;
/** The upstream must know within 100 ms that nobody listens. It takes a few turns of the event loop, and no timer. */
const abortMaxMs = 50;

/** A bucket that does not refill while a test runs, and requests that reserve much more of it than they use. */
const limits = [{ name: 'tokens', unit: 'tokens' as const, capacity: 100_000, refillPerSecond: 0.000_1 }];
const reserving = { max_tokens: 5000 };

/** Tokens the bucket holds for a request that has just been admitted. */
function levelIn(header: string | string[] | undefined): number {
  return Number(/"tokens";r=(\d+)/.exec(String(header))?.[1] ?? Number.NaN);
}

/** What the bucket lost between two identical requests that were answered well, besides what the first one used. */
async function lossOver(chain: Chain, between: () => Promise<void>): Promise<number> {
  const good = answers(chain.wire, 'Probe');
  const probe = async (): Promise<number> => levelIn((await chain.ask(reserving)).headers.ratelimit);
  chain.first.answer(good);
  const before = await probe();
  const { inputTokens, outputTokens } = await chain.recordWhere(({ status }) => status === 200);
  chain.first.answer(hangs);
  await between();
  chain.first.answer(good);
  return before - inputTokens - outputTokens - (await probe());
}

const head = (wire: Wire, ...headers: string[]): string =>
  [
    `POST ${wire.path} HTTP/1.1`,
    'host: localhost',
    'content-type: application/json',
    ...headers,
    '',
    '',
  ].join('\r\n');

/** Status and JSON body of a raw reply. */
function parseRaw(text: string): { status: number; body: string; headers: string } {
  const [headers = '', body = ''] = text.split('\r\n\r\n');
  return { status: Number(text.split(' ')[1]), body, headers };
}

describe.each(wires)('$name', (wire) => {
  const expectTooLarge = (text: string): void => {
    const { status, body, headers } = parseRaw(text);
    expect(status).toBe(413);
    expect(headers).toMatch(/x-request-id: req_/);
    const type = wire.name === 'openai' ? 'invalid_request_error' : 'request_too_large';
    expect(wire.errorOf(body)).toMatchObject({ code: 'body_too_large', type });
    expect(body).toContain('listen.bodyMaxBytes');
  };

  test('row 14: a declared length over the bound is refused before a byte of the body is sent', async () => {
    const chain = await startChain(wire, [[answers(wire, 'Never')]], { listen: { bodyMaxBytes } });
    const socket = await openSocket(chain.url);
    socket.write(head(wire, `content-length: ${bodyMaxBytes + 1}`));
    expectTooLarge(await readAll(socket));
    expect(chain.first.calls).toHaveLength(0);
  });

  test('row 14: a client that asks whether it may send is told no', async () => {
    const chain = await startChain(wire, [[answers(wire, 'Never')]], { listen: { bodyMaxBytes } });
    const socket = await openSocket(chain.url);
    socket.write(head(wire, `content-length: ${bodyMaxBytes + 1}`, 'expect: 100-continue'));
    expectTooLarge(await readAll(socket));
  });

  test('row 14: a chunked body is refused while it is read', async () => {
    const chain = await startChain(wire, [[answers(wire, 'Never')]], { listen: { bodyMaxBytes } });
    const socket = await openSocket(chain.url);
    const reply = readAll(socket);
    socket.write(head(wire, 'transfer-encoding: chunked'));
    const piece = Buffer.alloc(16 * 1024, ' ');
    const chunk = Buffer.concat([
      Buffer.from(`${piece.length.toString(16)}\r\n`),
      piece,
      Buffer.from('\r\n'),
    ]);
    let answered = false;
    socket.once('data', () => {
      answered = true;
    });
    // 64 MB are on offer; before the answer only what the network holds anyway may be taken.
    let sentBytes = 0;
    while (!answered && sentBytes < 64 * 1024 * 1024) {
      sentBytes += chunk.length;
      if (!socket.write(chunk)) await writable(socket);
    }
    socket.end();
    expectTooLarge(await reply);
    expect(sentBytes).toBeLessThan(16 * 1024 * 1024);
    expect(chain.first.calls).toHaveLength(0);
    expect((await chain.ask({}, { 'x-sidegate-user': 'next' })).status).toBe(200);
  });

  test('row 14: clients that are still sending get the 413, not a broken connection', async () => {
    const chain = await spawnChain(wire, [[answers(wire, 'Never')]], { listen: { bodyMaxBytes } });
    for (let i = 0; i < 10; i++) {
      const { error } = await askBySdk(wire, chain.url, { prompt: 'x'.repeat(4 * 1024 * 1024) });
      expect(error).toMatchObject({ status: 413 });
      let pieces = 0;
      const body = new ReadableStream({
        pull(controller) {
          if (pieces++ < 256) controller.enqueue(new Uint8Array(16 * 1024).fill(0x20));
          else controller.close();
        },
      });
      const chunked = {
        method: 'POST',
        body,
        duplex: 'half',
        headers: { 'content-type': 'application/json' },
      } as const;
      expect((await fetch(chain.url + wire.path, chunked)).status).toBe(413);
    }
  });

  test('row 14: a body of just the bound is served', async () => {
    const chain = await startChain(wire, [[answers(wire, 'Fits')]], { listen: { bodyMaxBytes } });
    const body = JSON.stringify(wire.request('Hi'));
    const fits = await ask(chain.url, wire.path, { body: body.padEnd(bodyMaxBytes) });
    expect(fits.status).toBe(200);
    expect((await ask(chain.url, wire.path, { body: body.padEnd(bodyMaxBytes + 1) })).status).toBe(413);
  });

  for (const stream of [true, false]) {
    test(`row 15: a hang-up before the reply (${stream ? 'stream' : 'whole'}) aborts the call and costs the prompt`, async () => {
      const chain = await startChain(wire, [[], [answers(wire, 'Never')]], { limits });
      const loss = await lossOver(chain, async () => {
        const sent = chain.send({ ...reserving, stream });
        const call = await chain.first.call(1);
        sent.hangUp();
        expect(await loopMs(call.aborted)).toBeLessThan(abortMaxMs);
        const record = await chain.recordWhere(({ abandoned }) => abandoned);
        expect(record).toMatchObject({ error: '', outputTokens: 0, attempts: 1 });
        expect(record.status).not.toBe(500);
      });
      const { inputTokens } = await chain.recordWhere(({ abandoned }) => abandoned);
      expect(inputTokens).toBeGreaterThan(0);
      expect(loss).toBe(inputTokens);
      expect(await chain.breaker()).toBe('closed');
      expect(chain.second.calls).toHaveLength(0);
    });
  }

  test('row 15: a hang-up while streaming aborts the call and settles what was used', async () => {
    const chain = await startChain(wire, [[], [answers(wire, 'Never')]], { limits });
    const loss = await lossOver(chain, async () => {
      const coming = chain.stream(reserving);
      const call = await chain.first.call(1);
      call.streamHead();
      call.write(wire.opening);
      call.write(wire.text('Some text that has been paid for. '.repeat(20)));
      const reply = await coming;
      await reply.sees('paid for. '.repeat(1));
      reply.hangUp();
      expect(await loopMs(call.aborted)).toBeLessThan(abortMaxMs);
      const record = await chain.recordWhere(({ abandoned }) => abandoned);
      expect(record).toMatchObject({ error: '', status: 200, stream: true });
      expect(record.outputTokens).toBeGreaterThan(50);
    });
    const { inputTokens, outputTokens } = await chain.recordWhere(({ abandoned }) => abandoned);
    expect(loss).toBe(inputTokens + outputTokens);
    expect(await chain.breaker()).toBe('closed');
    expect(chain.second.calls).toHaveLength(0);
  });

  test('row 15: a hang-up between two tries makes no more calls', async () => {
    const attempt = { retriesMax: 5, backoffBaseMs: 60_000, backoffMaxMs: 60_000, breaker: { failures: 9 } };
    const chain = await startChain(wire, [[]], { attempt });
    const sent = chain.send();
    const call = await chain.first.call(0);
    call.reset();
    await call.closed;
    sent.hangUp();
    await chain.recordWhere(({ abandoned }) => abandoned);
    expect(chain.first.calls).toHaveLength(1);
  });

  test('row 15: with an idempotency key a stream finishes unheard, and the repeat gets it', async () => {
    const chain = await startChain(wire, [[]], { replay: { joinersMax: 0 } });
    const headers = { 'idempotency-key': 'one' };
    const coming = chain.stream({}, headers);
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening);
    call.write(wire.text('First half, '));
    const reply = await coming;
    await reply.sees('First half');
    reply.hangUp();
    // The sidecar has seen the hang-up when it answers a request that came after it.
    expect((await chain.ask({ stream: true }, headers)).status).toBe(409);
    call.write(wire.text('second half.'));
    call.end(wire.finish() + wire.usage + wire.end);
    await chain.recordWhere(({ status, stream }) => status === 200 && stream);
    const repeat = await chain.ask({ stream: true }, headers);
    expect(repeat.status).toBe(200);
    expect(repeat.headers['idempotent-replayed']).toBe('true');
    expect(repeat.text).toBe(
      [wire.opening, wire.text('First half, '), wire.text('second half.'), wire.finish(), wire.end].join(''),
    );
    expect(chain.first.calls).toHaveLength(1);
  });

  test('row 15: with an idempotency key a whole reply is kept for the repeat', async () => {
    const chain = await startChain(wire, [[]], { replay: { joinersMax: 0 } });
    const headers = { 'idempotency-key': 'two' };
    const sent = chain.send({}, headers);
    const call = await chain.first.call(0);
    sent.hangUp();
    expect((await chain.ask({}, headers)).status).toBe(409);
    call.whole(200, { 'content-type': 'application/json' }, wire.whole('Kept'));
    await chain.recordWhere(({ status }) => status === 200);
    const repeat = await chain.ask({}, headers);
    expect(repeat).toMatchObject({ status: 200, text: wire.whole('Kept') });
    expect(chain.first.calls).toHaveLength(1);
  });
});
