/** Times routing, from a model name and a request to a plan, with 20 targets. */
import { bodyFlags } from '../../src/native/inspect.ts';
import { route } from '../../src/route/route.ts';
import { idleProvider, type Routing, startRouting } from '../../test/support/routing.ts';
import { sampleExchange, sampleIdentity, sampleRequest } from '../../test/support/samples.ts';

/** Name of this group in the report. */
export const subject = 'route, 20 targets';

const targetsMax = 20;
const tiers = ['simple', 'moderate', 'complex'] as const;

/** The tasks to time. */
export function tasks(): Record<string, () => unknown> {
  const providers = [idleProvider('p')];
  const models = Array.from({ length: targetsMax }, (_, i) => `m${i}`);
  const targets = (more: (index: number) => object = () => ({})) =>
    models.map((model, index) => ({ provider: 'p', model, ...more(index) }));
  const price = (index: number) => ({
    input: 100 + index,
    cachedInput: 50,
    cacheWrite: 100,
    output: 400 + index,
  });
  const facts = Object.fromEntries(
    models.map((model, index) => [
      model,
      { price: price(index), contextTokens: 128_000, capabilities: new Set(['tools', 'vision'] as const) },
    ]),
  );
  const routing: Routing = startRouting(
    [
      { model: 'fallback', targets: targets() },
      { model: 'weighted', strategy: 'weighted', targets: targets((index) => ({ weight: index + 1 })) },
      { model: 'latency', strategy: 'latency', targets: targets() },
      { model: 'capability', strategy: 'capability', targets: targets() },
      { model: 'cost', strategy: 'cost', targets: targets((index) => ({ tier: tiers[index % 3] })) },
      { model: 'half', strategy: 'latency', targets: targets().slice(0, 10) },
      { model: 'nested', strategy: 'weighted', targets: [{ route: 'half' }, ...targets().slice(10)] },
    ],
    providers,
    facts,
  );
  let chance = 0;
  routing.random = () => {
    chance = (chance + 0.618_033_988_749_895) % 1;
    return chance;
  };
  for (const [index, model] of models.entries()) {
    const { latency } = routing.health(`p/${model}`);
    latency.begin(false, 0);
    latency.observe(false, 0, 100 + index, 0);
  }
  const exchange = sampleExchange();
  const identity = sampleIdentity({ user: 'alice' });
  const ask = (model: string) => {
    const request = sampleRequest({ model, tier: 'moderate', flags: bodyFlags.tools, textBytes: 4000 });
    return () => route(exchange, identity, request, routing.table, 1000);
  };
  return Object.fromEntries(
    ['fallback', 'weighted', 'latency', 'capability', 'cost', 'nested'].map((name) => [name, ask(name)]),
  );
}
