/** Hedged requests: when a second call is sent, which one wins, and what happens to the other. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AttemptDeps } from '../../src/attempt/deps.ts';
import { hedged, type Race } from '../../src/attempt/hedge.ts';
import { createHedges, createQuantile } from '../../src/attempt/hedges.ts';
import type { CallResult } from '../../src/attempt/result.ts';
import type { Trail } from '../../src/attempt/trail.ts';
import { Cancellation } from '../../src/base/cancellation.ts';
import type { World } from '../../src/base/world.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { OpenCall } from '../../src/upstream/open-call.ts';
import { labelOf, metricIn, startChain } from '../support/chain.ts';
import { statedUsage, wires } from '../support/replies.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { silenceMs, standingTime } from '../support/time.ts';
import { until } from '../support/until.ts';
import { answers, hangs, refuses, type Script } from '../support/upstream.ts';

const hedge = { enabled: true, delayMs: 20 };

describe.each(wires)('$name', (wire) => {
  const good = answers(wire, 'Good');
  /** Answers nothing, but has begun to. */
  const opens: Script = (call) => {
    call.streamHead();
    call.write(wire.opening);
  };
  const serverTools =
    wire.name === 'openai'
      ? { web_search_options: {} }
      : { tools: [{ type: 'web_search_20250305', name: 'web_search' }] };
  const start = (
    scripts: readonly (readonly Script[])[],
    attempt: ConfigInput['attempt'] = {},
    world: Partial<World> = {},
  ) => startChain(wire, scripts, { attempt: { hedge, breaker: { failures: 1 }, ...attempt } }, world);
  const hedges = async (chain: { metrics(): Promise<string> }) => {
    const text = await chain.metrics();
    return ['sent', 'won'].map((outcome) => metricIn(text, 'sidegate_hedges_total', { outcome }));
  };

  for (const stream of [true, false]) {
    const kind = stream ? 'stream' : 'whole reply';

    test(`a late first content is hedged on the same target, and the first answer is used (${kind})`, async () => {
      const chain = await start([[hangs, good]]);
      const { status, text, headers } = await chain.ask({ stream });
      expect([status, text.includes('Good')]).toEqual([200, true]);
      expect(headers['x-sidegate-attempts']).toBe('2');
      await (await chain.first.call(0)).aborted;
      expect(chain.records()[0]?.tried).toBe(`${labelOf(0)}: hedge_lost, ${labelOf(0)}: ok`);
      expect(await hedges(chain)).toEqual([1, 1]);
      expect(await chain.breaker()).toBe('closed');
    });

    test(`an answer in time is not hedged (${kind})`, async () => {
      const chain = await start([[good]], { hedge: { enabled: true, delayMs: 60_000 } });
      expect((await chain.ask({ stream })).status).toBe(200);
      expect(chain.first.calls).toHaveLength(1);
      expect(await hedges(chain)).toEqual([0, 0]);
    });

    test(`the first call may still win (${kind})`, async () => {
      const chain = await start([[hangs]]);
      const sent = chain.send({ stream });
      const [first, second] = [await chain.first.call(0), await chain.first.call(1)];
      good(first);
      expect((await (await sent.reply).all()).includes('Good')).toBe(true);
      await second.aborted;
      expect(await hedges(chain)).toEqual([1, 0]);
    });
  }

  test('the loser is billed as far as known, and doesn’t count against its target', async () => {
    const chain = await start([[opens, good]]);
    expect((await chain.ask({ stream: true })).status).toBe(200);
    const record = await chain.recordWhere(({ status }) => status === 200);
    // Anthropic states the prompt's tokens as its stream opens; OpenAI states nothing before the end: they are counted.
    if (wire.name === 'anthropic') expect(record.inputTokens).toBe(2 * statedUsage.inputTokens);
    expect(record.inputTokens).toBeGreaterThan(statedUsage.inputTokens);
    expect(await chain.breaker()).toBe('closed');
  });

  test('if one fails, the other continues', async () => {
    for (const order of [0, 1]) {
      const chain = await start([[hangs]], { breaker: { failures: 9 } });
      const sent = chain.send({ stream: true });
      const calls = [await chain.first.call(0), await chain.first.call(1)] as const;
      calls[order === 0 ? 0 : 1].reset();
      const left = calls[order === 0 ? 1 : 0];
      // What is left may answer only after the failure has been seen.
      await calls[order === 0 ? 0 : 1].closed;
      good(left);
      expect((await sent.reply).status).toBe(200);
      await (await sent.reply).all();
      expect(chain.records()[0]).toMatchObject({ attempts: 2 });
    }
  });

  test('when both fail the next target answers', async () => {
    const time = standingTime();
    const both: Script[] = [
      hangs,
      (call) => {
        refuses(wire.error(500, 'x'))(call);
        time.pass(silenceMs);
      },
    ];
    const chain = await start([both, [good]], { firstTokenTimeoutMs: silenceMs }, time.world);
    const { headers } = await chain.ask({ stream: true });
    expect(headers['x-sidegate-target']).toBe(labelOf(1));
    expect(chain.first.calls).toHaveLength(2);
    expect(chain.records()[0]?.attempts).toBe(3);
  });

  test('if the client leaves, both end', async () => {
    const chain = await start([[hangs]]);
    const sent = chain.send({ stream: true });
    const calls = [await chain.first.call(0), await chain.first.call(1)];
    sent.hangUp();
    await Promise.all(calls.map(({ aborted }) => aborted));
    expect(await chain.recordWhere(({ abandoned }) => abandoned)).toMatchObject({ attempts: 2 });
    expect(await chain.breaker()).toBe('closed');
  });

  test('never where tools run at the provider, unless the app sent an idempotency key', async () => {
    const chain = await start([[hangs, good]], { replyTimeoutMs: 60 });
    expect((await chain.ask(serverTools)).status).toBe(504);
    expect(chain.first.calls).toHaveLength(1);
    const safe = await start([[hangs, good]]);
    expect((await safe.ask(serverTools, { 'idempotency-key': 'once' })).status).toBe(200);
    expect(safe.first.calls).toHaveLength(2);
  });

  test('never beyond the retry budget', async () => {
    const chain = await start([[hangs]], { retryBudget: { ratio: 0, minPerSecond: 0 } });
    const sent = chain.send();
    const call = await chain.first.call(0);
    const refused = 'sidegate_retry_budget_refused_total';
    await until(async () => metricIn(await chain.metrics(), refused, { kind: 'hedge' }) === 1);
    good(call);
    expect((await sent.reply).status).toBe(200);
    expect(chain.first.calls).toHaveLength(1);
  });

  test('never a retry: the same request is hedged once', async () => {
    // Long enough for the refusal to come first.
    const delayMs = 400;
    const time = standingTime();
    const late: Script = () => setTimeout(() => time.pass(silenceMs), 2 * delayMs);
    const attempt = { retriesMax: 1, replyTimeoutMs: silenceMs, breaker: { failures: 9 } };
    const chain = await start(
      [[refuses(wire.error(500, 'x')), late, good]],
      { ...attempt, hedge: { enabled: true, delayMs } },
      time.world,
    );
    expect((await chain.ask()).status).toBe(503);
    expect(chain.first.calls).toHaveLength(2);
  });
});

describe('what comes of the first call while the second is prepared', () => {
  const answered: CallResult = { kind: 'status', status: 200, headers: {}, body: Buffer.alloc(0) };

  /** A race whose first call is late. @param begun called for the second */
  function race(second: Race['second']) {
    const { promise: result, resolve } = Promise.withResolvers<CallResult>();
    const sent: string[] = [];
    const telemetry = { hedge: (outcome: string) => void sent.push(outcome) };
    const called = hedged({} as OpenCall, {
      delayMs: 1,
      cancellation: new Cancellation(),
      start: () => result,
      second,
      trail: {} as Trail,
      deps: { telemetry } as unknown as AttemptDeps,
    });
    return { called, sent, answer: () => resolve(answered) };
  }

  test('is given at once', async () => {
    const { called, sent, answer } = race(() => {
      answer();
      return new Promise(() => {});
    });
    expect((await called).result).toBe(answered);
    expect(sent).toEqual([]);
  });

  test('leaves the second unsent, even in the same turn', async () => {
    let begun = false;
    const { called, sent, answer } = race(async () => {
      answer();
      return () => {
        begun = true;
        return null;
      };
    });
    expect((await called).result).toBe(answered);
    expect([sent, begun]).toEqual([[], false]);
  });
});

describe('the delay', () => {
  const hedgesOf = (input: ConfigInput) => createHedges(configSchema.parse(input));
  const targets = [{ provider: 'p' }];
  const model = {};

  test('is only set where hedging is on, for a route or for all', () => {
    expect(hedgesOf({ routes: [{ model: 'a', targets }] })).toBeNull();
    const one = hedgesOf({
      routes: [
        { model: 'a', targets, hedge: true },
        { model: 'b', targets },
      ],
      attempt: { hedge: { delayMs: 5 } },
    });
    expect([one?.delayMs('a', model, true), one?.delayMs('b', model, true)]).toEqual([5, null]);
    const others = hedgesOf({
      routes: [
        { model: 'a', targets, hedge: false },
        { model: 'b', targets },
      ],
      attempt: { hedge },
    });
    expect([others?.delayMs('a', model, true), others?.delayMs('b', model, true)]).toEqual([null, 20]);
  });

  test('is learned by route and by kind of reply, once there is enough to learn from', () => {
    const all = hedgesOf({
      routes: [
        { model: 'a', targets },
        { model: 'b', targets },
      ],
      attempt: { hedge: { enabled: true } },
    });
    for (let i = 0; i < 19; i++) all?.observe('a', model, true, 100);
    expect(all?.delayMs('a', model, true)).toBeNull();
    all?.observe('a', model, true, 100);
    expect(all?.delayMs('a', model, true)).toBeCloseTo(100, -1.5);
    expect([all?.delayMs('a', model, false), all?.delayMs('b', model, true)]).toEqual([null, null]);
  });

  test('is learned for each model of a pattern', () => {
    const other = {};
    const all = hedgesOf({ routes: [{ model: '*', targets }], attempt: { hedge: { enabled: true } } });
    for (let i = 0; i < 20; i++) {
      all?.observe('*', model, true, 100);
      all?.observe('*', other, true, 5_000);
    }
    expect(all?.delayMs('*', model, true)).toBeCloseTo(100, -1.5);
    expect(all?.delayMs('*', other, true)).toBeGreaterThan(4_999);
    expect(all?.delayMs('*', {}, true)).toBeNull();
  });

  test('is the 95th percentile, never too low and at most a fifth too high', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1, max: 500_000, noNaN: true }), { minLength: 20, maxLength: 900 }),
        (times) => {
          const quantile = createQuantile();
          for (const ms of times) quantile.add(ms);
          const sorted = [...times].sort((a, b) => a - b);
          const exact = sorted[sorted.length - 1 - Math.floor(0.05 * times.length)] ?? 0;
          const estimate = quantile.p95() ?? 0;
          expect(estimate).toBeGreaterThanOrEqual(exact * 0.999);
          expect(estimate).toBeLessThanOrEqual(exact * 1.2);
        },
      ),
    );
  });

  test('follows new observations, and forgets old ones', () => {
    const quantile = createQuantile();
    for (let i = 0; i < 5000; i++) quantile.add(10);
    for (let i = 0; i < 3000; i++) quantile.add(1000);
    for (let i = 0; i < 5000; i++) quantile.add(20);
    expect(quantile.p95()).toBeLessThan(30);
  });
});
