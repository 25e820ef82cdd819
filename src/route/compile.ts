/** Turns the configuration's routes into trees of targets: names resolved, routes nested in place, all bounded. */
import type { Provider } from '../attempt/connection.ts';
import { type Capability, type ModelFacts, unknownFacts } from '../catalog/facts.ts';
import type { RouteConfig, RouteTargetConfig } from '../config/schema.ts';
import { capabilityBits, stickyHash } from './ask.ts';
import { stepsMax, type Target, type TargetHealth, tiers } from './plan.ts';
import { strategies } from './strategies.ts';
import { type Branch, type Edge, type Leaf, type Node, placeOf } from './tree.ts';

/** What a route's targets are made with. */
export interface TargetDeps {
  readonly providers: ReadonlyMap<string, Provider>;
  /** The state kept for a label. */
  readonly healthOf: (label: string) => TargetHealth;
  /** What is known of a model; null: of whatever is asked for. Unset: nothing is. */
  readonly factsOf?: (provider: Provider, model: string | null) => ModelFacts;
}

/** Finds the route that serves a model name: the exact name, else the longest pattern. */
export function findConfig<T extends { readonly model: string }>(
  routes: readonly T[],
  name: string,
): T | undefined {
  let best: T | undefined;
  for (const route of routes) {
    if (route.model === name) return route;
    if (!route.model.endsWith('*') || !name.startsWith(route.model.slice(0, -1))) continue;
    if (best === undefined || route.model.length > best.model.length) best = route;
  }
  return best;
}

/** Builds the tree of a route with the targets that `serves` lets through; null: none. */
export function compile(
  route: RouteConfig,
  routes: readonly RouteConfig[],
  serves: (target: Target) => boolean,
  deps: TargetDeps,
): Branch | null {
  const open = new Set<RouteConfig>();
  const slots = new Map<string, number>();
  let leaves = 0;
  let groups = 0;
  /** Of all routes on the way to a target. */
  let needs = 0;

  /** @param asked the model name the route stands for; null: whatever the app asks for */
  const branch = (
    config: RouteConfig,
    asked: string | null,
    edge: Edge,
    as: RouteTargetConfig,
  ): Branch | null => {
    // `check` refuses cycles; nothing here depends on its having been asked.
    if (open.has(config)) return null;
    open.add(config);
    const outer = needs;
    needs |= capabilityBits(new Set(config.needs));
    const strategy = strategies[config.strategy];
    const children: Node[] = [];
    for (const target of config.targets) {
      const own = children.length === 0 || !strategy.fixed ? edge : edgeOf(target, ++groups);
      const child = node(config, target, asked, own);
      if (child !== null) children.push(child);
    }
    open.delete(config);
    needs = outer;
    if (children.length === 0) return null;
    return {
      kind: 'branch',
      ...placeOf(as, stickyHash(config.model), tiers),
      strategy,
      sticky: config.sticky,
      children,
      order: new Uint8Array(children.length),
      keys: new Float64Array(children.length),
    };
  };

  const node = (
    config: RouteConfig,
    as: RouteTargetConfig,
    asked: string | null,
    edge: Edge,
  ): Node | null => {
    if (leaves >= stepsMax) return null;
    if (as.route === undefined) return leaf(config, as, asked, edge);
    const nested = findConfig(routes, as.route);
    const name = as.route.endsWith('*') ? asked : as.route;
    return nested === undefined ? null : branch(nested, name, edge, as);
  };

  const leaf = (
    config: RouteConfig,
    as: RouteTargetConfig,
    asked: string | null,
    edge: Edge,
  ): Leaf | null => {
    const provider = deps.providers.get(as.provider ?? '');
    if (provider === undefined) return null;
    const target = targetOf(provider, as.model ?? asked, config.model, as.capabilities, deps);
    const able = capabilityBits(target.facts.capabilities);
    if (!serves(target) || (needs & ~able) !== 0) return null;
    leaves += 1;
    const key = JSON.stringify([provider.name, target.model]);
    const slot = slots.get(key) ?? slots.size;
    slots.set(key, slot);
    return {
      kind: 'leaf',
      ...placeOf(as, stickyHash(target.label), tiers),
      target,
      able,
      entry: { target, ...edge },
      other: { target, group: edge.group, on: null },
      slot,
    };
  };

  return branch(route, null, { group: 0, on: null }, {});
}

const edgeOf = ({ on }: RouteTargetConfig, group: number): Edge => ({
  group,
  on: on === undefined ? null : new Set(on),
});

function targetOf(
  provider: Provider,
  model: string | null,
  pattern: string,
  declared: readonly Capability[] | undefined,
  { factsOf, healthOf }: TargetDeps,
): Target {
  const label = `${provider.name}/${model ?? pattern}`;
  const known = factsOf?.(provider, model) ?? unknownFacts;
  const facts = declared === undefined ? known : { ...known, capabilities: new Set(declared) };
  return { provider, model, label, health: healthOf(label), facts };
}
