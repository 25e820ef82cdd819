/** Breakers of targets and of whole providers, on real sockets with a passed-in clock. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { metricIn, startChain } from '../support/chain.ts';
import { ask, send } from '../support/client.ts';
import { wires } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, refuses, type Script, startUpstream } from '../support/upstream.ts';

describe.each(wires)('$name', (wire) => {
  const good = answers(wire, 'good');
  const fails = refuses(wire.error(500, 'broken'));

  /** One provider with models a, b and c, which do as they are told, before a spare one. */
  async function start() {
    const time = { nowMs: 0 };
    const doing: Record<string, Script> = { a: good, b: good, c: good };
    const many = await startUpstream((call) => doing[String(call.json.model)]?.(call));
    const spare = await startUpstream(good);
    const sidecar = await startTestSidecar(
      {
        cache: { enabled: false },
        providers: {
          many: { dialect: wire.name, baseUrl: many.baseUrl },
          spare: { dialect: wire.name, baseUrl: spare.baseUrl },
        },
        routes: ['a', 'b', 'c'].map((model) => ({
          model,
          targets: [{ provider: 'many' }, { provider: 'spare' }],
        })),
        attempt: { retriesMax: 0, breaker: { failures: 3, cooldownMs: 1000, callsMin: 0 } },
      },
      { clock: () => time.nowMs },
    );
    onTestFinished(async () => {
      await sidecar.stop();
      await Promise.all([many.close(), spare.close()]);
    });
    const body = (model: string, stream = false) => ({ ...wire.request('hi', { stream }), model });
    return {
      time,
      doing,
      many,
      sidecar,
      body,
      post: (model: string) => ask(sidecar.url, wire.path, { body: body(model) }),
      state: async (model: string) =>
        metricIn(await sidecar.metrics(), 'sidegate_breaker_state', { target: `many/${model}` }),
      provider: async () =>
        metricIn(await sidecar.metrics(), 'sidegate_provider_breaker_state', { provider: 'many' }),
    };
  }

  test('failures of several targets count against the provider: it is skipped as a whole, and one probe closes its breaker', async () => {
    const { doing, post, many, provider, state, time, sidecar } = await start();
    Object.assign(doing, { a: fails, b: fails, c: fails });
    for (const model of ['a', 'a', 'a', 'b', 'b']) await post(model);
    expect(await provider()).toBe(0);
    await post('c');
    expect([await provider(), await state('a'), await state('b'), await state('c')]).toEqual([1, 1, 0, 0]);
    const before = many.calls.length;
    expect((await post('c')).headers['x-sidegate-target']).toBe('spare/c');
    expect(many.calls).toHaveLength(before);
    expect(sidecar.records().at(-1)?.tried).toBe('many/c: provider_down, spare/c: ok');
    expect(sidecar.logText()).toContain('"provider":"many","msg":"circuit breaker opened"');
    Object.assign(doing, { a: good, b: good, c: good });
    time.nowMs = 1000;
    expect((await post('c')).headers['x-sidegate-target']).toBe('many/c');
    expect(await provider()).toBe(0);
  });

  test('failures of one target don’t count against the provider, however many', async () => {
    const { doing, post, provider, state, time } = await start();
    doing.a = fails;
    for (let i = 0; i < 30; i++) {
      time.nowMs += 1000;
      await post('a');
      await post('b');
    }
    expect([await provider(), await state('b')]).toEqual([0, 0]);
    expect(await state('a')).not.toBe(0);
  });

  test('a probe closes the breaker at its first content, even if its stream goes on', async () => {
    const { doing, many, sidecar, body, post, state, time } = await start();
    doing.a = fails;
    for (let i = 0; i < 3; i++) await post('a');
    expect(await state('a')).toBe(1);
    time.nowMs = 1000;
    doing.a = () => {};
    const before = many.calls.length;
    const probe = send(sidecar.url, wire.path, { body: body('a', true) });
    const call = await many.call(before);
    expect((await post('a')).headers['x-sidegate-target']).toBe('spare/a');
    call.streamHead();
    call.write(wire.opening + wire.text('Long'));
    await (await probe.reply).sees('Long');
    expect(await state('a')).toBe(0);
    doing.a = good;
    expect((await post('a')).headers['x-sidegate-target']).toBe('many/a');
    // Its later failure counts, as that of any other call.
    doing.a = fails;
    call.reset();
    await (await probe.reply).sees('error');
    await post('a');
    expect(await state('a')).toBe(0);
    await post('a');
    expect(await state('a')).toBe(1);
  });

  test('while a probe is in flight, nobody is told to wait for as long as one may take', async () => {
    const time = { nowMs: 0 };
    const chain = await startChain(wire, [[fails]], {}, { clock: () => time.nowMs });
    expect((await chain.ask()).headers['retry-after']).toBe('1');
    // Told by its breaker, which stays open for so long.
    expect((await chain.ask()).headers['retry-after']).toBe('100');
    time.nowMs += 100_000;
    chain.first.answer();
    const probe = chain.ask();
    const call = await chain.first.call(1);
    expect((await chain.ask()).headers['retry-after']).toBe('1');
    good(call);
    expect((await probe).status).toBe(200);
  });
});
