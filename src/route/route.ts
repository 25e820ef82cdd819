/** Stage route: a model name → the targets that may answer it, in order. */
import type { Provider } from '../attempt/connection.ts';
import type { RouteConfig } from '../config/schema.ts';
import { Refusal } from '../errors.ts';
import type { DialectName } from '../providers/provider.ts';

/** One place a request may go to. */
export interface Target {
  readonly provider: Provider;
  /** The provider's model name; null: the one asked for. */
  readonly model: string | null;
  /** `provider/model`, from the configuration alone, so that metrics stay bounded. */
  readonly label: string;
  readonly health: TargetHealth;
}

/** A target's state over all requests; outlives a reload. */
export interface TargetHealth {
  /** Circuit breaker in the native core. */
  readonly breakerId: number;
  /** Monotonic ms until which a 429 lets it rest. */
  restsUntilMs: number;
}

export interface Route {
  /** The configured name or pattern. */
  readonly pattern: string;
  readonly targets: readonly Target[];
  /** Changes with the targets; part of the cache's scope. */
  readonly version: string;
}

export interface RouteTable {
  readonly exact: ReadonlyMap<string, Route>;
  /** Patterns with a trailing *, longest first. */
  readonly patterns: readonly { readonly prefix: string; readonly route: Route }[];
}

/** @param healthOf the state kept for a label */
export function createRouteTable(
  routes: readonly RouteConfig[],
  providers: ReadonlyMap<string, Provider>,
  healthOf: (label: string) => TargetHealth,
): RouteTable {
  const exact = new Map<string, Route>();
  const patterns: { prefix: string; route: Route }[] = [];
  for (const { model: pattern, targets: chain } of routes) {
    const targets = chain.flatMap(({ provider: name, model }): Target[] => {
      const provider = providers.get(name);
      if (provider === undefined) return [];
      const label = `${name}/${model ?? pattern}`;
      return [{ provider, model: model ?? null, label, health: healthOf(label) }];
    });
    const version = targets.map(({ label, provider }) => `${label}@${provider.baseUrl}`).join(' ');
    const route = { pattern, targets, version };
    if (pattern.endsWith('*')) patterns.push({ prefix: pattern.slice(0, -1), route });
    else exact.set(pattern, route);
  }
  patterns.sort((a, b) => b.prefix.length - a.prefix.length);
  return { exact, patterns };
}

/** Finds the route of a model, with the targets that speak the client's dialect. */
export function route(model: string, dialect: DialectName, table: RouteTable): Route | Refusal {
  const found =
    table.exact.get(model) ?? table.patterns.find(({ prefix }) => model.startsWith(prefix))?.route;
  if (found === undefined) {
    return new Refusal('model_not_found', `No route serves the model "${model.slice(0, 128)}".`, {
      param: 'model',
    });
  }
  if (found.targets.every((target) => target.provider.dialect.name === dialect)) return found;
  const targets = found.targets.filter((target) => target.provider.dialect.name === dialect);
  if (targets.length === 0) {
    const other = found.targets[0]?.provider.dialect.name ?? 'another';
    return new Refusal(
      'model_not_found',
      `The model "${model.slice(0, 128)}" is served in the ${other} dialect only, and this endpoint speaks ${dialect}.`,
      { param: 'model' },
    );
  }
  return { ...found, targets };
}

/** The model names a client may be shown: patterns stand for names unknown here. */
export function modelNames(table: RouteTable): string[] {
  return [...table.exact.keys()];
}
