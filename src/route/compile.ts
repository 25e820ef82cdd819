/** Compiles configured routes into trees of targets: names resolved, nested routes inlined, sizes bounded. */

import { matchesPattern } from '../base/pattern.ts';
import { type Catalog, nameMaxLength } from '../catalog/catalog.ts';
import { unknownFacts } from '../catalog/facts.ts';
import { tiers } from '../native/classify.ts';
import type { Provider } from '../upstream/target.ts';
import { stepsMax, type Target, type TargetHealth } from '../upstream/target.ts';
import { capabilityBits, stickyHash } from './ask.ts';
import type { RouteConfig, RouteTargetConfig } from './settings.ts';
import { strategies } from './strategies.ts';
import { type Branch, type Edge, type Leaf, type Node, nodeSettings } from './tree.ts';

/** What is needed to make a route's targets. */
export interface TargetDeps {
  readonly providers: ReadonlyMap<string, Provider>;
  /**
   * State of the target with a label.
   * @param pattern for a model that only the request names: the label as configured
   */
  readonly healthOf: (label: string, limits?: RouteTargetConfig['limits'], pattern?: string) => TargetHealth;
  /** Facts of the targets' models. */
  readonly catalog: Catalog;
}

/** Makes a target of one route, once even if several trees are built; null: its provider is unknown. */
export type MakeTarget = (as: RouteTargetConfig, name: Name) => Target | null;

/** A model name as it is resolved through nested routes. */
interface Name {
  /** The requested model, or the pattern while none is requested; in a nested route, that route's name. */
  readonly asked: string;
  /** `asked` is the app's own model name, which is passed to a provider unchanged. */
  readonly own: boolean;
  /** Name or pattern of the route. */
  readonly pattern: string;
}

/** Finds the route for a model name: by exact name, otherwise by the longest matching pattern. */
export function findConfig<T extends { readonly model: string }>(
  routes: readonly T[],
  name: string,
): T | undefined {
  let best: T | undefined;
  for (const route of routes) {
    if (route.model === name) return route;
    if (!matchesPattern(route.model, name)) continue;
    if (best === undefined || route.model.length > best.model.length) best = route;
  }
  return best;
}

/** Returns a function that makes targets and remembers them. */
export function targetMaker({ providers, healthOf, catalog }: TargetDeps): MakeTarget {
  const made = new Map<string, Target>();
  return (as, { asked, own, pattern }) => {
    const provider = providers.get(as.provider ?? '');
    if (provider === undefined) return null;
    const model = as.model === undefined ? (own ? null : asked) : filled(as.model, asked, pattern);
    const configured = configuredLabel(as, { asked, own, pattern });
    const name = model ?? asked;
    const isConfigured = configured === `${provider.name}/${name}`;
    const label = isConfigured ? configured : `${provider.name}/${printable(name)}`;
    const key = JSON.stringify([configured, model, as.capabilities, as.serves]);
    const before = made.get(key);
    if (before !== undefined) return before;
    const served = as.serves ?? name;
    const known = served.endsWith('*') ? unknownFacts : catalog.facts(provider.name, served);
    const { capabilities } = as;
    const facts = capabilities === undefined ? known : { ...known, capabilities: new Set(capabilities) };
    const health = isConfigured ? healthOf(label, as.limits) : healthOf(label, as.limits, configured);
    const target = {
      provider,
      model,
      ...(as.serves === undefined ? {} : { served }),
      label,
      health,
      facts,
    };
    made.set(key, target);
    return target;
  };
}

/** A target's `provider/model` as configured: with the * of a pattern. */
const configuredLabel = (as: RouteTargetConfig, { asked, own, pattern }: Name): string =>
  `${as.provider}/${as.model ?? (own ? pattern : asked)}`;

/** A model name that a header can carry: other characters percent-encoded as UTF-8, and cut. */
const printable = (name: string): string =>
  name
    .slice(0, nameMaxLength)
    .toWellFormed()
    .replace(/[^ -~]/gu, encodeURIComponent);

/** A target's model name, with its * replaced by what the route's * matched. */
function filled(model: string, asked: string, pattern: string): string {
  const prefix = pattern.slice(0, -1);
  if (!model.endsWith('*') || !pattern.endsWith('*') || !asked.startsWith(prefix)) return model;
  return model.slice(0, -1) + asked.slice(prefix.length);
}

/**
 * Builds the tree of a route for a model name, with the targets that `serves` accepts; null: there are none.
 * @param asked the requested model; the route's pattern while it isn't known
 */
export function compile(
  route: RouteConfig,
  asked: string,
  routes: readonly RouteConfig[],
  serves: (target: Target) => boolean,
  make: MakeTarget,
): Branch | null {
  const open = new Set<RouteConfig>();
  const slots = new Map<string, number>();
  let leaves = 0;
  let groups = 0;
  /** Capabilities required by all routes around the current target. */
  let needs = 0;

  const branch = (config: RouteConfig, name: Name, edge: Edge, as: RouteTargetConfig): Branch | null => {
    // `check` rejects cycles, but this must not depend on it.
    if (open.has(config)) return null;
    open.add(config);
    const outer = needs;
    needs |= capabilityBits(new Set(config.needs));
    const strategy = strategies[config.strategy];
    const children: Node[] = [];
    for (const target of config.targets) {
      const own = children.length === 0 || !strategy.fixed ? edge : edgeOf(target, ++groups, open.size);
      const child = node(target, name, own);
      if (child !== null) children.push(child);
    }
    open.delete(config);
    needs = outer;
    if (children.length === 0) return null;
    return {
      kind: 'branch',
      ...nodeSettings(as, stickyHash(config.model), tiers),
      strategy,
      sticky: config.sticky,
      overflowDepth: config.overflow?.queueDepth ?? null,
      children,
      order: new Uint8Array(children.length),
      keys: new Float64Array(children.length),
    };
  };

  const node = (as: RouteTargetConfig, name: Name, edge: Edge): Node | null => {
    if (leaves >= stepsMax) return null;
    if (as.route === undefined) return leaf(as, name, edge);
    const nested = findConfig(routes, as.route);
    if (nested === undefined) return null;
    const same = as.route.endsWith('*');
    const next = same ? name : { asked: as.route, own: false };
    return branch(nested, { ...next, pattern: nested.model }, edge, as);
  };

  const leaf = (as: RouteTargetConfig, name: Name, edge: Edge): Leaf | null => {
    const target = make(as, name);
    if (target === null || !serves(target)) return null;
    const able = capabilityBits(target.facts.capabilities);
    if ((needs & ~able) !== 0) return null;
    leaves += 1;
    const key = JSON.stringify([target.provider.name, target.model]);
    const slot = slots.get(key) ?? slots.size;
    slots.set(key, slot);
    return {
      kind: 'leaf',
      ...nodeSettings(as, stickyHash(configuredLabel(as, name)), tiers),
      target,
      able,
      entry: { target, ...edge },
      other: { target, ...edge, on: null },
      slot,
    };
  };

  return branch(route, { asked, own: true, pattern: route.model }, { group: 0, on: null, depth: 1 }, {});
}

const edgeOf = ({ on }: RouteTargetConfig, group: number, depth: number): Edge => ({
  group,
  depth,
  on: on === undefined ? null : new Set(on),
});
