/** What limits charge: dollars, tokens of one kind, soft limits, and streams that exceed their reservation. */
import { describe, expect, test } from 'vitest';
import { granted, header, price, refused, slow, stage, used } from '../support/limit-stage.ts';
import type { ConfigInput } from '../support/sidecar.ts';

describe('dollars', () => {
  const budget = (usd: number, more: object = {}): ConfigInput =>
    ({ budgets: [{ name: 'b', usd, window: 'day', ...more }] }) as ConfigInput;
  const request = { maxTokens: 10 };

  test('the price of the first target is reserved, and the actual cost is charged', () => {
    const { admit } = stage(budget(30_000e-9));
    const dear = { ...price, output: 1_000_000 };
    const ask = { request, prices: [price, dear] };
    const permits = [granted(admit(ask)), granted(admit(ask)), granted(admit(ask))];
    const held = refused(admit(ask));
    expect(held.message).toContain('budget "b" of tenant "acme" ($0.00003 a day)');
    expect(held.message).toContain(
      '; there will be room when requests in flight end. That is for a reply of 10 tokens',
    );
    expect([held.retryAfterMs, header(held.headers, 'x-should-retry')]).toEqual([1000, undefined]);
    permits[0]?.settle(used(0, 10), 10);
    permits[1]?.settle(used(0, 10), 9_990);
    granted(admit(ask));
    refused(admit(ask));
    permits[2]?.settle(used(0, 0), 0);
    granted(admit(ask)).settle(used(0, 20), 20_000);
    const spent = refused(admit(ask));
    expect(spent.message).toContain('at 2026-11-24T00:00:00.000Z');
    expect([spent.retryAfterMs, header(spent.headers, 'x-should-retry')]).toEqual([14 * 3_600_000, 'false']);
  });

  test('the model’s bound is used if it is lower, or if the request has none', () => {
    const { admit } = stage(budget(20_000e-9));
    granted(admit({ request: { maxTokens: null }, outputMaxTokens: 10 }));
    granted(admit({ request: { maxTokens: 1_000_000 }, outputMaxTokens: 10 }));
    refused(admit({ request, outputMaxTokens: 10 }));
    expect(refused(admit({ request: { maxTokens: null } })).code).toBe('request_too_costly');
  });

  test('a model without a price is refused by name, or allowed and reported', () => {
    const strict = stage(budget(1));
    const refusal = refused(strict.admit({ prices: [null, price] }));
    expect(refusal.code).toBe('model_unpriced');
    for (const advice of ['p/0', '`catalog.models`', '`price: free`', '`unpriced: allow`'])
      expect(refusal.message).toContain(advice);
    expect(refusal.message).toContain('budget "b" of tenant "acme"');
    expect(strict.events).toEqual(['unpriced b tenant "acme"']);
    const lax = stage(budget(1, { unpriced: 'allow' }));
    granted(lax.admit({ prices: [null] })).settle(used(10, 10), 0, false);
    expect(lax.events).toEqual(['unpriced b tenant "acme"']);
    const observed = stage(budget(1, { mode: 'observe' }));
    const passed = granted(observed.admit({ prices: [null] }));
    expect(observed.events).toEqual(['unpriced b tenant "acme"', 'observed b tenant "acme"']);
    expect(header(passed.headers, 'x-sidegate-observed-limit')).toBe('b');
    // Where no limit counts dollars, nobody minds.
    expect(stage({ limits: [{ name: 'l', capacity: 1, ...slow }] }).says({ prices: [null] })).toBe('ok');
  });

  test('where dollars that nobody knows are allowed, those that are known are charged', () => {
    const { admit, limiter } = stage(budget(1, { unpriced: 'allow' }));
    granted(admit({ prices: [price, null] })).settle(used(10, 10), 7000, false);
    expect(limiter.view().map(({ used: usd }) => usd)).toEqual([7000e-9]);
  });

  test('a price that turns out unknown charges all that was reserved', () => {
    const { admit, says } = stage(budget(20_000e-9));
    granted(admit()).settle(used(1, 1), 0, false);
    expect([says(), says()]).toEqual(['ok', 'b']);
  });

  test('when a window ends the next begins, and earlier requests are not charged to it', () => {
    const { admit, says, time } = stage(budget(10_000e-9, { window: 'hour' }));
    const begun = granted(admit());
    expect(says()).toBe('b');
    time.nowMs += 3_600_000;
    time.wallMs += 3_600_000;
    expect(says()).toBe('ok');
    begun.settle(used(0, 10), 10_000);
    expect(says()).toBe('b');
  });
});

describe('tokens of one kind', () => {
  test.each([
    ['inputTokens', 20, 0],
    ['outputTokens', 0, 20],
  ] as const)('%s', (unit, input, output) => {
    const { admit } = stage({ limits: [{ name: 'l', unit, capacity: 30, ...slow }] });
    granted(admit()).settle(used(20, 20), 0);
    const left = Number(header(granted(admit()).headers, 'x-ratelimit-remaining-tokens'));
    expect(left).toBe(30 - input - output - (unit === 'outputTokens' ? 10 : 1));
  });

  test('headers that OpenAI’s clients know, for the limit closest to exhaustion', () => {
    const { admit } = stage({
      limits: [
        { name: 'wide', unit: 'tokens', capacity: 1000, refillPerSecond: 1 },
        { name: 'narrow', unit: 'tokens', unitSize: 2, capacity: 50, refillPerSecond: 2 },
        { name: 'requests', capacity: 1000, ...slow },
      ],
    });
    expect(granted(admit({ request: { maxTokens: 20 } })).headers).toEqual([
      'ratelimit-policy',
      '"narrow";q=50;w=25',
      'ratelimit',
      '"narrow";r=40',
      'x-ratelimit-limit-tokens',
      '100',
      'x-ratelimit-remaining-tokens',
      '80',
      'x-ratelimit-reset-tokens',
      '5s',
    ]);
  });
});

describe('soft limits', () => {
  test('report each crossing once, by event and header, and again after falling below', () => {
    const { admit, events, time } = stage({ limits: [{ name: 'l', capacity: 10, refillPerSecond: 1 }] });
    const soft = (): (string | undefined)[] =>
      [1, 2, 3, 4, 5].map(() => header(granted(admit()).headers, 'x-sidegate-soft-limit'));
    expect(soft()).toEqual([undefined, undefined, undefined, undefined, undefined]);
    expect(soft()).toEqual([undefined, undefined, 'l', undefined, undefined]);
    expect(events).toEqual(['soft l tenant "acme"']);
    time.nowMs += 5_000;
    expect(soft()).toEqual([undefined, undefined, 'l', undefined, undefined]);
    expect(events).toHaveLength(2);
  });

  test('a crossing by a settlement is reported at once, and to the next client', () => {
    const { admit, events } = stage({
      limits: [{ name: 'l', unit: 'outputTokens', capacity: 100, softShare: 0.5, ...slow }],
    });
    const permit = granted(admit({ request: { maxTokens: 60 } }));
    expect(events).toEqual([]);
    permit.settle(used(0, 50), 0);
    expect(events).toEqual(['soft l tenant "acme"']);
    expect(header(granted(admit()).headers, 'x-sidegate-soft-limit')).toBe('l');
    expect(header(granted(admit()).headers, 'x-sidegate-soft-limit')).toBeUndefined();
  });
});

describe('streams that exceed their reservation', () => {
  const ending = (onHardEnd: 'finish' | 'stop') => ({
    limits: [{ name: 'l', unit: 'outputTokens' as const, capacity: 600, onHardEnd, ...slow }],
  });

  test('stop when no more can be reserved, if the limit is set to', () => {
    const { admit } = stage(ending('stop'));
    const permit = granted(admit({ request: { maxTokens: 100, stream: true } }));
    expect([permit.stream(1), permit.stream(100), permit.stream(101), permit.stream(356)]).toEqual(
      Array(4).fill('go'),
    );
    // 356 of 600 are reserved: there is no room for another 256.
    expect(permit.stream(357)).toBe('stop');
    permit.settle(used(0, 357), 0);
    expect(header(granted(admit()).headers, 'x-ratelimit-remaining-tokens')).toBe(String(600 - 357 - 10));
  });

  test('report a crossed soft limit with the next reply', () => {
    const { admit, events } = stage({
      limits: [
        { name: 'l', unit: 'outputTokens', capacity: 2000, softShare: 0.3, onHardEnd: 'stop', ...slow },
      ],
    });
    const [first, second] = [1, 2].map(() => granted(admit({ request: { maxTokens: 100, stream: true } })));
    first?.settle(used(0, 1000), 0);
    expect(second?.stream(300)).toBe('go');
    expect(events).toEqual(['soft l tenant "acme"']);
    const said = [1, 2].map(() => header(granted(admit()).headers, 'x-sidegate-soft-limit'));
    expect(said).toEqual(['l', undefined]);
  });

  test('otherwise finish, with a debt', () => {
    const { admit, says } = stage(ending('finish'));
    const permit = granted(admit({ request: { maxTokens: 100, stream: true } }));
    expect(permit.stream(100_000)).toBe('go');
    permit.settle(used(0, 100_000), 0);
    expect(says()).toBe('l');
  });

  test('go on to belong to the window they began in', () => {
    const { admit, time, limiter } = stage({
      budgets: [{ name: 'b', usd: 300_000e-9, window: 'day', onHardEnd: 'stop' }],
    });
    const permit = granted(admit());
    time.nowMs += 86_400_000;
    time.wallMs += 86_400_000;
    granted(admit()).settle(used(0, 100), 100_000);
    expect(permit.stream(1000)).toBe('go');
    permit.settle(used(0, 1000), 1_000_000);
    expect(limiter.view().map(({ used: usd }) => usd)).toEqual([100_000e-9]);
  });

  test('with a dollar budget', () => {
    const { admit } = stage({
      budgets: [{ name: 'b', usd: 300_000e-9, window: 'day', onHardEnd: 'stop' }],
    });
    const permit = granted(admit());
    expect([permit.stream(266), permit.stream(267)]).toEqual(['go', 'stop']);
  });
});
