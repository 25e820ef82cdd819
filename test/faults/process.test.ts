/** The whole program in its own process: shutting down, taking over configurations, standing still. */
import { describe, expect, test } from 'vitest';
import { metricIn, type ProcessChain, spawnChain } from '../support/chain.ts';
import { ask, type Incoming, openSocket, readAll } from '../support/client.ts';
import { recordsIn } from '../support/log-line.ts';
import { eventData, lastError, openaiWire, wires } from '../support/replies.ts';
import { streamBySdk } from '../support/sdk.ts';
import { answers, type Call } from '../support/upstream.ts';

/** Begins a stream of which the client has seen a word. */
async function begin(chain: ProcessChain, index: number): Promise<{ call: Call; reply: Incoming }> {
  const coming = chain.stream();
  const call = await chain.first.call(index);
  call.streamHead();
  call.write(chain.wire.opening + chain.wire.text('Hello'));
  const reply = await coming;
  await reply.sees('Hello');
  return { call, reply };
}

/** Asks until a new connection finds no port any more; one that was under way may be reset. */
async function untilRefused(chain: ProcessChain): Promise<void> {
  const opened = (): Promise<string> =>
    openSocket(chain.url).then(
      (socket) => {
        socket.destroy();
        return '';
      },
      (error: Error) => error.message,
    );
  while (!(await opened()).includes('ECONNREFUSED'));
}

describe.each(wires)('$name', (wire) => {
  test('row 20: SIGTERM: not ready at once, and what is under way has its time to finish', async () => {
    const chain = await spawnChain(wire, [[]], { listen: { drainMs: 100_000 } });
    const streaming = await begin(chain, 0);
    const whole = chain.send();
    const wholeCall = await chain.first.call(1);
    chain.child.kill('SIGTERM');
    await untilRefused(chain);
    // At once: no request is refused by what still says that it is ready.
    expect((await ask(chain.adminUrl, '/readyz', { method: 'GET' })).status).toBe(503);
    expect((await ask(chain.adminUrl, '/healthz', { method: 'GET' })).status).toBe(200);

    streaming.call.write(wire.text(' and goodbye'));
    streaming.call.end(wire.finish() + wire.usage + wire.end);
    const finished = await streaming.reply.all();
    expect(wire.textOf(finished)).toBe('Hello and goodbye');
    expect(eventData(finished).at(-1)).toBe(eventData(wire.end)[0]);
    wholeCall.whole(200, { 'content-type': 'application/json' }, wire.whole('Still served'));
    expect(await (await whole.reply).all()).toContain('Still served');
    // With the last of them, and not with the time, the process ends.
    expect(await chain.exitCode).toBe(0);
    expect(recordsIn(chain.output()).map(({ error }) => error)).toEqual(['', '']);
  });

  test('row 20: at the deadline the rest get an error event, and nothing is lost', async () => {
    const drainMs = 500;
    const chain = await spawnChain(wire, [[]], { listen: { drainMs } });
    const { call, reply } = await begin(chain, 0);
    const sinceMs = performance.now();
    chain.child.kill('SIGTERM');
    const cut = await reply.all();
    expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(drainMs - 5);
    expect(cut.startsWith(wire.opening + wire.text('Hello'))).toBe(true);
    expect(lastError(wire, cut)).toMatchObject({ code: 'draining' });
    expect(cut).not.toContain(eventData(wire.end)[0]);
    await call.aborted;
    expect(await chain.exitCode).toBe(0);
    const [record, ...others] = recordsIn(chain.output());
    expect(others).toEqual([]);
    expect(record?.error).toBe('draining');
    expect(record?.outputTokens).toBeGreaterThan(0);
  });

  test('row 20: at the deadline the SDK throws, and a request without a reply yet gets a 503', async () => {
    const chain = await spawnChain(wire, [[]], { listen: { drainMs: 100 } });
    const outcome = streamBySdk(wire, chain.url, { onText: () => void chain.child.kill('SIGTERM') });
    const call = await chain.first.call(0);
    const silent = chain.send();
    await chain.first.call(1);
    call.streamHead();
    call.write(wire.opening + wire.text('Hello'));
    const { text, error } = await outcome;
    expect(text).toBe('Hello');
    expect(error?.message).toContain('shutting down');
    const reply = await silent.reply;
    expect(reply.status).toBe(503);
    expect(wire.errorOf(await reply.all())).toMatchObject({ code: 'draining' });
    expect(await chain.exitCode).toBe(0);
  });

  test('row 20: a client that reads nothing and one that never finishes its request hold up nothing', async () => {
    const chain = await spawnChain(wire, [[]], { listen: { drainMs: 100 } });
    const half = await openSocket(chain.url);
    half.write(`POST ${wire.path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"mod`);
    const halfReply = readAll(half);
    const { call, reply } = await begin(chain, 0);
    reply.pause();
    const flooding = call.flood(Buffer.from(wire.text('x'.repeat(8000)).repeat(8)), 10_000);
    const { call: next } = await begin(chain, 1);
    const sinceMs = performance.now();
    const idleReply = readAll(await openSocket(chain.url));
    chain.child.kill('SIGTERM');
    expect(await chain.exitCode).toBe(0);
    // By itself a silent connection ends after 10 s, and one that waits for a body after 30.
    expect(performance.now() - sinceMs).toBeLessThan(9000);
    await Promise.all([call.closed, next.closed, halfReply, idleReply]);
    expect(await flooding).toBeLessThan(10_000);
    expect(recordsIn(chain.output()).filter(({ stream }) => stream)).toHaveLength(2);
  });
});

describe('in every dialect alike', () => {
  const wire = openaiWire;

  test('row 20: the log of many requests just before the end is whole', async () => {
    const chain = await spawnChain(wire, [[answers(wire, 'Quick')]]);
    for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 10 }, () => chain.ask()));
    chain.child.kill('SIGTERM');
    expect(await chain.exitCode).toBe(0);
    const ids = new Set(recordsIn(chain.output()).map(({ requestId }) => requestId));
    expect(ids.size).toBe(100);
  });

  test('row 22: a bad file is refused with every fault in its place, by SIGHUP and by change', async () => {
    const chain = await spawnChain(wire, [[]]);
    const { call, reply } = await begin(chain, 0);
    chain.first.answer(answers(wire, 'Old'));
    const reloaded = async (): Promise<number | null> =>
      metricIn(
        await (await fetch(`${chain.adminUrl}/metrics`)).text(),
        'sidegate_config_last_reload_successful',
      );
    expect(await reloaded()).toBe(1);

    const faulty = [
      'authenticate: { anonymousTenant: test }',
      'listen: { prot: 1 }',
      'providers:',
      '  first: { dialect: openai }',
      'routes:',
      '  - model: test-model',
      '    targets: [{ provider: frist }]',
      'attempt: { retriesMax: many }',
    ].join('\n');
    await chain.rewrite(faulty);
    for (const [line, path] of [
      [2, 'listen.prot'],
      [4, 'providers.first'],
      [7, 'routes\\[0\\].targets\\[0\\].provider'],
      [8, 'attempt.retriesMax'],
    ] as const) {
      await chain.outputMatching(new RegExp(`"path":"${path}[^"]*","line":${line},.*configuration refused`));
    }
    expect(await reloaded()).toBe(0);
    expect((await chain.ask()).text).toContain('Old');

    const before = chain.output().length;
    chain.child.kill('SIGHUP');
    await chain.outputMatching(/"path":"listen.prot".*configuration refused/, before);
    expect((await chain.ask()).text).toContain('Old');

    // The stream that began under the first configuration is still the same one.
    call.end(wire.finish() + wire.end);
    expect(wire.textOf(await reply.all())).toBe('Hello');

    const good = chain.configText.replaceAll('test-model', 'new-model');
    await chain.rewrite(good);
    await chain.outputMatching(/configuration reloaded/);
    expect(await reloaded()).toBe(1);
    expect((await chain.ask()).status).toBe(404);
    expect((await chain.ask({ model: 'new-model' })).text).toContain('Old');
  });

  test('row 22: a file that is gone or empty is refused, and its return is taken over', async () => {
    const chain = await spawnChain(wire, [[answers(wire, 'Old')]]);
    await chain.rewrite('');
    await chain.outputMatching(/the file is empty.*configuration refused/);
    expect((await chain.ask()).status).toBe(200);
    await chain.rewrite(chain.configText);
    await chain.outputMatching(/configuration reloaded/);
    expect((await chain.ask()).status).toBe(200);
  });
});
