/** Finds targets without a known price under a limit that counts dollars, which would refuse them. */
import { matchesPattern } from '../base/pattern.ts';
import { type Catalog, createCatalog } from '../catalog/catalog.ts';
import { presets } from '../dialects/presets.ts';
import type { Finding } from './faults.ts';
import type { Config } from './schema.ts';

/** A limit or budget that refuses what has no price. */
interface Strict {
  readonly what: string;
  /** Patterns of the routes and of the models asked for that it is for; null: all. */
  readonly routes: readonly string[] | null;
  readonly models: readonly string[] | null;
}

/** Prices that begin later count as known, so the check depends on no clock. */
export const farFuture = 8.64e15;

/** A warning for each target that a limit in dollars would refuse, since nobody knows its price. */
export function unpricedTargets(config: Config): Finding[] {
  const strict = strictLimits(config);
  if (strict.length === 0) return [];
  const catalog = createCatalog(config.providers, config.catalog.models, farFuture);
  return config.routes.flatMap((route, index) => {
    const asked = askedAs(route.model, config.routes);
    const limit = strict.find(({ routes, models }) =>
      asked.some(
        (name) =>
          (routes === null || routes.some((pattern) => matchesPattern(pattern, name))) &&
          (models === null || models.some((pattern) => canMeet(pattern, name))),
      ),
    );
    if (limit === undefined) return [];
    return route.targets.flatMap(({ provider, model = route.model, serves = model }, position): Finding[] => {
      if (provider === undefined || !lacksPrice(provider, serves, config, catalog)) return [];
      return [
        {
          path: ['routes', index, 'targets', position],
          at: 'value',
          message: `${provider}/${model} has no known price, so the ${limit.what} refuses it: say which model it \`serves\` if this name is your own, state one in \`catalog.models\`, set \`price: free\` at the provider if it is an own engine, or \`unpriced: allow\` at the limit`,
        },
      ];
    });
  });
}

/** A route's name, and those of the routes that lead to it: a limit goes by what was asked for. */
function askedAs(model: string, routes: Config['routes'], known: string[] = []): readonly string[] {
  if (known.includes(model)) return known;
  known.push(model);
  for (const { model: outer, targets } of routes)
    if (targets.some(({ route }) => route !== undefined && matchesPattern(model, route)))
      askedAs(outer, routes, known);
  return known;
}

/** Whether some name fits both patterns. */
const canMeet = (one: string, other: string): boolean =>
  matchesPattern(one, other.replace(/\*$/, '')) || matchesPattern(other, one.replace(/\*$/, ''));

function strictLimits({ limits, budgets, authenticate }: Config): Strict[] {
  const ofKeys = authenticate.keys.flatMap((key) => key.limits.map((limit) => ({ ...limit, match: {} })));
  const counted = [
    ...[...limits, ...ofKeys]
      .filter(({ unit }) => unit === 'usd')
      .map((limit) => ({ ...limit, kind: 'limit' })),
    ...budgets.map((budget) => ({ ...budget, kind: 'budget' })),
  ];
  return counted
    .filter(({ unpriced }) => unpriced !== 'allow')
    .map(({ kind, name, match }) => {
      const { route, model } = match as Readonly<Record<string, string | readonly string[]>>;
      return { what: `${kind} "${name}"`, routes: listOf(route), models: listOf(model) };
    });
}

const listOf = (value: string | readonly string[] | undefined): readonly string[] | null =>
  value === undefined ? null : typeof value === 'string' ? [value] : value;

/** Of a pattern, whose models only requests name: whether no model of its provider could have a price. */
function lacksPrice(provider: string, model: string, config: Config, catalog: Catalog): boolean {
  if (!model.endsWith('*')) return catalog.facts(provider, model).price === null;
  const { preset, price } = config.providers[provider] ?? {};
  const table = preset === undefined ? null : (presets[preset]?.prices ?? null);
  const own = config.catalog.models.some((entry) => entry.provider === '*' || entry.provider === provider);
  return price !== 'free' && table === null && !own;
}
