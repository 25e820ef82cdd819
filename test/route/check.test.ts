/** Routes that lead nowhere, in a circle, or to targets that can't serve them: rejected, each with its path. */
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { stepsMax } from '../../src/upstream/target.ts';
import { cpuMs } from '../support/time.ts';

const base = {
  authenticate: { anonymousTenant: 'a' },
  providers: {
    p: { dialect: 'openai', baseUrl: 'http://127.0.0.1:9/v1' },
    q: { dialect: 'openai', baseUrl: 'http://127.0.0.1:10/v1' },
  },
};

/** Paths and messages of the faults and warnings of routes. */
function check(...routes: object[]): { faults: [string, string][]; warnings: [string, string][] } {
  const result = parseConfig(stringify({ ...base, routes }), {}, () => '');
  const pairs = (found: typeof result.warnings) =>
    found.map(({ path, message }): [string, string] => [path, message]);
  return { faults: result.ok ? [] : pairs(result.faults), warnings: pairs(result.warnings) };
}

const p = (model: string, more: object = {}) => ({ provider: 'p', model, ...more });
const q = (model: string, more: object = {}) => ({ provider: 'q', model, ...more });
const good = { model: 'good', targets: [p('x'), q('y')] };

describe('faults', () => {
  const pool = { model: 'pool', strategy: 'weighted', targets: [p('x'), q('y')] };
  test.each<[string, object[], string, RegExp]>([
    [
      'a circle of two',
      [
        { model: 'a', targets: [p('x'), { route: 'b' }] },
        { model: 'b', targets: [{ route: 'a' }] },
      ],
      'routes[1].targets[0].route',
      /circle: "a" → "b" → "a"/,
    ],
    [
      'a route in itself',
      [{ model: 'a*', targets: [{ route: 'abc' }] }],
      'routes[0].targets[0].route',
      /circle/,
    ],
    [
      'no such route',
      [{ model: 'a', targets: [{ route: 'goood' }] }, good],
      'routes[0].targets[0].route',
      /did you mean|no route/,
    ],
    [
      'no such provider',
      [{ model: 'a', targets: [{ provider: 'z' }] }],
      'routes[0].targets[0].provider',
      /no provider/,
    ],
    [
      'both',
      [{ model: 'a', targets: [{ ...p('x'), route: 'good' }] }, good],
      'routes[0].targets[0].route',
      /cannot be combined with `provider`/,
    ],
    ['neither', [{ model: 'a', targets: [{ model: 'x' }] }], 'routes[0].targets[0]', /needs a `provider`/],
    [
      'a model beside a route',
      [{ model: 'a', targets: [{ route: 'good', model: 'x' }] }, good],
      'routes[0].targets[0].model',
      /no effect/,
    ],
    [
      'weights of 0',
      [{ model: 'a', strategy: 'weighted', targets: [p('x', { weight: 0 }), q('y', { weight: 0 })] }],
      'routes[0].targets',
      /sum to 0/,
    ],
    [
      'a weight nobody reads',
      [{ model: 'a', targets: [p('x', { weight: 2 }), q('y')] }],
      'routes[0].targets[0].weight',
      /`weighted` only/,
    ],
    ['stickiness nobody reads', [{ ...good, sticky: 'tenant' }], 'routes[0].sticky', /`weighted` only/],
    [
      'a condition before anything failed',
      [{ model: 'a', targets: [p('x', { on: ['timeout'] }), q('y')] }],
      'routes[0].targets[0].on',
      /no effect at the first target/,
    ],
    [
      'a condition among alternatives',
      [{ ...pool, targets: [p('x'), q('y', { on: ['server'] })] }],
      'routes[0].targets[1].on',
      /`fallback` only/,
    ],
    [
      'a tier without a target',
      [{ model: 'a', strategy: 'cost', targets: [p('x', { tier: 'simple' }), q('y', { tier: 'complex' })] }],
      'routes[0].targets',
      /no target has the tier moderate/,
    ],
    [
      'a target without a tier',
      [{ model: 'a', strategy: 'cost', targets: [p('x')] }],
      'routes[0].targets[0]',
      /needs a `tier`/,
    ],
    [
      'vision from text models',
      [
        {
          model: 'a',
          needs: ['vision'],
          targets: [p('x', { capabilities: [] }), q('y', { capabilities: ['tools'] })],
        },
      ],
      'routes[0].targets',
      /no target can serve "a".*vision/,
    ],
    [
      'another embedding model',
      [{ model: 'a', targets: [p('text-embedding-3-small'), q('text-embedding-3-large')] }],
      'routes[0].targets[1]',
      /a different embedding model/,
    ],
    [
      'another embedding model behind the same name',
      [
        {
          model: 'a',
          targets: [
            p('embeds', { serves: 'text-embedding-3-small' }),
            q('embeds', { serves: 'text-embedding-3-large' }),
          ],
        },
      ],
      'routes[0].targets[1]',
      /a different embedding model than "text-embedding-3-small"/,
    ],
    [
      'another embedding model by its capabilities, in a nested route',
      [
        { model: 'a', targets: [p('e', { capabilities: ['embeddings'] }), { route: 'b' }] },
        { model: 'b', targets: [q('f', { capabilities: ['embeddings'] })] },
      ],
      'routes[0].targets[1]',
      /a different embedding model/,
    ],
    [
      'the same target twice',
      [{ model: 'a', targets: [p('x'), p('x')] }],
      'routes[0].targets[1]',
      /duplicate of the target at/,
    ],
    ['no such strategy', [{ ...good, strategy: 'cheapest' }], 'routes[0].strategy', /not one of fallback/],
  ])('%s', (_, routes, path, message) => {
    const { faults } = check(...routes);
    expect(faults).toContainEqual([path, expect.stringMatching(message)]);
    expect(faults).toHaveLength(1);
  });

  test('more targets than a plan may have', () => {
    const wide = (model: string, count: number, provider = 'p') => ({
      model,
      targets: Array.from({ length: count }, (_, i) => ({ provider, model: `${model}${i}` })),
    });
    const all = { model: 'all', targets: [{ route: 'a' }, { route: 'b' }, { route: 'c' }] };
    const { faults } = check(all, wide('a', 32), wide('b', 32), wide('c', stepsMax - 63));
    expect(faults).toEqual([['routes[0].targets', expect.stringContaining(`more than ${stepsMax} targets`)]]);
  });

  test('however routes are nested, checking ends', () => {
    const names = Array.from({ length: 30 }, (_, i) => `r${i}`);
    const routes = names.map((model) => ({
      model,
      targets: names.filter((n) => n !== model).map((route) => ({ route })),
    }));
    const tookMs = cpuMs(() => expect(check(...routes).faults.length).toBeGreaterThan(0));
    expect(tookMs).toBeLessThan(3000);
  });
});

describe('warnings', () => {
  test('a chain that never leaves its provider is no fallback', () => {
    const { faults, warnings } = check({ model: 'a', targets: [p('x'), p('y')] });
    expect(faults).toEqual([]);
    expect(warnings).toEqual([
      ['routes[0].targets', expect.stringMatching(/all targets are at the provider "p"/)],
    ]);
  });

  test('neither is one whose nested route stays with its provider', () => {
    const { warnings } = check(
      { model: 'a', targets: [p('x'), { route: 'b' }] },
      { model: 'b', strategy: 'weighted', targets: [p('y'), p('z')] },
    );
    expect(warnings).toEqual([['routes[0].targets', expect.stringMatching(/all targets are at/)]]);
  });

  test('one target, or two providers, are fine', () => {
    const { faults, warnings } = check(good, { model: 'one', targets: [p('x')] });
    expect([faults, warnings]).toEqual([[], []]);
  });
});

test('a configuration with everything is valid', () => {
  const result = check(
    {
      model: 'chain',
      targets: [p('x'), q('y', { on: ['timeout', 'server'] }), { route: 'pool', on: ['outage'] }],
    },
    {
      model: 'pool',
      strategy: 'weighted',
      sticky: 'tenant',
      targets: [p('x', { weight: 9 }), q('y', { weight: 1 })],
    },
    { model: 'fast', strategy: 'latency', targets: [p('x'), q('x')] },
    {
      model: 'able',
      strategy: 'capability',
      needs: ['tools'],
      targets: [p('x', { capabilities: ['tools'] }), q('y')],
    },
    {
      model: 'auto',
      strategy: 'cost',
      targets: [
        p('s', { tier: 'simple' }),
        q('m', { tier: 'moderate' }),
        { route: 'chain', tier: 'complex' },
      ],
    },
    { model: 'vectors', targets: [p('text-embedding-3-small'), q('text-embedding-3-small')] },
    {
      model: 'text-embedding-3-small',
      targets: [
        { provider: 'p' },
        q('text-embedding-3-small'),
        q('embeds', { serves: 'text-embedding-3-small' }),
      ],
    },
    { model: 'text-embedding-*', targets: [{ provider: 'p' }, q('text-embedding-*')] },
  );
  expect(result).toEqual({ faults: [], warnings: [] });
});
