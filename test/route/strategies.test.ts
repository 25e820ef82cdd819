/** Strategies: which target a request is sent to, and which follow. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import type { Capability } from '../../src/catalog/facts.ts';
import { bodyFlags } from '../../src/native/inspect.ts';
import type { Plan } from '../../src/upstream/target.ts';
import { idleProvider, type Routing, startRouting } from '../support/routing.ts';

const providers = [idleProvider('p'), idleProvider('q'), idleProvider('a', 'anthropic')];
const p = (model: string, more: object = {}) => ({ provider: 'p', model, ...more });
const start = (
  route: object,
  facts: Parameters<typeof startRouting>[2] = {},
  others: readonly object[] = [],
): Routing => startRouting([{ model: 'm', ...route }, ...others], providers, facts);

function planOf(routing: Routing, asking?: Parameters<Routing['ask']>[1]): Plan {
  const plan = routing.ask('m', asking);
  if (plan instanceof Refusal) throw new Error(plan.message);
  return plan;
}

describe('fallback', () => {
  test('returns the same plan object each time', () => {
    const routing = start({ targets: [p('x'), p('y')] });
    expect(planOf(routing)).toBe(planOf(routing));
  });

  test('an edge has its causes, and starts a group', () => {
    const routing = start({ targets: [p('x'), p('y', { on: ['timeout', 'server'] }), p('z')] });
    expect(planOf(routing).steps.map(({ on, group }) => [on === null ? null : [...on], group])).toEqual([
      [null, 0],
      [['timeout', 'server'], 1],
      [null, 2],
    ]);
  });

  test('alternatives share the edge that leads to them, and only the first one has its causes', () => {
    const routing = start({ targets: [p('x'), { route: 'pool', on: ['outage'] }, p('last')] }, {}, [
      { model: 'pool', strategy: 'weighted', sticky: 'request', targets: [p('y'), p('z')] },
    ]);
    for (const random of [0.01, 0.35, 0.6, 0.99]) {
      routing.random = () => random;
      const { steps } = planOf(routing);
      expect(steps.map(({ group }) => group)).toEqual([0, 1, 1, 2]);
      expect(steps.map(({ on }) => on?.has('outage') ?? null)).toEqual([null, true, null, null]);
    }
  });
});

describe('nested routes', () => {
  test('are inlined in their own order, with their own model', () => {
    const routing = start({ targets: [p('x'), { route: 'inner' }, { route: 'deep-one' }] }, {}, [
      { model: 'inner', targets: [{ provider: 'q' }, p('y')] },
      { model: 'deep-*', targets: [{ provider: 'q' }] },
    ]);
    expect(routing.labels('m')).toEqual(['p/x', 'q/inner', 'p/y', 'q/deep-one']);
  });

  test('a pattern passes the requested model on', () => {
    const routing = startRouting(
      [
        { model: 'm*', targets: [{ route: 'deep-*' }] },
        { model: 'deep-*', targets: [{ provider: 'q' }] },
      ],
      providers,
    );
    const plan = routing.ask('mine');
    expect(plan).toMatchObject({ steps: [{ target: { model: null, label: 'q/mine' } }] });
  });

  test('a target that occurs twice is tried once', () => {
    const routing = start({ targets: [p('x'), { route: 'inner' }] }, {}, [
      { model: 'inner', targets: [p('y'), p('x')] },
    ]);
    expect(routing.labels('m')).toEqual(['p/x', 'p/y']);
  });

  test('with any nesting every target occurs once, and cycles end', () => {
    const names = ['m', 'b', 'c'];
    const strategies = fc.constantFrom('fallback', 'weighted', 'latency', 'capability');
    const targets = fc.array(
      fc.oneof(
        fc.constantFrom('x', 'y', 'z').map((model) => p(model)),
        fc.constantFrom(...names).map((route) => ({ route })),
      ),
      { minLength: 1, maxLength: 5 },
    );
    const routes = fc.tuple(
      ...names.map((model) => fc.record({ model: fc.constant(model), strategy: strategies, targets })),
    );
    fc.assert(
      fc.property(routes, fc.double({ min: 0, max: 0.999, noNaN: true }), (list, chance) => {
        const routing = startRouting(list, providers);
        routing.random = () => chance;
        for (const name of names) {
          const plan = routing.ask(name);
          if (plan instanceof Refusal) continue;
          const labels = plan.steps.map(({ target }) => target.label);
          expect(new Set(labels).size).toBe(labels.length);
          expect(labels.length).toBeGreaterThan(0);
        }
      }),
    );
  });
});

describe('weighted', () => {
  const canary = { strategy: 'weighted', targets: [p('old', { weight: 9 }), p('new', { weight: 1 })] };

  test('a user stays on one target, in shares by weight', () => {
    const routing = start(canary);
    let moved = 0;
    for (let i = 0; i < 4000; i++) {
      const [first] = routing.labels('m', { user: `user-${i}` });
      expect(routing.labels('m', { user: `user-${i}` })[0]).toBe(first);
      if (first === 'p/new') moved++;
    }
    // 10% of 4000, four standard deviations around.
    expect(moved).toBeGreaterThan(400 - 76);
    expect(moved).toBeLessThan(400 + 76);
  });

  test('when the canary grows, nobody leaves it', () => {
    const grown = { strategy: 'weighted', targets: [p('old', { weight: 6 }), p('new', { weight: 4 })] };
    const [before, after] = [start(canary), start(grown)];
    for (let i = 0; i < 1000; i++) {
      const user = `user-${i}`;
      if (before.labels('m', { user })[0] === 'p/new') expect(after.labels('m', { user })[0]).toBe('p/new');
    }
  });

  test('the same name at another tenant is another user', () => {
    const routing = start({ strategy: 'weighted', targets: [p('x'), p('y')] });
    const firsts = Array.from(
      { length: 64 },
      (_, i) => routing.labels('m', { user: 'u', tenant: `t${i}` })[0],
    );
    expect(new Set(firsts).size).toBe(2);
  });

  test('without a user each request is drawn separately; sticky by tenant it is not', () => {
    const drawn = start({ strategy: 'weighted', targets: [p('x'), p('y')] });
    const kept = start({ strategy: 'weighted', sticky: 'tenant', targets: [p('x'), p('y')] });
    const seen = { drawn: new Set<string | undefined>(), kept: new Set<string | undefined>() };
    for (let i = 0; i < 32; i++) {
      drawn.random = () => i / 32;
      kept.random = () => i / 32;
      seen.drawn.add(drawn.labels('m')[0]);
      seen.kept.add(kept.labels('m', { user: `u${i}` })[0]);
    }
    expect(seen.drawn.size).toBe(2);
    expect(seen.kept.size).toBe(1);
  });

  test('weight 0 is tried only when the others are down', () => {
    const routing = start({ strategy: 'weighted', targets: [p('x'), p('spare', { weight: 0 })] });
    for (let i = 0; i < 50; i++) expect(routing.labels('m', { user: `u${i}` })).toEqual(['p/x', 'p/spare']);
    routing.trip('p/x');
    expect(routing.labels('m', { user: 'u' })).toEqual(['p/spare', 'p/x']);
  });

  test('two arms never share cached answers', () => {
    const routing = start({ strategy: 'weighted', targets: [p('x'), p('y')] });
    const versions = new Map<string | undefined, Set<string>>();
    for (let i = 0; i < 50; i++) {
      const { steps, version } = planOf(routing, { user: `u${i}` });
      const first = steps[0]?.target.label;
      versions.set(first, (versions.get(first) ?? new Set()).add(version));
    }
    expect([...versions.values()].map((each) => each.size)).toEqual([1, 1]);
    expect(new Set([...versions.values()].flatMap((each) => [...each])).size).toBe(2);
  });
});

describe('capability', () => {
  const able = (...capabilities: Capability[]) => ({ capabilities });
  const routing = start(
    {
      strategy: 'capability',
      targets: [
        p('text', able()),
        p('tool', able('tools')),
        p('all', able('tools', 'vision', 'schema')),
        p('unknown'),
      ],
    },
    { unknown: { contextTokens: 1000, outputMaxTokens: 100 } },
  );

  test.each([
    [0, ['p/text', 'p/tool', 'p/all', 'p/unknown']],
    [bodyFlags.tools, ['p/tool', 'p/all', 'p/unknown']],
    [bodyFlags.images, ['p/all', 'p/unknown']],
    [bodyFlags.images | bodyFlags.schema, ['p/all', 'p/unknown']],
    [bodyFlags.audio, ['p/unknown']],
  ])('flags %i leave out whoever is known not to be able', (flags, expected) => {
    expect(routing.labels('m', { flags })).toEqual(expected);
  });

  test('a prompt that is too long, or wants too long a reply, goes to a target that supports it', () => {
    expect(routing.labels('m', { textBytes: 4004 })).toEqual(['p/text', 'p/tool', 'p/all']);
    expect(routing.labels('m', { textBytes: 3800, maxTokens: 60 })).not.toContain('p/unknown');
    expect(routing.labels('m', { maxTokens: 101 })).not.toContain('p/unknown');
  });

  test('the app may name what it needs', () => {
    const headers = { 'x-sidegate-capabilities': 'tools, vision' };
    expect(routing.labels('m', { headers })).toEqual(['p/all', 'p/unknown']);
    const wrong = routing.ask('m', { headers: { 'x-sidegate-capabilities': 'telepathy' } });
    expect(wrong).toMatchObject({ code: 'invalid_header', param: 'x-sidegate-capabilities' });
  });

  test('no capable target is a 400 that says what is needed', () => {
    const narrow = start({ strategy: 'capability', targets: [p('text', able())] });
    const refusal = narrow.ask('m', { flags: bodyFlags.images });
    expect(refusal).toMatchObject({ code: 'not_capable' });
    expect(refusal instanceof Refusal && refusal.message).toContain('vision');
  });

  test('targets that are down come last', () => {
    routing.trip('p/text');
    expect(routing.labels('m')).toEqual(['p/tool', 'p/all', 'p/unknown', 'p/text']);
    routing.nowMs += 5000;
  });

  test('targets without what a route needs are excluded up front', () => {
    const vision = start({ needs: ['vision'], targets: [p('text', able()), p('all', able('vision'))] });
    expect(vision.labels('m')).toEqual(['p/all']);
  });
});

describe('cost', () => {
  const price = (input: number) => ({
    price: { input, cachedInput: input, cacheWrite: input, output: 4 * input },
  });
  const tiered = {
    strategy: 'cost',
    targets: [
      p('mini', { tier: 'simple' }),
      p('nano', { tier: 'simple' }),
      p('mid', { tier: 'moderate' }),
      p('big', { tier: 'complex' }),
      p('free', { tier: 'complex' }),
    ],
  };
  const facts = { mini: price(150), nano: price(100), mid: price(1000), big: price(5000) };

  test.each([
    ['simple', ['p/nano', 'p/mini', 'p/mid', 'p/big', 'p/free']],
    ['moderate', ['p/mid', 'p/big', 'p/free', 'p/nano', 'p/mini']],
    ['complex', ['p/big', 'p/free', 'p/mid', 'p/nano', 'p/mini']],
  ] as const)('%s: the cheapest of its tier, then those above, then those below', (tier, expected) => {
    const routing = start(tiered, facts);
    expect(routing.labels('m', { tier })).toEqual(expected);
    expect(planOf(routing, { tier }).tier).toBe(tier);
  });

  test('the app may name the tier, and answers of two tiers are cached separately', () => {
    const routing = start(tiered, facts);
    const headers = { 'x-sidegate-tier': 'complex' };
    expect(planOf(routing, { tier: 'simple', headers })).toMatchObject({ tier: 'complex' });
    expect(planOf(routing, { headers }).version).not.toBe(planOf(routing, { tier: 'simple' }).version);
    expect(routing.ask('m', { headers: { 'x-sidegate-tier': 'huge' } })).toMatchObject({
      code: 'invalid_header',
      param: 'x-sidegate-tier',
    });
  });

  test('targets that are down or not capable are skipped', () => {
    const routing = start(tiered, { ...facts, nano: { ...price(100), contextTokens: 10 } });
    expect(routing.labels('m', { tier: 'simple', textBytes: 400 })[0]).toBe('p/mini');
    routing.trip('p/mini');
    expect(routing.labels('m', { tier: 'simple', textBytes: 400 })).toEqual([
      'p/mid',
      'p/big',
      'p/free',
      'p/mini',
    ]);
  });

  test('the cheapest target depends on the lengths of prompt and reply', () => {
    const targets = [
      p('in', { tier: 'simple' }),
      p('out', { tier: 'simple' }),
      p('mid', { tier: 'moderate' }),
      p('big', { tier: 'complex' }),
    ];
    const routing = start(
      { strategy: 'cost', targets },
      {
        in: { price: { input: 100, cachedInput: 100, cacheWrite: 100, output: 1000 } },
        out: { price: { input: 300, cachedInput: 300, cacheWrite: 300, output: 400 } },
      },
    );
    expect(routing.labels('m', { tier: 'simple', textBytes: 100_000 })[0]).toBe('p/in');
    expect(routing.labels('m', { tier: 'simple', textBytes: 10 })[0]).toBe('p/out');
  });
});

describe('embeddings', () => {
  test('never switch models, whatever the strategy', () => {
    for (const strategy of ['fallback', 'weighted', 'latency', 'capability']) {
      const routing = startRouting(
        [{ model: 'm', strategy, targets: [p('e1'), { provider: 'q', model: 'e1' }, p('e2')] }],
        providers,
      );
      for (let i = 0; i < 20; i++) {
        const labels = routing.labels('m', { endpoint: 'embeddings', user: `u${i}` });
        expect([...labels].sort()).toEqual(['p/e1', 'q/e1']);
      }
      expect(routing.labels('m', { user: 'u' })).toHaveLength(3);
    }
  });

  test('are of one model, however its targets name it', () => {
    const targets = [
      { provider: 'p' },
      { provider: 'q', model: 'e1' },
      { provider: 'q', model: 'own', serves: 'e1' },
      { provider: 'q', model: 'e2' },
    ];
    const routing = startRouting([{ model: 'e1', targets }], providers);
    expect(routing.labels('e1', { endpoint: 'embeddings' })).toEqual(['p/e1', 'q/e1', 'q/own']);
    const same = [
      { provider: 'p', model: 'own', serves: 'e1' },
      { provider: 'q', model: 'own', serves: 'e2' },
    ];
    const two = startRouting([{ model: 'm', targets: same }], providers);
    expect(two.labels('m', { endpoint: 'embeddings' })).toEqual(['p/own']);
  });
});
