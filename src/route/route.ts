/** Stage route: a model name → the targets that may answer it, in order. */
import type { Provider } from '../attempt/connection.ts';
import { unknownFacts } from '../catalog/facts.ts';
import type { RouteConfig } from '../config/schema.ts';
import { Refusal } from '../errors.ts';
import type { Endpoint } from '../exchange.ts';
import { dialects } from '../providers/index.ts';
import { canServe } from '../providers/translate.ts';
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
  for (const { model: pattern, targets: chain } of routes) {
    const steps = chain.flatMap(({ provider: name, model }, group): Step[] => {
      const provider = providers.get(name);
      if (provider === undefined) return [];
      const label = `${name}/${model ?? pattern}`;
      const target = { provider, model: model ?? null, label, health: healthOf(label), facts: unknownFacts };
      return [{ target, on: null, group }];
    });
    const version = steps.map(({ target: { label, provider } }) => `${label}@${provider.baseUrl}`).join(' ');
    const plan = { pattern, steps, version };
    if (pattern.endsWith('*')) patterns.push({ prefix: pattern.slice(0, -1), plan });
    else exact.set(pattern, plan);
  }
  patterns.sort((a, b) => b.prefix.length - a.prefix.length);
  return { exact, patterns };
}

/** Finds the plan for a model, with the targets that can answer the endpoint. */
export function route(
  model: string,
  endpoint: Pick<Endpoint, 'name' | 'dialect'>,
  table: RouteTable,
): Plan | Refusal {
  const found = table.exact.get(model) ?? table.patterns.find(({ prefix }) => model.startsWith(prefix))?.plan;
  if (found === undefined) {
    return new Refusal('model_not_found', `No route serves the model "${model.slice(0, 128)}".`, {
      param: 'model',
    });
  }
  const client = dialects[endpoint.dialect];
  const serves = ({ target }: Step): boolean => canServe(target.provider.dialect, endpoint, client);
  if (found.steps.every(serves)) return found;
  const steps = found.steps.filter(serves);
  if (steps.length === 0) {
    const other = found.steps[0]?.target.provider.dialect.name ?? 'another';
    return new Refusal(
      'model_not_found',
      `The model "${model.slice(0, 128)}" is served in the ${other} dialect only, which has nothing for this endpoint.`,
      { param: 'model' },
    );
  }
  return { ...found, steps };
}

/** The model names a client may be shown: patterns stand for names unknown here. */
export function modelNames(table: RouteTable): string[] {
  return [...table.exact.keys()];
}
