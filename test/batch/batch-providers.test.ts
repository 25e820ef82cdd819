/** The batch queue where providers have no room: cooldowns, limits, probes, and the arms of an experiment. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { batch, good, waiting } from '../support/batch-chain.ts';
import { chainConfig, metricIn, startChain } from '../support/chain.ts';
import { send as sendTo } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { standingTime } from '../support/time.ts';
import { refuses, startUpstream } from '../support/upstream.ts';

describe('providers without room', () => {
  test('a target that is cooling down is waited for, not called', async () => {
    const time = standingTime();
    const restMs = 200;
    const later = { ...openaiWire.error(429, 'Later.'), headers: { 'retry-after-ms': String(restMs) } };
    const chain = await startChain(openaiWire, [[refuses(later), good]], {}, time.world);
    expect((await chain.ask({}, batch)).status).toBe(429);
    const reply = chain.ask({}, batch);
    await waiting(chain, 1);
    expect(chain.first.calls).toHaveLength(1);
    time.pass(restMs);
    expect((await reply).status).toBe(200);
    expect(chain.first.calls).toHaveLength(2);
  });

  test('fewer are in flight after an outage, also one that a stream was told of in an event', async () => {
    const chain = await startChain(openaiWire, [[]], {
      listen: { keepAliveMs: 10 },
      batch: { concurrencyMax: 2 },
      attempt: { breaker: { failures: 100 } },
    });
    const stream = await chain.stream({}, batch);
    refuses(openaiWire.error(503, 'Full.'))(await chain.first.call(0));
    expect(await stream.all()).toContain('targets_down');
    const replies = [chain.ask({}, batch), chain.ask({}, batch)];
    await chain.first.call(1);
    await waiting(chain, 1);
    for (const each of [1, 2]) good(await chain.first.call(each));
    for (const reply of replies) expect((await reply).status).toBe(200);
  });

  test('an upstream limit paces the queue', async () => {
    let aheadMs = 0;
    const world = { clock: () => performance.now() + aheadMs };
    const upstream = await startUpstream(good);
    onTestFinished(() => upstream.close());
    const config = chainConfig(openaiWire, [upstream.baseUrl]);
    const first = { ...config.providers?.first, limits: { requestsPerMinute: 5 } };
    const sidecar = await startTestSidecar({ ...config, providers: { first } } as ConfigInput, world);
    onTestFinished(() => sidecar.stop());
    const body = openaiWire.request('Hi');
    const replies = Array.from(
      { length: 12 },
      () => sendTo(sidecar.url, openaiWire.path, { body, headers: batch }).reply,
    );
    for (const calls of [5, 10, 12]) {
      await upstream.call(calls - 1);
      await waiting(sidecar, 12 - calls);
      expect(upstream.calls).toHaveLength(calls);
      aheadMs += 60_000;
    }
    for (const reply of replies) expect((await reply).status).toBe(200);
  });

  test('while a probe is in flight, other requests wait for its result', async () => {
    let aheadMs = 0;
    const chain = await startChain(openaiWire, [[]], {}, { clock: () => performance.now() + aheadMs });
    const broken = chain.ask();
    refuses(openaiWire.error(500, 'Broken.'))(await chain.first.call(0));
    await broken;
    expect(await chain.breaker()).toBe('open');
    aheadMs += 600_000;
    const replies = Array.from({ length: 6 }, () => chain.ask({}, batch));
    const probe = await chain.first.call(1);
    await waiting(chain, 5);
    expect(chain.first.calls).toHaveLength(2);
    chain.first.answer(good);
    good(probe);
    for (const reply of replies) expect((await reply).status).toBe(200);
  });

  test('a model without room doesn’t block others', async () => {
    const upstreams = [
      await startUpstream(refuses(openaiWire.error(500, 'Broken.'))),
      await startUpstream(good),
    ];
    onTestFinished(async () => void (await Promise.all(upstreams.map((upstream) => upstream.close()))));
    const config = chainConfig(
      openaiWire,
      upstreams.map(({ baseUrl }) => baseUrl),
    );
    const sidecar = await startTestSidecar({
      ...config,
      routes: [
        { model: 'broken', targets: [{ provider: 'first' }] },
        { model: 'well', targets: [{ provider: 'second' }] },
      ],
    });
    onTestFinished(() => sidecar.stop());
    const send = (model: string, headers = {}) =>
      sendTo(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi', { model }), headers });
    await (await send('broken').reply).all();
    const stuck = send('broken', batch);
    stuck.reply.catch(() => {});
    await waiting(sidecar, 1);
    expect((await send('well', batch).reply).status).toBe(200);
    stuck.hangUp();
  });
});

test('a request that waits for an engine that is down goes on after a reload, which ends the watch over that engine', async () => {
  let well = false;
  const upstream = await startUpstream((call) => {
    if (call.method === 'POST') return good(call);
    call.whole(well ? 200 : 503, {}, '');
  });
  onTestFinished(() => upstream.close());
  const probe = { intervalMs: 100, timeoutMs: 60_000, failuresMax: 1 };
  const config = (headers: Record<string, string>): ConfigInput => {
    const { providers, ...rest } = chainConfig(openaiWire, [upstream.baseUrl]);
    const first = { ...providers?.first, engine: 'generic', probe, headers };
    return { ...rest, providers: { first } } as ConfigInput;
  };
  const sidecar = await startTestSidecar(config({}));
  onTestFinished(() => sidecar.stop());
  while (metricIn(await sidecar.metrics(), 'sidegate_engine_up') !== 0)
    await new Promise((resolve) => setImmediate(resolve));
  const body = openaiWire.request('Hi');
  const { reply } = sendTo(sidecar.url, openaiWire.path, { body, headers: batch });
  await waiting(sidecar, 1);
  well = true;
  const next = { authenticate: { anonymousTenant: 'test' }, listen: { port: 0 }, admin: { port: 0 } };
  await sidecar.sidecar.reload(configSchema.parse({ ...config({ 'x-a': 'b' }), ...next }));
  expect((await reply).status).toBe(200);
});

test('a request stays with the arm it was routed to, though another is cheaper', async () => {
  const chain = await startChain(openaiWire, [[good], [good]], {
    catalog: {
      models: [
        { model: 'dear', inputUsdPerMTok: 9, outputUsdPerMTok: 9 },
        { model: 'cheap', inputUsdPerMTok: 1, outputUsdPerMTok: 1 },
      ],
    },
    routes: (['weighted', 'fallback'] as const).map((strategy) => ({
      model: strategy,
      strategy,
      targets: [
        { provider: 'first', model: 'dear', ...(strategy === 'weighted' && { weight: 1 }) },
        { provider: 'second', model: 'cheap', ...(strategy === 'weighted' && { weight: 0 }) },
      ],
    })),
  });
  const targetOf = async (model: string) =>
    String((await chain.ask({ model }, batch)).headers['x-sidegate-target']);
  expect(await targetOf('weighted')).toBe('first/dear');
  expect(await targetOf('fallback')).toBe('second/cheap');
});
