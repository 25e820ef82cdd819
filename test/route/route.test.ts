/** Stage route: a model name → the targets that may answer it, in order. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { type Catalog, createCatalog } from '../../src/catalog/catalog.ts';
import { unknownFacts } from '../../src/catalog/facts.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { createRouteTable, findWay, modelNames, type RouteTable } from '../../src/route/route.ts';
import type { RouteConfig } from '../../src/route/settings.ts';
import { PeakEwma } from '../../src/upstream/peak-ewma.ts';
import { createProvider } from '../../src/upstream/provider.ts';
import type { Plan, Provider, TargetHealth } from '../../src/upstream/target.ts';
import { type Gate, startGate } from '../support/gate.ts';
import { wires } from '../support/replies.ts';
import { sampleEndpoint } from '../support/samples.ts';
import { answers, startUpstream } from '../support/upstream.ts';

const { attempt } = configSchema.parse({});

function provider(name: string, dialect: DialectName, baseUrl = 'http://127.0.0.1:9/v1'): Provider {
  return createProvider(name, { dialect, baseUrl, credential: 'gateway', headers: {} }, attempt, null);
}

const providers = new Map(
  [provider('o1', 'openai'), provider('o2', 'openai'), provider('a1', 'anthropic')].map((p) => [p.name, p]),
);

const table = (routes: RouteConfig[], known: ReadonlyMap<string, Provider> = providers): RouteTable =>
  createRouteTable(routes, {
    providers: known,
    catalog: createCatalog({}, [], 0),
    healthOf: () => ({ breakerId: 0, inFlight: 0, latency: new PeakEwma() }),
    random: () => 0,
    tokensOf: () => 0,
  });

const chain = (model: string, ...names: string[]): RouteConfig => ({
  model,
  strategy: 'fallback',
  sticky: 'user',
  needs: [],
  unsupported: 'refuse',
  targets: names.map((name) => {
    const [target = '', as] = name.split('/');
    return { provider: target, model: as };
  }),
});

function found(model: string, routes: RouteTable, endpoint: Asked = 'chat'): Plan {
  const way = findWay(model, sampleEndpoint(endpoint), routes);
  if (way instanceof Refusal) throw new Error(way.message);
  if (way.fixed === null) throw new Error('a chain has one plan');
  return way.fixed;
}

type Asked = Parameters<typeof sampleEndpoint>[0];
const labels = ({ steps }: Plan): string[] => steps.map(({ target }) => target.label);

describe('which route', () => {
  const routes = table([
    chain('*', 'o1'),
    chain('gpt-*', 'o1'),
    chain('gpt-4*', 'o1'),
    chain('gpt-4o', 'o1'),
  ]);

  test.each([
    ['gpt-4o', 'gpt-4o'],
    ['gpt-4o-mini', 'gpt-4*'],
    ['gpt-4', 'gpt-4*'],
    ['gpt-3.5', 'gpt-*'],
    ['gpt-', 'gpt-*'],
    ['gpt', '*'],
    ['o3', '*'],
    ['', '*'],
  ])('%s is served by %s: the exact name, else the longest pattern', (model, pattern) => {
    expect(found(model, routes).pattern).toBe(pattern);
  });

  test('the order in the configuration does not matter', () => {
    const patterns = ['*', 'a*', 'ab*', 'abc', 'abc*', 'b*'];
    const models = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 4 });
    const straight = table(patterns.map((pattern) => chain(pattern, 'o1')));
    fc.assert(
      fc.property(
        fc.shuffledSubarray(patterns, { minLength: patterns.length }),
        models,
        (shuffled, model) => {
          const other = table(shuffled.map((pattern) => chain(pattern, 'o1')));
          expect(found(model, other).pattern).toBe(found(model, straight).pattern);
        },
      ),
    );
  });

  test('an unknown model is a 404 that names it, truncated', () => {
    const refusal = findWay('m'.repeat(1000), sampleEndpoint('chat'), table([chain('gpt-*', 'o1')]));
    expect(refusal).toMatchObject({ code: 'model_not_found', param: 'model' });
    expect(refusal instanceof Refusal && refusal.message.length).toBeLessThan(200);
    expect(findWay('constructor', sampleEndpoint('chat'), table([]))).toBeInstanceOf(Refusal);
  });

  test('only exact names are listed, since patterns match unknown ones', () => {
    expect(modelNames(table([chain('b', 'o1'), chain('a-*', 'o1'), chain('a', 'o1')]))).toEqual(['b', 'a']);
  });
});

describe('which targets', () => {
  test('in the order of the configuration, with the provider’s model names', () => {
    const fast = found('fast', table([chain('fast', 'o2/gpt-4o', 'o1')]));
    expect(labels(fast)).toEqual(['o2/gpt-4o', 'o1/fast']);
    expect(fast.steps.map(({ target }) => target.model)).toEqual(['gpt-4o', null]);
  });

  test('chat goes to every dialect, in the order of the configuration', () => {
    const routes = table([chain('m', 'a1', 'o1', 'a1/other', 'o2')]);
    const all = ['a1/m', 'o1/m', 'a1/other', 'o2/m'];
    expect(labels(found('m', routes))).toEqual(all);
    expect(labels(found('m', routes, 'messages'))).toEqual(all);
  });

  test('an endpoint that only one dialect has goes to its targets', () => {
    const routes = table([chain('m', 'a1', 'o1', 'a1/other', 'o2')]);
    expect(labels(found('m', routes, 'embeddings'))).toEqual(['o1/m', 'o2/m']);
    expect(labels(found('m', routes, 'count_tokens'))).toEqual(['a1/m', 'a1/other']);
  });

  test('a route without a target for the endpoint is a 404 that names its dialect', () => {
    const refusal = findWay('m', sampleEndpoint('count_tokens'), table([chain('m', 'o1')]));
    expect(refusal).toMatchObject({ code: 'model_not_found' });
    expect(refusal instanceof Refusal && refusal.message).toContain('only served in the openai dialect');
  });

  test('labels name the model that is called, in characters that a header may have', () => {
    const routes = table([chain('gpt-*', 'o1', 'o2/gpt-4o')]);
    for (const model of ['gpt-a', 'gpt-b'])
      expect(labels(found(model, routes))).toEqual([`o1/${model}`, 'o2/gpt-4o']);
    expect(labels(found('gpt-ä\r\n\ud800', routes))[0]).toBe('o1/gpt-%C3%A4%0D%0A%EF%BF%BD');
    expect(labels(found(`gpt-${'x'.repeat(1000)}`, routes))[0]).toHaveLength(3 + 256);
  });

  test('what the * of a route matches replaces the * of a target', () => {
    const routes = table([chain('o1/*', 'o1/*'), chain('fast-*', 'o1/llama-*', 'o2/x', 'o2')]);
    const models = (model: string) => found(model, routes).steps.map(({ target }) => target.model);
    expect(models('o1/owner/m')).toEqual(['owner/m']);
    expect(models('o1/')).toEqual(['']);
    expect(models('fast-8b')).toEqual(['llama-8b', 'x', null]);
    expect(labels(found('fast-8b', routes))).toEqual(['o1/llama-8b', 'o2/x', 'o2/fast-8b']);
  });

  test('targets know the facts of their model, also if only the request names it', () => {
    const asked: string[] = [];
    const catalog: Catalog = {
      names: () => [],
      facts: (name, model) => {
        asked.push(`${name}/${model}`);
        return { ...unknownFacts, contextTokens: model.length };
      },
    };
    const routes = createRouteTable([chain('gpt-*', 'o1', 'o2/fixed', 'o2/x-*'), chain('exact', 'o1')], {
      providers,
      catalog,
      healthOf: () => ({ breakerId: 0, inFlight: 0, latency: new PeakEwma() }),
      random: () => 0,
      tokensOf: () => 0,
    });
    expect(asked).toEqual(['o2/fixed', 'o1/exact']);
    const windows = (model: string) =>
      found(model, routes).steps.map(({ target }) => target.facts.contextTokens);
    expect(windows('exact')).toEqual([5]);
    expect(windows('gpt-4o')).toEqual([6, 5, 4]);
    expect(windows('gpt-4o-mini')).toEqual([11, 5, 9]);
    expect(asked.length).toBe(8);
    expect(windows('gpt-4o')).toEqual([6, 5, 4]);
    expect(asked.length).toBe(8);
    expect(found('gpt-4o', routes)).toBe(found('gpt-4o', routes));
  });

  test('model names that apps make up are forgotten again', () => {
    const routes = table([chain('*', 'o1')]);
    const first = found('m', routes);
    for (let i = 0; i < 1000; i++) found(`m${i}`, routes);
    expect(found('m', routes)).not.toBe(first);
    expect(routes.patterns[0]?.byModel.size).toBe(1000);
    const long = found('x'.repeat(257), routes);
    expect(found('x'.repeat(257), routes)).not.toBe(long);
  });

  test('routes to the same provider and model share their health', () => {
    const health = new Map<string, TargetHealth>();
    const shared = createRouteTable([chain('a', 'o1/x'), chain('b', 'o1/x', 'o1/y')], {
      providers,
      catalog: createCatalog({}, [], 0),
      healthOf(label) {
        const known = health.get(label) ?? {
          breakerId: health.size,
          inFlight: 0,
          latency: new PeakEwma(),
        };
        health.set(label, known);
        return known;
      },
      random: () => 0,
      tokensOf: () => 0,
    });
    expect([...health.keys()]).toEqual(['o1/x', 'o1/y']);
    expect(found('a', shared).steps[0]?.target.health).toBe(found('b', shared).steps[0]?.target.health);
  });
});

describe('version', () => {
  const version = (...names: string[]): string => found('m', table([chain('m', ...names)])).version;

  test('changes with targets, their order, their models and their base URLs', () => {
    const elsewhere = new Map([['o1', provider('o1', 'openai', 'http://127.0.0.1:10/v1')]]);
    const versions = [
      version('o1'),
      version('o2'),
      version('o1', 'o2'),
      version('o2', 'o1'),
      version('o1/x'),
      found('m', table([chain('m', 'o1')], elsewhere)).version,
    ];
    expect(new Set(versions).size).toBe(versions.length);
    expect(version('o1')).toBe(version('o1'));
  });
});

describe('through the sidecar', () => {
  let gate: Gate;
  afterEach(() => gate.stop());

  test.each(wires)(
    'the provider is asked for its own model, and nothing else changes ($name)',
    async (wire) => {
      const upstream = await startUpstream(answers(wire, 'ok'));
      gate = await startGate([], {
        providers: { p: { dialect: wire.name, baseUrl: upstream.baseUrl } },
        routes: [{ model: 'fast', targets: [{ provider: 'p', model: 'real "model" é' }] }],
      });
      const messages = '"messages":[{"role":"user","content":"fast"}]';
      const body = `{ "x":1.0, "model" : "f\\u0061st" ,"max_tokens":9,${messages}, "y":"\\u00e9"}`;
      const reply = await gate.post(wire.path, body);
      expect(reply.status).toBe(200);
      expect(reply.headers['x-sidegate-target']).toMatch(/^p\//);
      expect(upstream.calls[0]?.body.toString()).toBe(body.replace('"f\\u0061st"', '"real \\"model\\" é"'));
      await upstream.close();
    },
  );

  test('an unknown model is 404 in the client’s dialect', async () => {
    const providers = { o: { dialect: 'openai' as const, baseUrl: 'http://127.0.0.1:9/v1' } };
    gate = await startGate([], { providers, routes: [{ model: 'gpt', targets: [{ provider: 'o' }] }] });
    for (const wire of wires) {
      const reply = await gate.ask(wire, 'hi', { more: { model: 'unknown' } });
      expect(reply.status).toBe(404);
      expect(wire.errorOf(reply.text)?.code).toBe('model_not_found');
    }
  });
});
