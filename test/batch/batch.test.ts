/** The traffic class `batch` through the sidecar, on real sockets. */
import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { batch, good, refused, start, userOf, waiting } from '../support/batch-chain.ts';
import { chainConfig, metricIn, startChain } from '../support/chain.ts';
import { send as sendTo } from '../support/client.ts';
import { openaiWire, testModel, wires } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { standingTime } from '../support/time.ts';
import { answers, type Script, startUpstream } from '../support/upstream.ts';

describe('which class', () => {
  test.each(wires)('$name: the header’s, else the route’s', async (wire) => {
    const upstream = await startUpstream(answers(wire, 'Hello'));
    onTestFinished(() => upstream.close());
    const config = chainConfig(wire, [upstream.baseUrl]);
    const targets = [{ provider: 'first' }];
    const sidecar = await startTestSidecar({
      ...config,
      routes: [
        { model: testModel, targets },
        { model: 'nightly', priority: 'batch', targets },
      ],
    });
    onTestFinished(() => sidecar.stop());
    for (const [model, headers, priority] of [
      [testModel, {}, 'interactive'],
      [testModel, batch, 'batch'],
      ['nightly', {}, 'batch'],
      ['nightly', { 'x-sidegate-priority': 'interactive' }, 'interactive'],
    ] as const) {
      for (const stream of [false, true]) {
        const body = wire.request('Hi', { model, stream });
        const reply = await sendTo(sidecar.url, wire.path, { body, headers }).reply;
        expect([reply.status, (await reply.all()).includes('Hello')]).toEqual([200, true]);
        const timing = String(reply.headers['server-timing']);
        expect(timing.includes('queue;dur=')).toBe(priority === 'batch');
      }
      expect(sidecar.records().at(-1)).toMatchObject({ priority, status: 200 });
    }
  });
});

describe('who goes first', () => {
  test('interactive requests, whatever waits', async () => {
    const chain = await start({ batch: { concurrencyMax: 1 } });
    const first = chain.ask({ user: 'batch 0' }, batch);
    await chain.first.call(0);
    const others = [chain.ask({ user: 'batch 1' }, batch), chain.ask({ user: 'batch 2' }, batch)];
    await waiting(chain, 2);
    const now = chain.ask({ user: 'now' });
    expect(userOf(await chain.first.call(1))).toBe('now');
    for (let i = 0; i < 4; i++) good(await chain.first.call(i));
    for (const reply of [first, now, ...others]) expect((await reply).status).toBe(200);
  });

  test('none starts while interactive requests take their share', async () => {
    const chain = await start({ listen: { inFlightMax: 8 }, batch: { interactiveShare: 0.25 } });
    const busy = [chain.ask({ user: 'now' }), chain.ask({ user: 'now' })];
    await chain.first.call(1);
    const late = chain.ask({ user: 'batch' }, batch);
    await waiting(chain, 1);
    good(await chain.first.call(0));
    expect(userOf(await chain.first.call(2))).toBe('batch');
    good(await chain.first.call(1));
    good(await chain.first.call(2));
    for (const reply of [...busy, late]) expect((await reply).status).toBe(200);
  });

  test('waiting requests leave `listen.inFlightMax` to others', async () => {
    const chain = await start({
      listen: { inFlightMax: 3 },
      batch: { concurrencyMax: 1, interactiveShare: 1 },
    });
    const many = Array.from({ length: 20 }, () => chain.ask({}, batch));
    await chain.first.call(0);
    await waiting(chain, 19);
    const now = [chain.ask({ user: 'now' }), chain.ask({ user: 'now' })];
    await chain.first.call(2);
    expect((await chain.ask()).status).toBe(503);
    chain.first.answer(good);
    for (let i = 0; i < 3; i++) good(await chain.first.call(i));
    for (const reply of [...now, ...many]) expect((await reply).status).toBe(200);
  });

  test('requests still being read have a separate bound, and don’t use that of the others', async () => {
    const chain = await startChain(openaiWire, [[good]], { listen: { inFlightMax: 2 } });
    // Heads whose bodies don't come.
    const headers = { ...batch, 'content-length': '10000' };
    const slow = [0, 1].map(() => sendTo(chain.url, openaiWire.path, { headers, body: '{' }));
    while (metricIn(await chain.metrics(), 'sidegate_requests_in_flight') !== 2)
      await new Promise((resolve) => setImmediate(resolve));
    const third = await chain.ask({}, batch);
    expect(openaiWire.errorOf(third.text)?.code).toBe('overloaded');
    expect((await chain.ask()).status).toBe(200);
    for (const sent of slow) sent.hangUp();
    while (metricIn(await chain.metrics(), 'sidegate_requests_in_flight') !== 0)
      await new Promise((resolve) => setImmediate(resolve));
    expect((await chain.ask({}, batch)).status).toBe(200);
  });

  test('tenants take turns, and within a tenant the earliest deadline goes first', async () => {
    const keys = ['a', 'b'].map((tenant) => ({
      id: tenant,
      sha256: createHash('sha256').update(`sk-${tenant}`).digest('hex'),
      tenant,
    }));
    const chain = await start({ authenticate: { keys }, batch: { concurrencyMax: 1 } });
    const ask = (tenant: string, user: string, timeoutMs = 0) =>
      chain.ask(
        { user },
        {
          ...batch,
          authorization: `Bearer sk-${tenant}`,
          ...(timeoutMs > 0 && { 'x-sidegate-timeout': String(timeoutMs) }),
        },
      );
    const replies = [ask('a', 'first')];
    await chain.first.call(0);
    for (let i = 0; i < 4; i++) {
      replies.push(ask('a', `a${i}`));
      await waiting(chain, i + 1);
    }
    replies.push(ask('b', 'b0'));
    await waiting(chain, 5);
    replies.push(ask('a', 'urgent', 60_000));
    await waiting(chain, 6);
    for (let i = 0; i < 7; i++) good(await chain.first.call(i));
    await Promise.all(replies);
    // Equal costs: the first of a was counted, so b is next; then a's in order, the urgent one before all.
    expect(chain.first.calls.map(userOf)).toEqual(['first', 'b0', 'urgent', 'a0', 'a1', 'a2', 'a3']);
  });
});

describe('the bounds', () => {
  test('a full queue refuses with a retry-after, and so does one without memory for the body', async () => {
    const chain = await start({ batch: { concurrencyMax: 1, queueMax: 2, queueMaxBytes: 4096 } });
    const replies = [chain.ask({}, batch)];
    await chain.first.call(0);
    replies.push(chain.ask({}, batch));
    await waiting(chain, 1);
    const large = await chain.ask({ user: 'x'.repeat(4096) }, batch);
    expect(openaiWire.errorOf(large.text)?.code).toBe('batch_queue_full');
    replies.push(chain.ask({}, batch));
    await waiting(chain, 2);
    const full = await chain.ask({}, batch);
    expect([full.status, full.headers['retry-after']]).toEqual([503, '1']);
    expect(await refused(chain, 'queue_full')).toBe(2);
    chain.first.answer(good);
    good(await chain.first.call(0));
    for (const reply of replies) expect((await reply).status).toBe(200);
    expect(metricIn(await chain.metrics(), 'sidegate_batch_waiting_bytes')).toBe(0);
  });

  test('the request of a client that hangs up is removed, and its permit is settled', async () => {
    const chain = await start({
      batch: { concurrencyMax: 1 },
      limits: [{ name: 'tokens', unit: 'tokens', capacity: 100_000, refillPerSecond: 0.001 }],
    });
    const first = chain.ask({}, batch);
    await chain.first.call(0);
    const sent = chain.send({}, batch);
    await waiting(chain, 1);
    sent.hangUp();
    await waiting(chain, 0);
    expect(await chain.recordWhere(({ status }) => status === 499)).toMatchObject({
      priority: 'batch',
      abandoned: true,
      attempts: 0,
    });
    expect(await refused(chain, 'left')).toBe(1);
    good(await chain.first.call(0));
    expect((await first).status).toBe(200);
    expect(chain.first.calls).toHaveLength(1);
  });

  test('an app that repeats its idempotency key joins the first request, which still waits', async () => {
    const chain = await start({ batch: { concurrencyMax: 1 } });
    const first = chain.ask({}, batch);
    await chain.first.call(0);
    const keyed = { ...batch, 'idempotency-key': 'a' };
    const sent = chain.send({ user: 'keyed' }, keyed);
    await waiting(chain, 1);
    sent.hangUp();
    const joined = chain.ask({ user: 'keyed' }, keyed);
    chain.first.answer(good);
    good(await chain.first.call(0));
    await first;
    expect((await joined).status).toBe(200);
    expect(chain.first.calls).toHaveLength(2);
    expect((await chain.ask({ user: 'keyed' }, keyed)).headers['idempotent-replayed']).toBe('true');
  });
});

describe('deadlines', () => {
  test('a request that can’t be answered in time is refused at once, with a retry-after; others continue', async () => {
    const time = standingTime();
    const slow: Script = (call) => {
      time.pass(60);
      good(call);
    };
    const chain = await startChain(openaiWire, [[slow]], {}, time.world);
    expect((await chain.ask({}, batch)).status).toBe(200);
    const late = await chain.ask({}, { ...batch, 'x-sidegate-timeout': '50' });
    expect(openaiWire.errorOf(late.text)?.code).toBe('batch_deadline');
    expect(Number(late.headers['retry-after-ms'])).toBeGreaterThan(0);
    expect((await chain.ask({}, { ...batch, 'x-sidegate-timeout': '20000' })).status).toBe(200);
    expect(chain.first.calls).toHaveLength(2);
    expect(chain.records().find(({ error }) => error === 'batch_deadline')?.attempts).toBe(0);
  });

  test('what was slow a minute ago, with nothing asked since, is tried again', async () => {
    const time = standingTime();
    const slow: Script = (call) => {
      time.pass(60);
      good(call);
    };
    const chain = await startChain(openaiWire, [[slow, good]], {}, time.world);
    const ask = async () => (await chain.ask({}, { ...batch, 'x-sidegate-timeout': '50' })).status;
    expect((await chain.ask({}, batch)).status).toBe(200);
    expect(await ask()).toBe(503);
    time.pass(59_999);
    expect(await ask()).toBe(503);
    time.pass(1);
    expect([await ask(), await ask()]).toEqual([200, 200]);
    expect(chain.first.calls).toHaveLength(3);
  });

  test('a request that waits until its deadline gets 504, and no provider sees it', async () => {
    const chain = await start({ batch: { concurrencyMax: 1 } });
    const first = chain.ask({}, batch);
    await chain.first.call(0);
    const second = await chain.ask({}, { ...batch, 'x-sidegate-timeout': '40' });
    expect([second.status, openaiWire.errorOf(second.text)?.code]).toEqual([504, 'batch_expired']);
    expect(await refused(chain, 'expired')).toBe(1);
    good(await chain.first.call(0));
    expect((await first).status).toBe(200);
    expect(chain.first.calls).toHaveLength(1);
  });

  test('when the queue turns out too slow, the last requests are refused before their deadline', async () => {
    const time = { nowMs: 1_000_000 };
    const upstream = await startUpstream();
    onTestFinished(() => upstream.close());
    const config = chainConfig(openaiWire, [upstream.baseUrl], {
      batch: { concurrencyMax: 1, deadlineMs: 10_000 },
    });
    const sidecar = await startTestSidecar(config, { clock: () => time.nowMs });
    onTestFinished(() => sidecar.stop());
    const ask = () =>
      sendTo(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi'), headers: batch }).reply;
    const replies = Array.from({ length: 12 }, ask);
    await upstream.call(0);
    await waiting(sidecar, 11);
    // The first answer says that one takes 3 s: of those that wait one begins, and two more can make it.
    time.nowMs += 3_000;
    good(await upstream.call(0));
    await waiting(sidecar, 2);
    for (let i = 1; i < 4; i++) good(await upstream.call(i));
    const statuses = (await Promise.all(replies)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(4);
    const told = sidecar.records().filter(({ error }) => error === 'batch_deadline');
    expect(told.map(({ durationMs }) => durationMs)).toEqual(new Array(8).fill(3_000));
  });
});

describe('the end of the process', () => {
  test('waiting requests get a 503 at once; those in flight finish', async () => {
    const upstream = await startUpstream();
    onTestFinished(() => upstream.close());
    const sidecar = await startTestSidecar({
      ...chainConfig(openaiWire, [upstream.baseUrl]),
      listen: { drainMs: 20_000 },
      batch: { concurrencyMax: 1 },
    });
    const ask = () =>
      sendTo(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi'), headers: batch }).reply;
    const first = ask();
    const call = await upstream.call(0);
    const second = ask();
    await waiting(sidecar, 1);
    const stopped = sidecar.stop();
    const lost = await second;
    expect([lost.status, lost.headers['retry-after']]).toEqual([503, '1']);
    expect(openaiWire.errorOf(await lost.all())?.message).toContain('in memory');
    good(call);
    expect((await first).status).toBe(200);
    await stopped;
  });
});

test('a reload changes the bounds while requests wait', async () => {
  const upstream = await startUpstream();
  onTestFinished(() => upstream.close());
  const { configSchema } = await import('../../src/config/schema.ts');
  const config = (concurrencyMax: number) => ({
    authenticate: { anonymousTenant: 'test' },
    ...chainConfig(openaiWire, [upstream.baseUrl]),
    listen: { port: 0, drainMs: 0 },
    admin: { port: 0 },
    batch: { concurrencyMax },
  });
  const sidecar = await startTestSidecar(config(1));
  onTestFinished(() => sidecar.stop());
  const ask = () =>
    sendTo(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi'), headers: batch }).reply;
  const replies = [ask(), ask(), ask()];
  await upstream.call(0);
  await waiting(sidecar, 2);
  await sidecar.sidecar.reload(configSchema.parse(config(3)));
  await upstream.call(2);
  for (let i = 0; i < 3; i++) good(await upstream.call(i));
  for (const reply of replies) expect((await reply).status).toBe(200);
});
