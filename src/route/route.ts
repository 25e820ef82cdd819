/** Stage route: a model name → the targets that may answer it, in order. */
import type { Provider } from '../attempt/connection.ts';
import { unknownFacts } from '../catalog/facts.ts';
import type { RouteConfig } from '../config/schema.ts';
import { Refusal } from '../errors.ts';
import type { DialectName } from '../providers/provider.ts';
import type { Plan, Step, TargetHealth } from './plan.ts';

export interface RouteTable {
  readonly exact: ReadonlyMap<string, Plan>;
  /** Patterns with a trailing *, longest first. */
  readonly patterns: readonly { readonly prefix: string; readonly plan: Plan }[];
}

/** @param healthOf the state kept for a label */
export function createRouteTable(
  routes: readonly RouteConfig[],
  providers: ReadonlyMap<string, Provider>,
  healthOf: (label: string) => TargetHealth,
): RouteTable {
  const exact = new Map<string, Plan>();
  const patterns: { prefix: string; plan: Plan }[] = [];
  for (const { model: pattern, targets: chain, ...settings } of routes) {
    const { priority = 'interactive', strategy = 'fallback', overflow = null } = settings;
    const steps = chain.flatMap(({ provider: name, model }, group): Step[] => {
      const provider = providers.get(name);
      if (provider === undefined) return [];
      const label = `${name}/${model ?? pattern}`;
      const target = { provider, model: model ?? null, label, health: healthOf(label), facts: unknownFacts };
      return [{ target, on: null, group }];
    });
    const version = steps.map(({ target: { label, provider } }) => `${label}@${provider.baseUrl}`).join(' ');
    const plan = { pattern, steps, version, priority, strategy, overflow };
    if (pattern.endsWith('*')) patterns.push({ prefix: pattern.slice(0, -1), plan });
    else exact.set(pattern, plan);
  }
  patterns.sort((a, b) => b.prefix.length - a.prefix.length);
  return { exact, patterns };
}

/** Finds the plan for a model, with the targets that speak the client's dialect. */
export function route(model: string, dialect: DialectName, table: RouteTable): Plan | Refusal {
  const found = table.exact.get(model) ?? table.patterns.find(({ prefix }) => model.startsWith(prefix))?.plan;
  if (found === undefined) {
    return new Refusal('model_not_found', `No route serves the model "${model.slice(0, 128)}".`, {
      param: 'model',
    });
  }
  if (found.steps.every(({ target }) => target.provider.dialect.name === dialect)) return found;
  const steps = found.steps.filter(({ target }) => target.provider.dialect.name === dialect);
  if (steps.length === 0) {
    const other = found.steps[0]?.target.provider.dialect.name ?? 'another';
    return new Refusal(
      'model_not_found',
      `The model "${model.slice(0, 128)}" is served in the ${other} dialect only, and this endpoint speaks ${dialect}.`,
      { param: 'model' },
    );
  }
  return { ...found, steps };
}

/** The model names a client may be shown: patterns stand for names unknown here. */
export function modelNames(table: RouteTable): string[] {
  return [...table.exact.keys()];
}
