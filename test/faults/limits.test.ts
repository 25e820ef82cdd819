/** Faults that limits must stand: a wall clock that jumps, and a tenant that floods. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { type Gate, ownModel, startGate } from '../support/gate.ts';
import { anthropicWire, openaiWire, wires } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';

let gate: Gate;
afterEach(() => gate.stop());

const hourMs = 3_600_000;
const noStore = { headers: { 'cache-control': 'no-store' } };

describe('row 19: the wall clock jumps by an hour', () => {
  const jumps = [hourMs, -hourMs, hourMs, -hourMs];

  test.each(wires)('no quota is reset ($name)', async (wire) => {
    const time = { nowMs: 0, wallMs: Date.parse('2026-11-23T10:30:00Z') };
    const limits = [
      { name: 'bucket', capacity: 100, refillPerSecond: 0.001 },
      {
        name: 'queue',
        capacity: 100,
        refillPerSecond: 0.001,
        algorithm: 'leaky_bucket' as const,
        mode: 'observe' as const,
      },
      { name: 'window', capacity: 100, windowSeconds: 7200, algorithm: 'sliding_window' as const },
    ];
    const budgets = (['hour', 'day', 'week', 'month'] as const).map((window) => ({
      name: window,
      // Two replies of 40 nano-dollars, and not a third.
      usd: window === 'hour' ? 80e-9 : 1,
      window,
    }));
    gate = await startGate(
      [answers(wire, 'fine')],
      {
        limits,
        budgets,
        catalog: { models: [{ model: '*', inputUsdPerMTok: 0.001, outputUsdPerMTok: 0.001 }] },
      },
      { clock: () => time.nowMs, wallClock: () => time.wallMs },
    );
    const ask = (): ReturnType<Gate['ask']> => gate.ask(wire, 'hi', { ...noStore, more: { max_tokens: 15 } });
    for (const _ of [1, 2]) expect((await ask()).status).toBe(200);
    for (const jump of jumps) {
      time.wallMs += jump;
      time.nowMs += 60_000;
      const refused = await ask();
      expect(refused.status).toBe(429);
      expect(wire.errorOf(refused.text)?.message).toContain('budget "hour" of tenant "test"');
      expect(Number(refused.headers['retry-after'])).toBe(30 * 60 - time.nowMs / 1000);
    }
    // The hour is over once it has really passed, and opens once.
    time.nowMs = hourMs / 2;
    time.wallMs = Date.parse('2026-11-23T11:00:00Z');
    for (const _ of [1, 2]) expect((await ask()).status).toBe(200);
    time.wallMs -= hourMs;
    expect((await ask()).status).toBe(429);
  });

  test('a breaker neither opens nor closes', async () => {
    const wire = openaiWire;
    const time = { nowMs: 0, wallMs: Date.parse('2026-11-23T10:30:00Z') };
    gate = await startGate(
      [(call) => call.whole(500, {}, '{}')],
      { attempt: { retriesMax: 0, breaker: { failures: 2, cooldownMs: 1000 } } },
      { clock: () => time.nowMs, wallClock: () => time.wallMs },
    );
    for (const _ of [1, 2, 3]) expect((await gate.ask(wire, 'hi')).status).toBe(503);
    expect(gate.upstream.calls).toHaveLength(2);
    for (const jump of jumps) {
      time.wallMs += jump;
      expect((await gate.ask(wire, 'hi')).status).toBe(503);
    }
    expect(gate.upstream.calls).toHaveLength(2);
  });
});

describe('row 28: a tenant floods', () => {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  const keys = ['loud', 'quiet'].map((tenant) => ({ id: tenant, sha256: sha256(tenant), tenant }));
  const flooding = 40;
  const quietAsks = 20;
  const wire = anthropicWire;

  test.each([
    ['what it may send at once is held to five', 5, 35, { unit: 'concurrency' as const, capacity: 5 }],
    ['its bucket is empty', 8, 32, { capacity: 8, refillPerSecond: 1e-6 }],
    [
      'it waits in its own queue',
      1,
      20,
      { capacity: 20, refillPerSecond: 1e-2, algorithm: 'leaky_bucket' as const, match: { tenant: 'loud' } },
    ],
  ])('%s; the others pass by at once', async (_, reached, refused, limit) => {
    let refusals = 0;
    const held: (() => void)[] = [];
    gate = await startGate(
      [
        (call) => {
          // The provider never gets done with the loud one.
          if (call.body.includes('loud')) held.push(() => call.reset());
          else answers(wire, 'fine')(call);
        },
      ],
      {
        authenticate: { keys },
        limits: [{ name: 'each', ...limit }],
        attempt: { totalTimeoutMs: 3_600_000, retriesMax: 0 },
      },
    );
    const ask = (tenant: string, signal?: AbortSignal): Promise<Response> =>
      fetch(gate.sidecar.url + wire.path, {
        method: 'POST',
        headers: { ...noStore.headers, 'x-api-key': tenant, 'content-type': 'application/json' },
        body: JSON.stringify(wire.request(tenant, { model: ownModel(wire) })),
        ...(signal === undefined ? {} : { signal }),
      });
    const leaving = new AbortController();
    const allDecided = Promise.withResolvers<void>();
    const flood = Array.from({ length: flooding }, async () => {
      const { status } = await ask('loud', leaving.signal);
      if (status === 429) refusals += 1;
      if (refusals === refused) allDecided.resolve();
    });
    await allDecided.promise;
    await gate.upstream.call(reached - 1);
    // Neither capacity nor a place in a queue is taken from others: each of these is served while all of those hang.
    const replies = await Promise.all(Array.from({ length: quietAsks / 5 }, () => ask('quiet')));
    for (let i = 0; i < quietAsks; i++) replies.push(await ask('quiet'));
    const statuses = replies.map(({ status }) => status);
    if (limit.capacity === 8) expect(statuses.filter((status) => status === 200)).toHaveLength(8);
    else expect(new Set(statuses)).toEqual(new Set([200]));
    const loud = gate.upstream.calls.filter(({ body }) => body.includes('loud'));
    expect([loud.length, refusals]).toEqual([reached, refused]);
    leaving.abort();
    for (const end of held) end();
    await Promise.allSettled(flood);
  });
});
