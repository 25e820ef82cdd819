/** Which limits apply to whom, what they report, and what happens when they are used up. */
import { afterEach, describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import type { Price } from '../../src/catalog/facts.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Identity } from '../../src/exchange/identity.ts';
import { type Ask, granted, header, refused, slow, stage, used } from '../support/limit-stage.ts';
import type { ConfigInput } from '../support/sidecar.ts';

describe('per: one meter for each', () => {
  const one = (per: readonly string[]) =>
    ({ limits: [{ name: 'l', capacity: 1, per, ...slow }] }) as ConfigInput;

  test.each<[string, readonly string[], Ask, Ask, Ask]>([
    ['all', [], {}, {}, { identity: { tenant: 'never' } }],
    [
      'tenant',
      ['tenant'],
      { identity: { tenant: 'a' } },
      { identity: { tenant: 'a' } },
      { identity: { tenant: 'b' } },
    ],
    [
      'key',
      ['key'],
      { identity: { keyId: 'a' } },
      { identity: { keyId: 'a' } },
      { identity: { keyId: 'b' } },
    ],
    [
      'team',
      ['team'],
      { identity: { team: 'a' } },
      { identity: { team: 'a' } },
      { identity: { team: null } },
    ],
    [
      'user',
      ['user'],
      { identity: { user: null } },
      { identity: { user: null } },
      { identity: { user: 'b' } },
    ],
    ['route', ['route'], { route: 'a' }, { route: 'a' }, { route: 'b' }],
    [
      'tenant and user',
      ['tenant', 'user'],
      { identity: { tenant: 'a', user: 'u' } },
      { identity: { tenant: 'a', user: 'u' } },
      { identity: { tenant: 'b', user: 'u' } },
    ],
    [
      'tag',
      ['tag'],
      { identity: { tags: ['x', 'y'] } },
      { identity: { tags: ['z', 'y'] } },
      { identity: { tags: ['z', 'z'] } },
    ],
  ])('%s', (name, per, first, same, other) => {
    const { says } = stage(one(per));
    expect([says(first), says(same), says(other)]).toEqual(['ok', 'l', name === 'all' ? 'l' : 'ok']);
  });

  test('a value that looks like two is neither of them, and a missing one differs from an empty one', () => {
    const { says } = stage(one(['team', 'user']));
    const people: Partial<Identity>[] = [
      { team: 'a', user: 'b' },
      { team: 'a=b', user: null },
      { team: null, user: 'a=b' },
      { team: '', user: null },
      { team: null, user: null },
    ];
    expect(people.map((identity) => says({ identity }))).toEqual(people.map(() => 'ok'));
  });

  test('the refusal says whose it is', () => {
    const { admit } = stage(one(['tenant', 'user', 'team']));
    admit({ identity: { user: 'ann' } });
    expect(refused(admit({ identity: { user: 'ann' } })).message).toContain(
      'limit "l" of tenant "acme", user "ann", no team (1, refilled at 0.001/s)',
    );
  });
});

describe('match: which requests a limit is for', () => {
  const matching = (match: object, more: object = {}): ConfigInput =>
    ({ limits: [{ name: 'l', capacity: 1, per: [], match, ...slow, ...more }] }) as ConfigInput;
  /** Two like this: the second is refused where the limit is about them. */
  const isAbout = (config: ConfigInput, ask: Ask): boolean => {
    const { says } = stage(config);
    says(ask);
    return says(ask) === 'l';
  };

  test.each<[object, Ask, boolean]>([
    [{ tenant: 'acme' }, {}, true],
    [{ tenant: 'acm' }, {}, false],
    [{ tenant: 'ac*' }, {}, true],
    [{ tenant: ['x', 'acme'] }, {}, true],
    [{ user: '*' }, {}, false],
    [{ user: '*' }, { identity: { user: 'u' } }, true],
    [{ team: 'core', tenant: 'acme' }, { identity: { team: 'core' } }, true],
    [{ team: 'core', tenant: 'beta' }, { identity: { team: 'core' } }, false],
    [{ key: 'k1' }, { identity: { keyId: 'k1' } }, true],
    [{ tag: 'night' }, { identity: { tags: ['a', 'night'] } }, true],
    [{ tag: 'night' }, { identity: { tags: [] } }, false],
    [{ route: 'gpt-*' }, { route: 'gpt-*' }, true],
    [{ model: 'gpt-4*' }, { request: { model: 'gpt-4o' } }, true],
    [{ model: 'gpt-4*' }, { request: { model: 'gpt-3' } }, false],
  ])('%j and %j: %s', (match, ask, expected) => {
    expect(isAbout(matching(match), ask)).toBe(expected);
  });

  test.each<['streaming' | 'plain' | 'batch', boolean[]]>([
    ['streaming', [true, false, false]],
    ['plain', [false, true, false]],
    ['batch', [false, false, true]],
  ])('traffic: %s', (traffic, expected) => {
    const asks: Ask[] = [{ request: { stream: true } }, {}, { batch: true, request: { stream: true } }];
    expect(asks.map((ask) => isAbout(matching({}, { traffic }), ask))).toEqual(expected);
  });

  test('one caller asks for many models', () => {
    const { says } = stage(matching({ model: 'a*' }));
    const models = ['a', 'b', 'a2', 'b', 'a'];
    expect(models.map((model) => says({ request: { model } }))).toEqual(['ok', 'ok', 'l', 'ok', 'l']);
  });
});

describe('limits of a key', () => {
  test('apply to that key only, in addition to the others', () => {
    const limits = [{ name: 'own', capacity: 2, ...slow }];
    const config = configSchema.parse({
      authenticate: { keys: [{ id: 'k', sha256: 'a'.repeat(64), tenant: 'acme', limits }] },
    });
    const own = config.authenticate.keys[0]?.limits ?? [];
    const { says, limiter } = stage({ limits: [{ name: 'all', capacity: 3, per: [], ...slow }] });
    const [mine, other] = [
      { identity: { keyId: 'k', limits: own } },
      { identity: { keyId: 'j', limits: own } },
    ];
    expect([says(mine), says(mine), says(mine), says(other), says(other)]).toEqual([
      'ok',
      'ok',
      'own',
      'ok',
      'all',
    ]);
    limiter.update(configSchema.parse({}));
    expect(says(mine)).toBe('own');
    limiter.update(configSchema.parse({ mode: 'observe' }));
    expect(says(mine)).toBe('ok');
  });
});

describe('dollars', () => {
  const budget = (usd: number, more: object = {}): ConfigInput =>
    ({ budgets: [{ name: 'b', usd, window: 'day', ...more }] }) as ConfigInput;
  const request = { maxTokens: 10 };

  test('the price of the most expensive target is reserved, and the actual cost is charged', () => {
    const { admit } = stage(budget(30_000e-9));
    const cheap = { ...price, output: 1 };
    const ask = { request, prices: [cheap, price, cheap] };
    const permits = [granted(admit(ask)), granted(admit(ask)), granted(admit(ask))];
    const held = refused(admit(ask));
    expect(held.message).toContain('budget "b" of tenant "acme" ($0.00003 a day)');
    expect(held.message).toMatch(/; there will be room when requests in flight end\.$/);
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
    const refusal = refused(strict.admit({ prices: [price, null] }));
    expect(refusal.code).toBe('model_unpriced');
    expect(refusal.message).toContain('budget "b" of tenant "acme"');
    expect(strict.events).toEqual(['unpriced b tenant "acme"']);
    const lax = stage(budget(1, { unpriced: 'allow' }));
    granted(lax.admit({ prices: [null] })).settle(used(10, 10), null);
    expect(lax.events).toEqual(['unpriced b tenant "acme"']);
    const observed = stage(budget(1, { mode: 'observe' }));
    granted(observed.admit({ prices: [null] }));
    expect(observed.events).toEqual(['unpriced b tenant "acme"']);
    // Where no limit counts dollars, nobody minds.
    expect(stage({ limits: [{ name: 'l', capacity: 1, ...slow }] }).says({ prices: [null] })).toBe('ok');
  });

  test('a price that turns out unknown charges all that was reserved', () => {
    const { admit, says } = stage(budget(20_000e-9));
    granted(admit()).settle(used(1, 1), null);
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

describe('observe', () => {
  const observed = { name: 'seen', capacity: 1, mode: 'observe' as const, ...slow };

  test('decides, reports, and allows', () => {
    const { admit, events } = stage({ limits: [observed] });
    expect(header(granted(admit()).headers, 'x-sidegate-observed-limit')).toBeUndefined();
    const passed = granted(admit());
    expect(header(passed.headers, 'x-sidegate-observed-limit')).toBe('seen');
    passed.settle(used(1, 1), 0);
    expect(events).toContain('observed seen tenant "acme"');
    expect(events).not.toContain('refused seen tenant "acme"');
  });

  test('the others are enforced as before', () => {
    const { says } = stage({ limits: [observed, { name: 'real', capacity: 2, ...slow }] });
    expect([says(), says(), says()]).toEqual(['ok', 'ok', 'real']);
  });

  test('the whole gateway: all or nothing, as if enforced', () => {
    const limits = [
      { name: 'one', capacity: 1, ...slow },
      { name: 'two', capacity: 2, ...slow },
    ];
    const { admit, limiter, says } = stage({ mode: 'observe', limits });
    for (let i = 0; i < 5; i++) granted(admit());
    // Enforced from now on: what would have been refused took nothing from the other either.
    limiter.update(configSchema.parse({ limits: limits.slice(1) }));
    expect([says(), says()]).toEqual(['ok', 'two']);
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

  test('with a dollar budget', () => {
    const { admit } = stage({
      budgets: [{ name: 'b', usd: 300_000e-9, window: 'day', onHardEnd: 'stop' }],
    });
    const permit = granted(admit());
    expect([permit.stream(266), permit.stream(267)]).toEqual(['go', 'stop']);
  });
});

describe('the leaky bucket', () => {
  const smooth = (capacity: number) =>
    ({ limits: [{ name: 'l', capacity, refillPerSecond: 2, algorithm: 'leaky_bucket' }] }) as ConfigInput;

  test('assigns start times, within the deadline', () => {
    const { admit, events } = stage(smooth(3));
    expect([1, 2, 3].map(() => granted(admit()).waitMs)).toEqual([0, 500, 1000]);
    expect(refused(admit()).retryAfterMs).toBe(500);
    expect(events.filter((event) => event.startsWith('delayed'))).toHaveLength(2);
    const late = stage(smooth(10));
    granted(late.admit());
    granted(late.admit());
    expect(refused(late.admit({ deadlineMs: 999 })).retryAfterMs).toBe(1);
    granted(late.admit({ deadlineMs: 1000 }));
  });
});

describe('bounds', () => {
  const perUser: ConfigInput = {
    limits: [{ name: 'l', capacity: 2, refillPerSecond: 1, per: ['user'] }],
  };
  const as = (user: number): Ask => ({ identity: { user: `u${user}` } });

  test('idle meters are closed to make room for new ones', () => {
    const { says, time, limiter, events } = stage(perUser, 100);
    for (let round = 0; round < 5; round++) {
      for (let user = 0; user < 100; user++) expect(says(as(round * 100 + user))).toBe('ok');
      expect(limiter.scopes).toBeLessThanOrEqual(100);
      time.nowMs += 2_000;
    }
    expect(events).not.toContain('overflow l');
    // Whose meter was closed gets a new one, which is as full as the old one had become.
    expect([says(as(0)), says(as(0)), says(as(0))]).toEqual(['ok', 'ok', 'l']);
  });

  test('if none is idle, new values share one meter, and known ones keep theirs', () => {
    const { says, limiter, events } = stage(perUser, 10);
    for (let user = 0; user < 10; user++) expect([says(as(user)), says(as(user))]).toEqual(['ok', 'ok']);
    expect([says(as(10)), says(as(11)), says(as(12))]).toEqual(['ok', 'ok', 'l']);
    expect(says(as(0))).toBe('l');
    expect(limiter.scopes).toBe(11);
    expect(events).toContain('overflow l');
  });
});

describe('a change of the configuration', () => {
  test('keeps the level where a limit counts as before, and starts anew where it doesn’t', () => {
    const limit = { name: 'l', capacity: 2, ...slow };
    const { says, limiter } = stage({ limits: [limit] });
    expect([says(), says(), says()]).toEqual(['ok', 'ok', 'l']);
    limiter.update(configSchema.parse({ limits: [{ ...limit, softShare: 0.5, match: { tenant: 'ac*' } }] }));
    expect(says()).toBe('l');
    limiter.update(configSchema.parse({ limits: [{ ...limit, per: ['user'] }] }));
    expect(says()).toBe('ok');
    limiter.update(configSchema.parse({ limits: [{ ...limit, per: ['user'], unitSize: 2 }] }));
    expect([says(), says(), says()]).toEqual(['ok', 'ok', 'l']);
    expect(limiter.scopes).toBe(1);
  });

  test('a removed budget continues where it was if it is added again within its window', () => {
    const budget = { name: 'b', usd: 30_000e-9, window: 'hour' };
    const [without, within] = [configSchema.parse({}), configSchema.parse({ budgets: [budget] })];
    const { admit, says, limiter, time } = stage({ budgets: [budget] } as ConfigInput);
    granted(admit()).settle(used(0, 15), 15_000);
    const begun = granted(admit());
    limiter.update(without);
    const row = { budget: 'b', place: '=acme', window: time.wallMs, nanoUsd: 25_000 };
    expect([limiter.scopes, limiter.changed(1), limiter.changed(1)]).toEqual([0, [row], []]);
    expect(says()).toBe('ok');
    // What was at work counts as its reserve from then on.
    begun.settle(used(0, 1), 1_000);
    limiter.update(within);
    expect(says()).toBe('b');
    granted(admit({ request: { maxTokens: 5 } })).settle(used(0, 5), 5_000);
    expect(limiter.changed(10)).toEqual([{ ...row, nanoUsd: 30_000 }]);
    limiter.update(without);
    limiter.update(within);
    expect(says({ request: { maxTokens: 1 } })).toBe('b');
    limiter.update(without);
    time.nowMs += 3_600_000;
    time.wallMs += 3_600_000;
    limiter.update(within);
    expect([says(), says(), says(), says()]).toEqual(['ok', 'ok', 'ok', 'b']);
  });

  test('requests in flight during it are settled if their meter was kept', () => {
    const limit = { name: 'l', unit: 'concurrency' as const, capacity: 1 };
    const { admit, says, limiter } = stage({ limits: [limit] });
    const [kept, gone] = [granted(admit()), 'l'];
    limiter.update(configSchema.parse({ limits: [{ ...limit, softShare: 0.5 }] }));
    expect(says()).toBe(gone);
    kept.settle(used(0, 0), 0);
    const over = granted(admit());
    limiter.update(configSchema.parse({ limits: [] }));
    over.settle(used(0, 0), 0);
    limiter.update(configSchema.parse({ limits: [limit] }));
    expect([says(), says()]).toEqual(['ok', 'l']);
  });
});

test('concurrency is released when the request ends, even before it is settled', () => {
  const { admit, says } = stage({ limits: [{ name: 'l', unit: 'concurrency', capacity: 1 }] });
  const permit = granted(admit());
  expect(refused(admit()).message).toContain('there will be room when another request ends');
  permit.release();
  permit.release();
  const second = granted(admit());
  permit.settle(used(0, 0), 0);
  expect(says()).toBe('l');
  second.settle(used(0, 0), 0);
  second.settle(used(0, 0), 0);
  expect([says(), says()]).toEqual(['ok', 'l']);
});

describe('on sockets', () => {
  let gate: Gate;
  afterEach(() => gate.stop());
  const wire = openaiWire;
  /** Asks for the metrics until they say so. */
  const metricsWith = async (text: string): Promise<void> => {
    while (!(await gate.sidecar.metrics()).includes(text));
  };

  test('a delayed request waits its turn, and is refunded if its client leaves', async () => {
    gate = await startGate([answers(wire, 'fine')], {
      cache: { enabled: false },
      limits: [{ name: 'l', capacity: 3, refillPerSecond: 20, algorithm: 'leaky_bucket' }],
    });
    const beganMs = performance.now();
    const replies = await Promise.all([1, 2, 3].map(() => gate.ask(wire, 'hi')));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(95);
    expect(await gate.sidecar.metrics()).toContain(
      'sidegate_limit_events_total{limit="l",event="delayed"} 2',
    );
  });

  test('a request that is drained or cancelled while it waits never reaches the provider', async () => {
    gate = await startGate([answers(wire, 'fine')], {
      cache: { enabled: false },
      limits: [{ name: 'l', capacity: 3, refillPerSecond: 0.01, algorithm: 'leaky_bucket' }],
    });
    expect((await gate.ask(wire, 'hi')).status).toBe(200);
    const leaving = new AbortController();
    const left = fetch(gate.sidecar.url + wire.path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(wire.request('hi')),
      signal: leaving.signal,
    }).catch(() => null);
    await metricsWith('event="delayed"} 1');
    leaving.abort();
    await left;
    expect((await gate.sidecar.recordWhere(({ abandoned }) => abandoned)).attempts).toBe(0);
    const waiting = gate.ask(wire, 'hi');
    await metricsWith('event="delayed"} 2');
    await gate.sidecar.stop();
    gate = { ...gate, stop: gate.upstream.close };
    expect((await waiting).status).toBe(503);
    expect(gate.upstream.calls).toHaveLength(1);
  });

  test('reports of limits are in the log and the metrics, without any content of the request', async () => {
    gate = await startGate([answers(wire, 'fine')], {
      cache: { enabled: false },
      limits: [{ name: 'l', capacity: 1, refillPerSecond: 0.001, mode: 'observe' }],
    });
    for (const _ of [1, 2, 3]) expect((await gate.ask(wire, 'secret words')).status).toBe(200);
    const lines = gate.sidecar
      .logText()
      .split('\n')
      .filter((line) => line.includes('"limit":"l"'));
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['soft', 'observed']);
    expect(JSON.parse(lines[1] ?? '').scope).toBe('tenant "test"');
    expect(gate.sidecar.logText()).not.toContain('secret');
    expect(await gate.sidecar.metrics()).toContain('{limit="l",event="observed"} 2');
  });
});
