/** What `sidegate check` says of limits and budgets that can't be kept, or can't let anything pass. */
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type ConfigResult, parseConfig } from '../../src/config/load.ts';

const base = {
  authenticate: { keys: [{ id: 'web', sha256: 'ab'.repeat(32), tenant: 'acme' }] },
  providers: { sim: { preset: 'simulator', price: 'free' } },
  routes: [{ model: 'sim-*', targets: [{ provider: 'sim' }] }],
  store: { path: '/tmp/store.db' },
  sync: { redis: 'redis://redis.internal' },
};
const load = (more: object): ConfigResult =>
  parseConfig(stringify({ ...base, ...more }), {}, () => {
    throw new Error('no file');
  });
const faultsOf = (more: object): string[] => {
  const result = load(more);
  return result.ok ? [] : result.faults.map(({ path, message }) => `${path}: ${message}`);
};
const warningsOf = (more: object): string[] =>
  load(more).warnings.map(({ path, message }) => `${path}: ${message}`);

const limit = { name: 'l', capacity: 10, refillPerSecond: 1 };
const budget = { name: 'b', usd: 10, window: 'day' };

describe('a limit that is refused', () => {
  test.each<[string, object, RegExp]>([
    ['no capacity', { capacity: undefined }, /^limits\[0\]\.capacity: is missing/],
    ['a capacity of 0', { capacity: 0 }, /^limits\[0\]\.capacity: must be more than 0/],
    ['a negative capacity', { capacity: -5 }, /^limits\[0\]\.capacity: must be more than 0/],
    ['a rate of 0', { refillPerSecond: 0 }, /^limits\[0\]\.refillPerSecond: must be more than 0/],
    ['a negative rate', { refillPerSecond: -1 }, /^limits\[0\]\.refillPerSecond: must be more than 0/],
    ['a capacity below one', { capacity: 0.5 }, /^limits\[0\]\.capacity: no request could ever pass/],
    [
      'no rate',
      { refillPerSecond: undefined },
      /^limits\[0\]: needs `refillPerSecond` for `algorithm: token_bucket`/,
    ],
    [
      'a leaky bucket without a rate',
      { refillPerSecond: undefined, algorithm: 'leaky_bucket' },
      /^limits\[0\]: needs `refillPerSecond` for `algorithm: leaky_bucket`/,
    ],
    [
      'a sliding window without a length',
      { refillPerSecond: undefined, algorithm: 'sliding_window' },
      /^limits\[0\]: needs `windowSeconds`/,
    ],
    [
      'a window of 0 seconds',
      { refillPerSecond: undefined, algorithm: 'sliding_window', windowSeconds: 0 },
      /^limits\[0\]\.windowSeconds: must be at least 1/,
    ],
    [
      'a sliding window with a rate',
      { algorithm: 'sliding_window', windowSeconds: 60 },
      /^limits\[0\]\.refillPerSecond: has no meaning for `algorithm: sliding_window`/,
    ],
    ['a bucket with a window', { windowSeconds: 60 }, /^limits\[0\]\.windowSeconds: has no meaning/],
    [
      'concurrency with a rate',
      { unit: 'concurrency' },
      /^limits\[0\]\.refillPerSecond: has no meaning for `unit: concurrency`/,
    ],
    [
      'concurrency by an algorithm',
      { unit: 'concurrency', refillPerSecond: undefined, algorithm: 'token_bucket' },
      /^limits\[0\]\.algorithm: has no meaning/,
    ],
    ['dollars by the piece', { unit: 'usd', unitSize: 5 }, /^limits\[0\]\.unitSize: has no meaning/],
    [
      'prices where none are counted',
      { unpriced: 'allow' },
      /^limits\[0\]\.unpriced: applies to `unit: usd` only/,
    ],
    [
      'an unknown unit',
      { unit: 'token' },
      /^limits\[0\]\.unit: "token" is not one of .*did you mean "tokens"/,
    ],
    ['an unknown algorithm', { algorithm: 'leaky' }, /^limits\[0\]\.algorithm: "leaky" is not one of/],
    [
      'an unknown scope',
      { per: ['tenants'] },
      /^limits\[0\]\.per\[0\]: "tenants" is not one of .*did you mean "tenant"/,
    ],
    [
      'a scope twice',
      { per: ['user', 'user'] },
      /^limits\[0\]\.per\[1\]: duplicate of the value at limits\[0\]\.per\[0\]/,
    ],
    [
      'a star in the middle',
      { match: { user: 'a*b' } },
      /^limits\[0\]\.match\.user: may contain \* only at its end/,
    ],
    ['a list with a number', { match: { user: ['a', 5] } }, /^limits\[0\]\.match\.user\[1\]: must be text/],
    ['an unknown match', { match: { usr: 'a' } }, /^limits\[0\]\.match\.usr: .*did you mean "user"/],
    ['a share above one', { softShare: 1.5 }, /^limits\[0\]\.softShare: must be at most 1/],
    ['a share of nothing', { softShare: 0 }, /^limits\[0\]\.softShare: must be more than 0/],
  ])('%s', (_, change, fault) => {
    expect(faultsOf({ limits: [{ ...limit, ...change }] })).toEqual([expect.stringMatching(fault)]);
  });

  test('one of a key, with its path', () => {
    const keys = [{ ...base.authenticate.keys[0], limits: [limit, { ...limit, windowSeconds: 5 }] }];
    expect(faultsOf({ authenticate: { keys } })).toEqual([
      expect.stringMatching(/^authenticate\.keys\[0\]\.limits\[1\]\.name: duplicate of the name at/),
      expect.stringMatching(/^authenticate\.keys\[0\]\.limits\[1\]\.windowSeconds: has no meaning/),
    ]);
  });
});

describe('a budget that is refused', () => {
  test.each<[string, object, RegExp]>([
    ['nothing to spend', { usd: 0 }, /^budgets\[0\]\.usd: must be more than 0/],
    ['less than nothing', { usd: -1 }, /^budgets\[0\]\.usd: must be more than 0/],
    ['no window', { window: undefined }, /^budgets\[0\]\.window: is missing: it must be one of hour, day/],
    [
      'an unknown window',
      { window: 'year' },
      /^budgets\[0\]\.window: "year" is not one of hour, day, week, month/,
    ],
    [
      'an unknown time zone',
      { timeZone: 'Europe/Berlim' },
      /^budgets\[0\]\.timeZone: there is no time zone "Europe\/Berlim"; did you mean "Europe\/Berlin"\?/,
    ],
    ['a time zone of nowhere', { timeZone: 'Nowhere' }, /^budgets\[0\]\.timeZone: .*use an IANA name/],
    ['an empty time zone', { timeZone: '' }, /^budgets\[0\]\.timeZone: /],
  ])('%s', (_, change, fault) => {
    expect(faultsOf({ budgets: [{ ...budget, ...change }] })).toEqual([expect.stringMatching(fault)]);
  });

  test('one with the name of a limit', () => {
    expect(faultsOf({ limits: [limit], budgets: [{ ...budget, name: 'l' }] })).toEqual([
      'budgets[0].name: duplicate of the name at limits[0].name',
    ]);
  });
});

describe('limits that contradict each other', () => {
  const named = (...changes: object[]): object[] =>
    changes.map((change, i) => ({ ...limit, name: `l${i}`, ...change }));
  const budgetsOf = (...changes: object[]): object[] =>
    changes.map((change, i) => ({ ...budget, name: `b${i}`, ...change }));

  test.each<[string, object, string[]]>([
    ['wider in all', { limits: named({}, { capacity: 20, refillPerSecond: 2 }) }, ['limits[1]']],
    ['wider in all, and before', { limits: named({ capacity: 20, refillPerSecond: 2 }, {}) }, ['limits[0]']],
    ['the same', { limits: named({}, {}) }, ['limits[1]']],
    ['a burst and a rate', { limits: named({}, { capacity: 100, refillPerSecond: 0.1 }) }, []],
    ['other units', { limits: named({}, { unit: 'tokens', capacity: 20 }) }, []],
    ['for others', { limits: named({}, { match: { tenant: 'acme' }, capacity: 20 }) }, []],
    ['only observed', { limits: named({}, { mode: 'observe', capacity: 20 }) }, []],
    ['of all pods, beside each pod', { limits: named({ scope: 'pod' }, { capacity: 20 }) }, []],
    ['of each pod, beside all', { limits: named({}, { scope: 'pod', capacity: 20 }) }, ['limits[1]']],
    [
      'of each pod, without Redis',
      { sync: {}, limits: named({ scope: 'pod' }, { capacity: 20 }) },
      ['limits[1]'],
    ],
    [
      'wider, but it ends streams',
      { limits: named({ unit: 'tokens' }, { unit: 'tokens', capacity: 20, onHardEnd: 'stop' }) },
      [],
    ],
    [
      'wider, beside one that ends streams',
      { limits: named({ unit: 'tokens', onHardEnd: 'stop' }, { unit: 'tokens', capacity: 20 }) },
      ['limits[1]'],
    ],
    ['dollars of all pods, beside each pod', { budgets: budgetsOf({ scope: 'pod' }, { usd: 20 }) }, []],
    [
      'wider, but it refuses what has no price',
      { budgets: budgetsOf({ unpriced: 'allow' }, { usd: 20 }) },
      [],
    ],
    [
      'more in a shorter window',
      {
        limits: named(
          ...[60, 3600].map((windowSeconds) => ({
            algorithm: 'sliding_window',
            refillPerSecond: undefined,
            windowSeconds,
          })),
        ),
      },
      ['limits[0]'],
    ],
    [
      'a day for more than its month',
      { budgets: budgetsOf({ usd: 100 }, { usd: 50, window: 'month' }) },
      ['budgets[0]'],
    ],
    ['a day for less than its month', { budgets: budgetsOf({}, { usd: 50, window: 'month' }) }, []],
    ['a week and a month', { budgets: budgetsOf({ window: 'week' }, { window: 'month' }) }, []],
    [
      'an hour for more than its day and week',
      { budgets: budgetsOf({ window: 'hour' }, {}, { window: 'week', usd: 30 }) },
      ['budgets[0]'],
    ],
  ])('%s', (_, more, paths) => {
    const faults = faultsOf(more);
    expect(faults.map((fault) => fault.split(': ')[0])).toEqual(paths);
    for (const fault of faults)
      expect(fault).toMatch(/has no effect: (limits|budgets)\[\d\] is at least as strict/);
  });
});

describe('sharing', () => {
  const alone = { sync: {} };
  test.each<[string, object, RegExp[]]>([
    ['limits without Redis', { ...alone, limits: [limit] }, [/^limits: count in each pod by itself/]],
    ['limits that are meant so', { ...alone, limits: [{ ...limit, scope: 'pod' }] }, []],
    ['a budget without Redis', { ...alone, budgets: [budget] }, [/^budgets: count in each pod by itself/]],
    [
      'a limit too small to slice',
      { sync: { redis: 'redis://r', podsExpected: 8 }, limits: [{ ...limit, capacity: 30 }] },
      [/capacity: is too small to slice for 8 pods/],
    ],
    [
      'a window shorter than a lease',
      { limits: [{ name: 'w', capacity: 10, algorithm: 'sliding_window', windowSeconds: 2 }] },
      [/windowSeconds: is no longer than a lease/],
    ],
    [
      'a window shorter than a lease of a cluster with many slots',
      {
        sync: { redis: 'redis://r', mode: 'cluster', shards: 4 },
        limits: [{ name: 'w', capacity: 10, algorithm: 'sliding_window', windowSeconds: 9 }],
      },
      [/windowSeconds: is no longer than a lease \(10 s\)/],
    ],
    [
      'less than one reserve',
      { limits: [{ ...limit, unit: 'tokens', capacity: 1000 }] },
      [/capacity: is less than one request may reserve/],
    ],
  ])('%s', (_, more, warnings) => {
    expect(warningsOf(more)).toEqual(warnings.map((text) => expect.stringMatching(text)));
  });

  test('a shared limit needs Redis', () => {
    expect(faultsOf({ ...alone, limits: [{ ...limit, scope: 'shared' }] })).toEqual([
      expect.stringMatching(/scope: `shared` needs `sync.redis`/),
    ]);
  });
});

describe('a warning', () => {
  test.each<[string, object, RegExp]>([
    [
      'an unknown key',
      { limits: [{ ...limit, match: { key: 'wep' } }], store: {} },
      /match\.key: there is no key "wep"; did you mean "web"/,
    ],
    [
      'an unknown tenant in a list',
      { limits: [{ ...limit, match: { tenant: ['acme', 'acne'] } }], store: {} },
      /match\.tenant\[1\]: no key belongs to the tenant "acne"; did you mean "acme"/,
    ],
    [
      'an unknown route',
      { limits: [{ ...limit, match: { route: 'sim-1' } }] },
      /match\.route: there is no route for the model "sim-1"/,
    ],
    [
      'a budget in memory only',
      { budgets: [budget], store: {} },
      /^budgets: without `store\.path`, a restart resets/,
    ],
  ])('%s', (_, more, warning) => {
    expect(faultsOf(more)).toEqual([]);
    expect(warningsOf(more)).toEqual([expect.stringMatching(warning)]);
  });

  test('none for known names and patterns', () => {
    const match = { tenant: 'ac*', key: 'web', route: 'sim-*', user: 'anybody', tag: 'any', team: '*' };
    expect(warningsOf({ limits: [{ ...limit, match }], budgets: [budget] })).toEqual([]);
  });
});

describe('a limit in dollars', () => {
  const own = { dialect: 'openai', baseUrl: 'http://127.0.0.1:8000/v1' };
  const on = (more: object, provider: object = own) => ({
    providers: { own: provider, openai: { preset: 'openai', apiKey: 'k' } },
    routes: [
      { model: 'gpt-4o', targets: [{ provider: 'openai' }, { provider: 'own', model: 'llama' }] },
      { model: '*', targets: [{ provider: 'own' }] },
    ],
    budgets: [budget],
    ...more,
  });
  const unpriced = (more: object): string[] =>
    warningsOf(more).filter((each) => each.includes('no known price'));

  test('warns of targets without a price, and says what to do', () => {
    expect(unpriced(on({}))).toEqual([
      expect.stringMatching(
        /^routes\[0\]\.targets\[1\]: own\/llama has no known price, so the budget "b" refuses it: say which model it `serves`.*, state one in `catalog\.models`, set `price: free`.*`unpriced: allow`/,
      ),
      expect.stringMatching(/^routes\[1\]\.targets\[0\]: own\/\* has no known price/),
    ]);
    const limits = [{ ...limit, unit: 'usd', match: { route: 'gpt-4o' } }];
    expect(unpriced(on({ budgets: [], limits }))).toEqual([
      expect.stringMatching(/^routes\[0\]\.targets\[1\]: own\/llama .*the limit "l"/),
    ]);
  });

  /** A route to the engine, which is also asked by way of another one. */
  function nested(match: object): object {
    const routes = [
      { model: 'llama', targets: [{ provider: 'own' }] },
      { model: 'auto-*', targets: [{ route: 'llama' }] },
    ];
    return on({ routes, budgets: [{ ...budget, match }] });
  }

  test.each([{ model: 'llama' }, { model: 'auto-1' }, { model: 'a*' }, { route: 'auto-*' }])(
    'warns where a request that counts for it may come to the target: %j',
    (match) => {
      expect(unpriced(nested(match))).toEqual([
        expect.stringMatching(/^routes\[0\]\.targets\[0\]: own\/llama/),
      ]);
    },
  );

  test.each<[string, object]>([
    ['a free engine', on({}, { ...own, price: 'free' })],
    ['a budget that lets it pass', on({ budgets: [{ ...budget, unpriced: 'allow' }] })],
    ['no limit that counts dollars', on({ budgets: [], limits: [limit] })],
    ['prices', on({ catalog: { models: [{ model: '*', inputUsdPerMTok: 1, outputUsdPerMTok: 1 }] } })],
    ['a budget for other models', nested({ model: 'gpt-*' })],
  ])('does not where there is %s', (_, config) => {
    expect(unpriced(config)).toEqual([]);
  });
});
