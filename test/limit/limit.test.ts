/** Stage limit: all buckets or none, the headers about them, and the cost of a request once it has ended. */

import { afterEach, describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { silent } from '../../src/base/telemetry.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { createEstimator } from '../../src/count/estimate.ts';
import type { Identity } from '../../src/exchange/identity.ts';
import type { ModelRequest } from '../../src/exchange/request.ts';
import type { Usage } from '../../src/exchange/usage.ts';
import { createLimiter } from '../../src/limit/limit.ts';
import type { Permit } from '../../src/limit/permit.ts';
import { type Asking, type Gate, startGate } from '../support/gate.ts';
import { statedUsage, wires } from '../support/replies.ts';
import { sampleAsking, sampleIdentity, sampleRequest } from '../support/samples.ts';
import { answers, refuses, resets, type Script } from '../support/upstream.ts';

type Limit = Parameters<typeof configSchema.parse>[0];
const settings = (limits: Limit): Config => configSchema.parse({ limits });

/** A limiter with a clock that is set by hand. */
function stage(limits: Limit) {
  const time = { nowMs: 0 };
  const estimator = createEstimator();
  const limiter = createLimiter(settings(limits), {
    estimator,
    clock: () => time.nowMs,
    wallClock: () => time.nowMs,
    telemetry: silent,
  });
  const admit = (request: Partial<ModelRequest> & { text?: string } = {}, identity: Partial<Identity> = {}) =>
    limiter.admit(
      sampleAsking({ identity: sampleIdentity(identity), request: sampleRequest(request) }),
      time.nowMs,
    );
  return { time, limiter, estimator, admit };
}

function granted(result: Permit | Refusal): Permit {
  if (result instanceof Refusal) throw new Error(`refused: ${result.message}`);
  return result;
}

function refused(result: Permit | Refusal): Refusal {
  if (!(result instanceof Refusal)) throw new Error('granted');
  return result;
}

/** Tokens of `'x'.repeat(1000)` in o200k. */
const xTokens = 125;

const header = (headers: readonly string[], name: string): string | undefined =>
  headers[headers.indexOf(name) + 1];
const usage = (inputTokens: number, outputTokens: number): Usage => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  known: true,
});

describe('one bucket', () => {
  const requests = [{ name: 'rpm', capacity: 3, refillPerSecond: 2 }];

  test('a burst up to its capacity, then one request per refill', () => {
    const { admit, time } = stage(requests);
    for (let i = 0; i < 3; i++) granted(admit());
    expect(refused(admit()).retryAfterMs).toBe(500);
    time.nowMs = 499;
    expect(refused(admit()).retryAfterMs).toBeCloseTo(1, 6);
    time.nowMs = 500;
    granted(admit());
    refused(admit());
  });

  test('a cost known before the call refills while its reply is in progress', () => {
    const { admit, time } = stage([{ name: 'c', unit: 'characters', capacity: 10, refillPerSecond: 10 }]);
    granted(admit({ textCharacters: 10 }));
    time.nowMs = 1_000;
    granted(admit({ textCharacters: 10 }));
  });

  test('each tenant has its own, and a limit of one tenant doesn’t affect others', () => {
    const { admit } = stage([
      { name: 'each', capacity: 1, refillPerSecond: 1 },
      { name: 'only-beta', match: { tenant: 'beta' }, capacity: 1, refillPerSecond: 1 },
    ]);
    granted(admit());
    expect(refused(admit()).message).toContain('limit "each" of tenant "acme"');
    granted(admit({}, { tenant: 'beta' }));
    granted(admit({}, { tenant: 'gamma' }));
  });

  test.each([
    [0, 1],
    [1, 1],
    [500, 1],
    [501, 2],
    [1000, 2],
    [49_999, 100],
  ])('%i characters cost %i of a bucket that counts each 500', (textCharacters, cost) => {
    const { admit } = stage([
      { name: 'c', unit: 'characters', unitSize: 500, capacity: 100, refillPerSecond: 10 },
    ]);
    expect(header(granted(admit({ textCharacters })).headers, 'ratelimit')).toBe(`"c";r=${100 - cost}`);
  });

  test('a reload keeps the level, within the new capacity', () => {
    const { admit, limiter } = stage(requests);
    granted(admit());
    granted(admit());
    limiter.update(settings([{ name: 'rpm', capacity: 10, refillPerSecond: 2 }]));
    granted(admit());
    refused(admit());
    limiter.update(settings([]));
    granted(admit());
  });
});

describe('headers', () => {
  test('state the policy, what remains, and when there is room', () => {
    const { admit } = stage([{ name: 'rpm', capacity: 2, refillPerSecond: 0.1 }]);
    expect(granted(admit()).headers).toEqual([
      'ratelimit-policy',
      '"rpm";q=2;w=20',
      'ratelimit',
      '"rpm";r=1',
    ]);
    granted(admit());
    const { headers, retryAfterMs } = refused(admit());
    expect(header(headers, 'ratelimit')).toBe('"rpm";r=0;t=10');
    expect(retryAfterMs).toBe(10_000);
  });

  test('are absent without a limit', () => {
    expect(granted(stage([]).admit()).headers).toEqual([]);
  });

  test('a request that can never pass is refused without retry-after, and not retried', () => {
    const { admit } = stage([{ name: 'c', unit: 'characters', capacity: 10, refillPerSecond: 1 }]);
    const refusal = refused(admit({ textCharacters: 11 }));
    expect(refusal.code).toBe('request_too_costly');
    expect(refusal.retryAfterMs).toBeNull();
    expect(header(refusal.headers, 'x-should-retry')).toBe('false');
    granted(admit({ textCharacters: 10 }));
  });
});

describe('several buckets', () => {
  const [wide, narrow] = [
    { name: 'wide', capacity: 3, refillPerSecond: 0.001 },
    { name: 'narrow', capacity: 1, refillPerSecond: 0.001 },
  ];

  test.each([
    ['first', [narrow, wide]],
    ['last', [wide, narrow]],
  ])('a refusal by the %s takes nothing from the others', (_, limits) => {
    const { admit, limiter } = stage(limits);
    granted(admit());
    for (let i = 0; i < 10; i++) expect(refused(admit()).message).toContain('"narrow"');
    limiter.update(settings([wide]));
    granted(admit());
    granted(admit());
    expect(refused(admit()).message).toContain('"wide"');
  });

  test('one that can never hold the request takes nothing from the others', () => {
    const chars = { name: 'chars', unit: 'characters', capacity: 5, refillPerSecond: 1 };
    const { admit } = stage([wide, chars]);
    for (let i = 0; i < 10; i++)
      expect(refused(admit({ textCharacters: 6 })).code).toBe('request_too_costly');
    for (let i = 0; i < 3; i++) granted(admit({ textCharacters: 1 }));
  });
});

describe('tokens', () => {
  const tokens = [{ name: 't', unit: 'tokens', capacity: 1000, refillPerSecond: 0.001 }];
  const left = (permit: Permit): string => (header(permit.headers, 'ratelimit') ?? '').replace(/.*r=/, '');

  test('the estimated prompt and the bound of the reply are reserved', () => {
    const { admit, estimator } = stage(tokens);
    const promptTokens = estimator.tokens('m', 100);
    expect(promptTokens).toBeGreaterThan(20);
    const permit = granted(admit({ textBytes: 100, maxTokens: 50, choices: 2 }));
    expect(left(permit)).toBe(String(1000 - promptTokens - 2 * 50));
  });

  test('a reply without a bound reserves the default', () => {
    const { admit } = stage([{ ...tokens[0], capacity: 10_000 }]);
    expect(left(granted(admit({ textBytes: 0 })))).toBe(String(10_000 - 4096));
  });

  test('the actual usage is charged, less or more than reserved', () => {
    const { admit } = stage(tokens);
    granted(admit({ textBytes: 0, maxTokens: 900 })).settle(usage(10, 20), 0);
    const second = granted(admit({ textBytes: 0, maxTokens: 100 }));
    expect(left(second)).toBe(String(1000 - 30 - 100));
    second.settle(usage(400, 400), 0);
    expect(left(granted(admit({ textBytes: 0, maxTokens: 1 })))).toBe(String(1000 - 30 - 800 - 1));
  });

  test('no usage costs nothing', () => {
    const { admit } = stage(tokens);
    granted(admit({ textBytes: 0, maxTokens: 900 })).settle(usage(0, 0), 0);
    expect(left(granted(admit({ textBytes: 0, maxTokens: 1000 })))).toBe('0');
  });

  test('a debt is paid back before anything passes', () => {
    const { admit, time } = stage([{ ...tokens[0], capacity: 100, refillPerSecond: 10 }]);
    granted(admit({ textBytes: 0, maxTokens: 100 })).settle(usage(0, 150), 0);
    expect(refused(admit({ textBytes: 0, maxTokens: 1 })).retryAfterMs).toBeCloseTo(5_100, 6);
    time.nowMs = 5_100;
    granted(admit({ textBytes: 0, maxTokens: 1 }));
  });

  test('a refund never lifts the level above the capacity', () => {
    const { admit, time } = stage([{ ...tokens[0], refillPerSecond: 1000 }]);
    const permit = granted(admit({ textBytes: 0, maxTokens: 1000 }));
    time.nowMs = 10_000;
    permit.settle(usage(0, 0), 0);
    expect(left(granted(admit({ textBytes: 0, maxTokens: 1 })))).toBe('999');
  });
});

describe('estimate', () => {
  test('learns a model’s ratio from real usage, within bounds', () => {
    const estimator = createEstimator();
    const unlearned = estimator.tokens('m', 1000);
    estimator.learn('m', 1000, 500);
    expect(estimator.tokens('m', 1000)).toBe(500);
    expect(estimator.tokens('other', 1000)).toBe(unlearned);
    for (let i = 0; i < 200; i++) estimator.learn('m', 1000, 1_000_000);
    expect(estimator.tokens('m', 1000)).toBeLessThanOrEqual(2000);
    for (let i = 0; i < 500; i++) estimator.learn('m', 1000, 1);
    expect(estimator.tokens('m', 1000)).toBeGreaterThanOrEqual(20);
  });

  test('short prompts and replies without usage teach nothing, and models are bounded', () => {
    const estimator = createEstimator();
    estimator.learn('m', 63, 63);
    estimator.learn('m', 1000, 0);
    const unlearned = createEstimator().tokens('m', 100);
    expect(estimator.tokens('m', 100)).toBe(unlearned);
    for (let i = 0; i < 2000; i++) estimator.learn(`m${i}`, 100, 100);
    expect(estimator.tokens('m0', 100)).toBe(100);
    expect(estimator.tokens('m1999', 100)).toBe(unlearned);
  });
});

describe.each(wires)('settled on every way out, $name', (wire) => {
  let gate: Gate;
  afterEach(() => gate.stop());

  const capacity = 100_000;
  const limits = [{ name: 't', unit: 'tokens' as const, capacity, refillPerSecond: 0.001 }];
  // Shorter than what the estimator learns from, so that an estimate never changes.
  const prompt = 'hi';
  const used = statedUsage.inputTokens + statedUsage.outputTokens;

  const start = async (...scripts: Script[]): Promise<void> => {
    gate = await startGate(
      scripts,
      { limits, attempt: { retriesMax: 0, idleTimeoutMs: 5_000 } },
      { clock: () => 0 },
    );
  };
  const ask = (more: Asking = {}): ReturnType<Gate['ask']> =>
    gate.ask(wire, prompt, { ...more, more: { max_tokens: 100, ...more.more } });

  /** What requests so far have cost, by the level that one more request is told. */
  const spent = async (): Promise<number> => {
    gate.upstream.answer(answers(wire, 'x'));
    const { headers } = await gate.ask(wire, prompt, {
      more: { max_tokens: 1 },
      headers: { 'cache-control': 'no-store' },
    });
    const left = Number(String(headers.ratelimit).replace(/.*r=/, ''));
    return capacity - left - 1 - 1;
  };

  test('a whole reply and a stream cost what the provider states', async () => {
    await start(answers(wire, 'fine'));
    expect((await ask()).status).toBe(200);
    expect(await spent()).toBe(used);
    // The request that asked for the level has cost its own.
    gate.upstream.answer(answers(wire, 'fine'));
    expect((await ask({ more: { stream: true } })).text).toContain('fine');
    expect(await spent()).toBe(3 * used);
  });

  test.each([
    ['a request the provider rejects', refuses(wire.error(400, 'no')), 400],
    ['a provider that fails', refuses(wire.error(500, 'no')), 503],
    ['a connection that resets', resets, 503],
    ['a rate limit of the provider', refuses(wire.error(429, 'no'), { 'retry-after-ms': '0' }), 429],
  ])('%s costs nothing', async (_, script, status) => {
    await start(script);
    expect((await ask()).status).toBe(status);
    expect(await spent()).toBe(0);
  });

  test('a hit costs no tokens', async () => {
    await start(answers(wire, 'fine'));
    await ask();
    const hit = await ask();
    expect(hit.headers['cache-status']).toBe('sidegate; hit');
    expect(await spent()).toBe(used);
  });

  test('a replay costs nothing at all', async () => {
    await start(answers(wire, 'fine'));
    const headers = { 'idempotency-key': 'k', 'cache-control': 'no-store' };
    await ask({ headers });
    const again = await ask({ headers });
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(await spent()).toBe(used);
  });

  test('a stream that is cut costs what had arrived', async () => {
    await start((call) => {
      call.streamHead();
      call.write(wire.opening + wire.text('x'.repeat(1000)));
      call.cut();
    });
    const cut = await ask({ more: { stream: true } });
    expect(cut.text).toContain('stream_cut');
    // Settled once the tokenizer has counted.
    const record = await gate.sidecar.recordWhere(({ error }) => error === 'stream_cut');
    const cost = await spent();
    expect(cost).toBe(record.inputTokens + record.outputTokens);
    expect(record.outputTokens).toBe(xTokens);
  });

  test('if the client leaves, what had arrived is charged', async () => {
    await start(async (call) => {
      call.streamHead();
      call.write(wire.opening + wire.text('x'.repeat(1000)));
      await call.aborted;
    });
    const reply = await gate.stream(wire, prompt, { more: { max_tokens: 100 } });
    await reply.sees('xxx');
    reply.hangUp();
    const record = await gate.sidecar.recordWhere(({ abandoned }) => abandoned);
    expect(record.usageKnown).toBe(false);
    expect(await spent()).toBe(record.inputTokens + record.outputTokens);
    expect(record.outputTokens).toBe(xTokens);
  });

  test('a request refused for personal data costs nothing', async () => {
    gate = await startGate(
      [answers(wire, 'x')],
      { limits, scrub: { request: { email: 'block' } } },
      { clock: () => 0 },
    );
    const blocked = await gate.ask(wire, 'ann@example.com', { more: { max_tokens: 100 } });
    expect(blocked.status).toBe(400);
    expect(await spent()).toBe(0);
  });
});
