/** Stage attempt: retries, backoff, breaker, cooldown after a 429, order of fallback; with a passed-in clock. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { World } from '../../src/base/world.ts';
import { chainConfig, labelOf, metricIn } from '../support/chain.ts';
import { ask, send } from '../support/client.ts';
import { wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, refuses, resets, type Script, startUpstream } from '../support/upstream.ts';

type Attempt = ConfigInput['attempt'];

describe.each(wires)('$name', (wire) => {
  const fails = refuses(wire.error(500, 'broken'));
  const good = answers(wire, 'good');
  const limitedFor = (headers: Readonly<Record<string, string>>): Script =>
    refuses(wire.error(429, 'slow down'), headers);

  /** Providers with these scripts behind a sidecar whose clock stands still until it is set. */
  async function start(
    scripts: readonly (readonly Script[])[],
    attempt: Attempt = {},
    world: Partial<World> = {},
  ) {
    const time = { nowMs: 0, wallMs: Date.UTC(2030, 0, 1) };
    const upstreams = await Promise.all(scripts.map((own) => startUpstream(...own)));
    const config = chainConfig(
      wire,
      upstreams.map(({ baseUrl }) => baseUrl),
      {
        attempt: { breaker: { failures: 1000 }, ...attempt },
      },
    );
    const sidecar = await startTestSidecar(config, {
      clock: () => time.nowMs,
      wallClock: () => time.wallMs,
      ...world,
    });
    onTestFinished(async () => {
      await sidecar.stop();
      await Promise.all(upstreams.map((upstream) => upstream.close()));
    });
    return {
      time,
      sidecar,
      upstreams,
      calls: () => upstreams.map(({ calls }) => calls.length),
      ask: (more: Readonly<Record<string, unknown>> = {}, headers: Readonly<Record<string, string>> = {}) =>
        ask(sidecar.url, wire.path, { body: wire.request('hi', more), headers }),
      breaker: async (index = 0) =>
        metricIn(await sidecar.metrics(), 'sidegate_breaker_state', { target: labelOf(index) }),
    };
  }

  describe('retries', () => {
    test.each([0, 1, 3])('%i retries on each target, then the next', async (retriesMax) => {
      const chain = await start([[fails], [resets], [good]], { retriesMax });
      const reply = await chain.ask();
      expect(reply.status).toBe(200);
      expect(chain.calls()).toEqual([retriesMax + 1, retriesMax + 1, 1]);
      expect(reply.headers['x-sidegate-target']).toBe(labelOf(2));
      expect(reply.headers['x-sidegate-attempts']).toBe(String(2 * retriesMax + 3));
    });

    test('a successful retry ends them', async () => {
      const chain = await start([[fails, resets, good], [good]], { retriesMax: 5 });
      // The reset is on the connection that carried the 500, so it counts as no attempt, and is told.
      expect((await chain.ask()).headers['x-sidegate-attempts']).toBe('2');
      expect(chain.calls()).toEqual([3, 0]);
      expect(chain.sidecar.records()[0]).toMatchObject({
        attempts: 2,
        tried: `${labelOf(0)}: status 500, ${labelOf(0)}: dead_connection, ${labelOf(0)}: ok`,
      });
    });

    test.each([500, 502, 503, 504, 529, 408])('%i is retried', async (status) => {
      const chain = await start([[refuses(wire.error(status, 'x')), good]], { retriesMax: 1 });
      expect((await chain.ask()).status).toBe(200);
    });

    test('a redirect is never followed nor retried', async () => {
      const elsewhere = await startUpstream(good);
      const redirects: Script = (call) =>
        call.whole(307, { location: elsewhere.baseUrl + call.path.slice(3) }, '');
      const chain = await start([[redirects], [good]], { retriesMax: 3 });
      expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
      expect([...chain.calls(), elsewhere.calls.length]).toEqual([1, 1, 0]);
      await elsewhere.close();
    });

    test('a request with server tools is tried only once', async () => {
      const chain = await start([[fails], [good]], { retriesMax: 3 });
      const tools =
        wire.name === 'openai'
          ? { web_search_options: {} }
          : { tools: [{ type: 'web_search_20250305', name: 'web_search' }] };
      expect((await chain.ask(tools)).status).toBe(503);
      expect(chain.calls()).toEqual([1, 0]);
    });

    test('without retries left the SDK is told not to make its own', async () => {
      const chain = await start([[fails]], { retriesMax: 1 });
      expect((await chain.ask()).headers['x-should-retry']).toBe('false');
    });
  });

  describe('backoff', () => {
    const retries = { retriesMax: 4 };
    const fourFailures = [[fails, fails, fails, fails, good]];

    test('is a random share of its bound, down to zero', async () => {
      let drawn = 0;
      const random = (): number => {
        drawn += 1;
        return 0;
      };
      const chain = await start(
        fourFailures,
        { ...retries, backoffBaseMs: 60_000, backoffMaxMs: 60_000 },
        { random },
      );
      expect((await chain.ask()).status).toBe(200);
      expect(drawn).toBe(4);
    });

    test('has a bound that doubles: 20, 40, 80 and 160 ms', async () => {
      const chain = await start(fourFailures, { ...retries, backoffBaseMs: 20 }, { random: () => 0.99 });
      const sinceMs = performance.now();
      await chain.ask();
      expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(290);
    });

    test('never exceeds the longest backoff', async () => {
      const longest = { backoffBaseMs: 60_000, backoffMaxMs: 10 };
      const chain = await start(fourFailures, { ...retries, ...longest }, { random: () => 0.99 });
      const sinceMs = performance.now();
      expect((await chain.ask()).status).toBe(200);
      const tookMs = performance.now() - sinceMs;
      expect(tookMs).toBeGreaterThanOrEqual(36);
      expect(tookMs).toBeLessThan(5_000);
    });

    test('a provider that states a time is not called before it', async () => {
      const busy = refuses(wire.error(503, 'busy'), { 'retry-after': '0.03' });
      const chain = await start([[busy, good]], { retriesMax: 1, backoffMaxMs: 1000 }, { random: () => 0 });
      const sinceMs = performance.now();
      expect((await chain.ask()).status).toBe(200);
      expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(28);
    });

    test('if a provider states too long a time, the next target is tried at once', async () => {
      const busy = refuses(wire.error(503, 'busy'), { 'retry-after': '3600' });
      const chain = await start([[busy], [good]], { retriesMax: 3 });
      expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
      expect(chain.calls()).toEqual([1, 1]);
    });

    test('never lasts beyond the deadline of the request', async () => {
      const chain = await start(
        [[fails], [good]],
        { retriesMax: 3, backoffBaseMs: 30_000, backoffMaxMs: 60_000 },
        { random: () => 0.5 },
      );
      const sinceMs = performance.now();
      expect((await chain.ask({}, { 'x-sidegate-timeout': '10000' })).status).toBe(200);
      expect(performance.now() - sinceMs).toBeLessThan(10_000);
      expect(chain.calls()).toEqual([1, 1]);
    });

    test('ends when the client leaves', async () => {
      const chain = await start(
        [[fails, good]],
        { retriesMax: 1, backoffBaseMs: 60_000, backoffMaxMs: 60_000 },
        { random: () => 0.9 },
      );
      const sent = send(chain.sidecar.url, wire.path, { body: wire.request('hi') });
      await chain.upstreams[0]?.call(0);
      // The failure has been sent; what follows on this side is the waiting.
      sent.hangUp();
      const record = await chain.sidecar.recordWhere(() => true);
      expect(record).toMatchObject({ abandoned: true, attempts: 1 });
      expect(chain.calls()).toEqual([1]);
    });
  });

  describe('breaker', () => {
    const breaker = { failures: 3, cooldownMs: 30_000 };

    test('opens after the set number of failures, half-opens after its cooldown, closes on one success', async () => {
      const chain = await start([[fails, fails, fails, good]], { breaker });
      for (let i = 0; i < 3; i++) expect((await chain.ask()).status).toBe(503);
      expect(await chain.breaker()).toBe(1);
      chain.time.nowMs = 29_999;
      const shut = await chain.ask();
      expect(shut.status).toBe(503);
      expect(shut.headers['retry-after-ms']).toBe('1');
      expect(shut.headers['retry-after']).toBe('1');
      expect(chain.calls()).toEqual([3]);
      chain.time.nowMs = 30_000;
      expect(await chain.breaker()).toBe(2);
      expect((await chain.ask()).status).toBe(200);
      expect(await chain.breaker()).toBe(0);
      expect(chain.calls()).toEqual([4]);
    });

    test('a failed probe opens it for twice as long, up to the largest cooldown', async () => {
      const chain = await start([[fails]], { breaker: { ...breaker, cooldownMaxMs: 100_000 } });
      for (let i = 0; i < 3; i++) await chain.ask();
      chain.time.nowMs = 30_000;
      let calls = 4;
      await chain.ask();
      for (const cooldownMs of [60_000, 100_000, 100_000]) {
        chain.time.nowMs += cooldownMs - 1;
        await chain.ask();
        expect(chain.calls()).toEqual([calls]);
        expect(await chain.breaker()).toBe(1);
        chain.time.nowMs += 1;
        calls += 1;
        await chain.ask();
        expect(chain.calls()).toEqual([calls]);
      }
    });

    test('opens by the share of failures, without as many consecutive ones', async () => {
      const chain = await start([[fails, good]], { breaker: { ...breaker, callsMin: 10, failureRate: 0.5 } });
      for (let i = 0; i < 10; i++) {
        chain.upstreams[0]?.answer(i % 2 === 0 ? good : fails);
        await chain.ask();
      }
      expect(await chain.breaker()).toBe(1);
      expect(chain.calls()).toEqual([10]);
    });

    test('one probe at a time; other requests continue to the next target', async () => {
      const chain = await start([[fails, fails, fails], [good]], { breaker });
      for (let i = 0; i < 3; i++) await chain.ask();
      chain.upstreams[0]?.answer(() => {});
      chain.time.nowMs = 30_000;
      const probe = chain.ask();
      const call = await chain.upstreams[0]?.call(3);
      for (let i = 0; i < 5; i++) expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
      expect(chain.calls()[0]).toBe(4);
      if (call !== undefined) good(call);
      expect((await probe).headers['x-sidegate-target']).toBe(labelOf(0));
      expect(await chain.breaker()).toBe(0);
    });

    test('a probe whose client leaves doesn’t count: the next request probes', async () => {
      const chain = await start([[fails, fails, fails, () => {}, good]], { breaker });
      for (let i = 0; i < 3; i++) await chain.ask();
      chain.time.nowMs = 30_000;
      const sent = send(chain.sidecar.url, wire.path, { body: wire.request('hi') });
      await chain.upstreams[0]?.call(3);
      sent.hangUp();
      await chain.sidecar.recordWhere(({ abandoned }) => abandoned);
      expect(await chain.breaker()).toBe(2);
      expect((await chain.ask()).status).toBe(200);
    });

    test('any answer that shows that the provider works resets its count', async () => {
      const rejects = refuses(wire.error(400, 'no'));
      const chain = await start([[fails, fails, good, fails, fails, rejects, fails, fails, good]], {
        breaker,
      });
      for (let i = 0; i < 9; i++) await chain.ask();
      expect(chain.calls()).toEqual([9]);
      expect(await chain.breaker()).toBe(0);
    });

    test('429 and refused credentials don’t count as failures', async () => {
      const chain = await start([[limitedFor({ 'retry-after-ms': '0' })]], { breaker: { failures: 1 } });
      for (let i = 0; i < 3; i++) await chain.ask();
      expect(await chain.breaker()).toBe(0);
      expect(chain.calls()).toEqual([3]);
      const refusing = await start([[refuses(wire.error(401, 'no'))]], { breaker: { failures: 1 } });
      await refusing.ask();
      expect(await refusing.breaker()).toBe(0);
    });

    test('a clock that is set back opens and closes nothing', async () => {
      const chain = await start([[fails, fails, fails, good]], { breaker });
      chain.time.nowMs = 100_000;
      for (let i = 0; i < 3; i++) await chain.ask();
      chain.time.nowMs = 0;
      expect((await chain.ask()).status).toBe(503);
      chain.time.nowMs = 130_000;
      expect((await chain.ask()).status).toBe(200);
    });
  });

  describe('429', () => {
    test.each<[string, Readonly<Record<string, string>>, number]>([
      ['Retry-After in seconds', { 'retry-after': '7' }, 7_000],
      ['retry-after-ms', { 'retry-after-ms': '1500', 'retry-after': '2' }, 1_500],
      ['Retry-After as a date', { 'retry-after': 'Tue, 01 Jan 2030 00:00:09 GMT' }, 9_000],
      ['Retry-After beside an empty retry-after-ms', { 'retry-after-ms': '', 'retry-after': '7' }, 7_000],
      ['no word of it', {}, 1_000],
      ['an empty word', { 'retry-after': '' }, 1_000],
      ['a word without sense', { 'retry-after': 'soon' }, 1_000],
      ['a word beyond all patience', { 'retry-after': '999999999' }, 3_600_000],
    ])('by %s that target rests, and the next answers', async (_, headers, restMs) => {
      const chain = await start([[limitedFor(headers), good], [good]], { retriesMax: 3 });
      expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
      chain.time.nowMs = restMs - 1;
      expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
      expect(chain.calls()).toEqual([1, 2]);
      chain.time.nowMs = restMs;
      expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(0));
    });

    test('without another target the provider’s reply is passed on, with a retry-after', async () => {
      for (const headers of [{ 'retry-after': '7' }, {}, { 'retry-after': '61' }]) {
        const chain = await start([[limitedFor(headers)]], { retriesMax: 3 });
        const reply = await chain.ask();
        expect(reply.status).toBe(429);
        expect(reply.text).toContain('slow down');
        const waitS = Number(headers['retry-after'] ?? 1);
        // No retry was spent, and SDKs may wait for so long.
        expect(reply.headers['x-should-retry']).toBe(waitS > 60 ? 'false' : undefined);
        expect(reply.headers['retry-after']).toBe(String(waitS));
        expect(reply.headers['retry-after-ms']).toBe(String(waitS * 1000));
        expect(chain.calls()).toEqual([1]);
      }
    });

    test('while all are cooling down, retry-after says when the first is back', async () => {
      const chain = await start([
        [limitedFor({ 'retry-after': '20' })],
        [limitedFor({ 'retry-after': '5' })],
      ]);
      await chain.ask();
      chain.time.nowMs = 1_000;
      const reply = await chain.ask();
      expect(reply.status).toBe(503);
      expect(reply.headers['retry-after-ms']).toBe('4000');
      expect(wire.errorOf(reply.text)?.message).toContain(
        `${labelOf(0)}: cooling_down, ${labelOf(1)}: cooling_down`,
      );
      expect(chain.calls()).toEqual([1, 1]);
    });

    test('an exhausted quota is distinguished from a rate limit', async () => {
      const spent =
        wire.name === 'openai'
          ? '{"error":{"message":"No quota","type":"insufficient_quota","code":"insufficient_quota"}}'
          : '{"type":"error","error":{"type":"x","message":"Your credit balance is too low"}}';
      const status = wire.name === 'openai' ? 429 : 400;
      const quota: Script = (call) => call.whole(status, { 'content-type': 'application/json' }, spent);
      const chain = await start([[quota], [good]], { retriesMax: 3 });
      expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
      expect(chain.calls()).toEqual([1, 1]);
      expect(chain.sidecar.records()[0]?.tried).toBe(`${labelOf(0)}: quota, ${labelOf(1)}: ok`);
      const alone = await start([[quota]]);
      const last = await alone.ask();
      expect([last.status, last.text]).toEqual([status, spent]);
    });
  });

  test('fallback keeps the configured order, whatever failed before', async () => {
    const chain = await start([[fails], [limitedFor({ 'retry-after': '60' })], [good]]);
    for (let i = 0; i < 3; i++) expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(2));
    expect(chain.calls()).toEqual([3, 1, 3]);
    chain.upstreams[0]?.answer(good);
    expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(0));
  });
});
