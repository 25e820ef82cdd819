/** Which limits apply to which requests, what they observe, and what they keep when bounds or settings change. */
import { describe, expect, test } from 'vitest';
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

  test('is seen at once, before a request comes', () => {
    const config = (capacity: number, usd: number, mode: 'enforce' | 'observe') => ({
      limits: [{ name: 'l', capacity, mode, ...slow }],
      budgets: [{ name: 'b', usd, window: 'month' as const, mode }],
    });
    const { admit, limiter } = stage(config(10, 100, 'enforce'));
    granted(admit()).settle(used(0, 0), 25e9);
    limiter.update(configSchema.parse(config(20, 500, 'observe')));
    expect(limiter.view()).toMatchObject([
      { limit: 'l', capacity: 20, left: 9, observed: true },
      { limit: 'b', capacity: 500, used: 25, left: 475, observed: true },
    ]);
    expect(limiter.budgets()).toMatchObject([{ limitUsd: 500, spentUsd: 25 }]);
    limiter.update(configSchema.parse(config(5, 20, 'enforce')));
    expect(limiter.view()).toMatchObject([
      { capacity: 5, left: 5 },
      { capacity: 20, used: 25, left: 0 },
    ]);
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

  test('a budget goes on when pods begin or cease to share it, and begins anew with other windows or values', () => {
    const budget = { name: 'b', usd: 30_000e-9, window: 'hour' as const };
    const sync = { redis: 'redis://127.0.0.1:1' };
    const { admit, says, limiter } = stage({ budgets: [budget] });
    granted(admit()).settle(used(0, 25), 25_000);
    const steps: [ConfigInput, string][] = [
      [{ budgets: [budget], sync }, 'b'],
      [{ budgets: [{ ...budget, scope: 'pod' }], sync }, 'b'],
      [{ budgets: [budget] }, 'b'],
      [{ budgets: [{ ...budget, window: 'day' }] }, 'ok'],
      [{ budgets: [{ ...budget, per: ['team'] }] }, 'ok'],
    ];
    for (const [config, said] of steps) {
      limiter.update(configSchema.parse(config));
      expect([config, says()]).toEqual([config, said]);
    }
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
