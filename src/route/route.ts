/** Stage route: a model name and what the request needs → the targets that may answer, in order. */

import { didYouMean } from '../base/did-you-mean.ts';
import { Refusal } from '../base/errors.ts';
import { matchesPattern } from '../base/pattern.ts';
import { nameMaxLength } from '../catalog/catalog.ts';
import { dialects } from '../dialects/index.ts';
import { canServe } from '../dialects/translate.ts';
import { type Endpoint, unnamedRoute } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Priority } from '../exchange/priority.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { tiers } from '../native/classify.ts';
import { type Plan, type Step, stepsMax, type Target, type TargetHealth } from '../upstream/target.ts';
import { type Ask, capabilityNames, createAsk, neededOf, stickyHash, tierOf } from './ask.ts';
import { compile, type TargetDeps, targetMaker } from './compile.ts';
import type { RouteConfig } from './settings.ts';
import { type Branch, isFixed, leavesOf, type Node, selects, unable } from './tree.ts';

/** What routing needs besides the configuration. */
export interface RouteDeps extends TargetDeps {
  /** Random number, 0 ≤ x < 1. */
  readonly random: () => number;
  /** Estimated tokens of a prompt of `bytes` bytes, for the requested model. */
  readonly tokensOf: (model: string, bytes: number) => number;
}

/** One route compiled for one endpoint. */
export interface EndpointRoute {
  readonly pattern: string;
  readonly root: Branch;
  readonly version: string;
  readonly priority: Priority;
  /** The plan, if the order never changes; null: it depends on the request or on health. */
  readonly fixed: Plan | null;
  /** Essential fields that a target's dialect can't express are left out, instead of refused. */
  readonly drops: boolean;
  /** Longest reply of requests that state none, in tokens; null: the model's. */
  readonly defaultMaxTokens: number | null;
}

/** The part of an endpoint that decides which targets can serve it. */
type Served = Pick<Endpoint, 'kind' | 'dialect'>;

/** One route, compiled per endpoint when first used. */
interface CompiledRoute {
  /** Null: the route has no target for that endpoint. */
  of(endpoint: Served): EndpointRoute | null;
  /** Dialect of its first target; null: it has no target. */
  readonly speaks: string | null;
  /** The choice depends on what the request needs. */
  readonly selects: boolean;
}

/** A route with a pattern: compiled per requested model, since the facts of its targets' models depend on it. */
interface PatternRoute {
  readonly prefix: string;
  readonly make: (asked: string) => CompiledRoute;
  /** The models of the catalog that it serves, by the names that ask for them. */
  readonly names: (endpoint: Served) => Iterable<string>;
  /** Requested model → its route. */
  readonly byModel: Map<string, CompiledRoute>;
}

/** Models remembered per pattern; apps choose the names, so the oldest are evicted. */
const modelsMax = 1000;

/** All routes of a configuration, ready for requests. */
export interface RouteTable {
  readonly exact: ReadonlyMap<string, CompiledRoute>;
  /** Patterns with a trailing *, longest first. */
  readonly patterns: readonly PatternRoute[];
  /** Some route depends on what a request needs, so stage inspect must classify the body. */
  readonly classifies: boolean;
  readonly tokensOf: RouteDeps['tokensOf'];
  readonly ask: Ask;
}

/** Prepares all that doesn't depend on a request. */
export function createRouteTable(routes: readonly RouteConfig[], deps: RouteDeps): RouteTable {
  const exact = new Map<string, CompiledRoute>();
  const patterns: PatternRoute[] = [];
  let classifies = false;
  // Targets are made anew for each model name of a pattern, but what the configuration names is asked for once.
  const kept = new Map<string, TargetHealth>();
  const healthOf: TargetDeps['healthOf'] = (label, limits, pattern) => {
    if (pattern !== undefined) return deps.healthOf(label, limits, pattern);
    const health = kept.get(label) ?? deps.healthOf(label, limits);
    kept.set(label, health);
    return health;
  };
  for (const config of routes) {
    const make = (asked: string): CompiledRoute => compileRoute(config, asked, routes, { ...deps, healthOf });
    const compiled = make(config.model);
    classifies ||= compiled.selects;
    if (!config.model.endsWith('*')) exact.set(config.model, compiled);
    else {
      const prefix = config.model.slice(0, -1);
      const names = (endpoint: Served) => namesServed(prefix, compiled.of(endpoint), deps.catalog);
      patterns.push({ prefix, make, names, byModel: new Map() });
    }
  }
  patterns.sort((a, b) => b.prefix.length - a.prefix.length);
  return { exact, patterns, classifies, tokensOf: deps.tokensOf, ask: createAsk(deps.random) };
}

function compileRoute(
  config: RouteConfig,
  asked: string,
  routes: readonly RouteConfig[],
  deps: TargetDeps,
): CompiledRoute {
  const make = targetMaker(deps);
  const tree = (serves: (target: Target) => boolean): Branch | null =>
    compile(config, asked, routes, serves, make);
  const all = tree(() => true);
  const build = (endpoint: Served): EndpointRoute | null => {
    const client = dialects[endpoint.dialect];
    const serves = ({ provider }: Target): boolean => canServe(provider.dialect, endpoint, client);
    if (endpoint.kind !== 'embedding') {
      const whole = all !== null && leavesOf(all).every(({ target }) => serves(target));
      return endpointRoute(config, whole ? all : tree(serves));
    }
    // Embeddings of different models can't be mixed: the first target's model is used.
    const able = tree(serves);
    const modelOf = ({ served, model }: Target): string => served ?? model ?? asked;
    const first = able === null ? undefined : leavesOf(able)[0]?.target;
    const isSame = (target: Target): boolean => first !== undefined && modelOf(target) === modelOf(first);
    return endpointRoute(
      config,
      tree((target) => serves(target) && isSame(target)),
    );
  };
  // Filled when first used: most routes serve one endpoint only.
  const built = new Map<string, EndpointRoute | null>();
  return {
    of(endpoint) {
      // Kind and dialect decide which targets can serve.
      const key = `${endpoint.kind} ${endpoint.dialect}`;
      const known = built.get(key);
      if (known !== undefined) return known;
      const found = build(endpoint);
      built.set(key, found);
      return found;
    },
    speaks: all === null ? null : (leavesOf(all)[0]?.target.provider.dialect.name ?? null),
    selects: all !== null && selects(all),
  };
}

/** A pattern's route for one model name. */
function forModel({ make, byModel }: PatternRoute, model: string): CompiledRoute {
  const known = byModel.get(model);
  if (known !== undefined) return known;
  const made = make(model);
  if (model.length > nameMaxLength) return made;
  if (byModel.size >= modelsMax) byModel.delete(byModel.keys().next().value ?? '');
  byModel.set(model, made);
  return made;
}

function routeFor(model: string, { exact, patterns }: RouteTable): CompiledRoute | undefined {
  const compiled = exact.get(model);
  if (compiled !== undefined) return compiled;
  const pattern = patterns.find(({ prefix }) => model.startsWith(prefix));
  return pattern === undefined ? undefined : forModel(pattern, model);
}

function endpointRoute(
  { model: pattern, priority = 'interactive', unsupported, defaultMaxTokens: longest }: RouteConfig,
  root: Branch | null,
): EndpointRoute | null {
  if (root === null) return null;
  const defaultMaxTokens = longest ?? null;
  const drops = unsupported === 'drop';
  const limit = defaultMaxTokens === null ? '' : ` ≤${defaultMaxTokens}`;
  const version = `${versionOf(root)}${limit}${drops ? ' drops' : ''}`;
  const plain = (steps: Step[]): Plan => ({
    pattern,
    steps,
    fixed: true,
    version,
    tier: null,
    priority,
    drops,
    defaultMaxTokens,
  });
  const fixed = isFixed(root)
    ? plain(
        collect(
          root,
          createAsk(() => 0),
        ),
      )
    : null;
  return { pattern, root, version, priority, fixed, drops, defaultMaxTokens };
}

/** Text that changes with the targets, what the configuration sends them, and how they are chosen. */
function versionOf(node: Node): string {
  if (node.kind === 'leaf') return `${node.target.label}@${node.target.provider.version}`;
  const children = node.children.map(versionOf).join(' ');
  if (node.strategy.fixed) return children;
  return `(${node.children.map(({ tier }) => tier).join()}: ${children})`;
}

/** Names that an unknown one is compared with: anybody may send unknown names. */
const guessesMax = 100;

/** The first names of the models that a caller may use. */
function namesFor(allowed: Identity['models'], { exact }: RouteTable): string[] {
  const names: string[] = [];
  for (const name of exact.keys()) {
    if (allowed !== null && !allowed.some((pattern) => matchesPattern(pattern, name))) continue;
    if (names.push(name) === guessesMax) break;
  }
  return names;
}

/** Finds the route for a model and an endpoint. @param allowed models the caller may use; null: all */
export function findWay(
  model: string,
  endpoint: Served,
  table: RouteTable,
  allowed: Identity['models'] = null,
): EndpointRoute | Refusal {
  const compiled = routeFor(model, table);
  if (compiled === undefined) {
    const guess = didYouMean(model, namesFor(allowed, table));
    return new Refusal(
      'model_not_found',
      `No route serves the model "${model.slice(0, 128)}"${guess || '.'}`,
      {
        param: 'model',
      },
    );
  }
  const found = compiled.of(endpoint);
  if (found !== null) return found;
  return new Refusal(
    'model_not_found',
    `The model "${model.slice(0, 128)}" is only served in the ${compiled.speaks} dialect, which doesn't support this endpoint.`,
    { param: 'model' },
  );
}

/** Decides which targets to try for one request, in which order. @param nowMs monotonic ms */
export function route(
  exchange: Pick<Exchange, 'endpoint' | 'headers'>,
  identity: Identity,
  request: ModelRequest,
  table: RouteTable,
  nowMs: number,
): Plan | Refusal {
  const { endpoint } = exchange;
  const found = findWay(request.model, endpoint, table, identity.models);
  if (found instanceof Refusal) return isUnnamed(endpoint, request) ? nameless() : found;
  if (found.fixed !== null) return found.fixed;
  const { ask } = table;
  const refusal = fillAsk(ask, exchange, identity, request, table, nowMs);
  if (refusal !== null) return refusal;
  const steps = collect(found.root, ask);
  if (steps.length === 0) return notCapable(found, ask);
  const version = ask.variant === 0 ? found.version : `${found.version} #${ask.variant >>> 0}`;
  const tier = ask.tierUsed ? (tiers[ask.tier] ?? null) : null;
  const { pattern, priority, drops, defaultMaxTokens } = found;
  return { pattern, steps, fixed: false, version, tier, priority, drops, defaultMaxTokens };
}

/** Whether a request names no model, and is meant for the route of such requests. */
const isUnnamed = ({ unnamed, inPath }: Endpoint, { modelEnd }: ModelRequest): boolean =>
  unnamed === unnamedRoute && inPath === null && modelEnd === 0;

const nameless = (): Refusal =>
  new Refusal(
    'invalid_field',
    `The request names no model, and there is no route "${unnamedRoute}" that serves such requests.`,
    { param: 'model' },
  );

/** Fills `ask` for one request; returns a refusal if a header is invalid. */
export function fillAsk(
  ask: Ask,
  exchange: Pick<Exchange, 'endpoint' | 'headers'>,
  { tenant, user }: Identity,
  request: ModelRequest,
  { tokensOf }: RouteTable,
  nowMs: number,
): Refusal | null {
  const needs = neededOf(exchange, request);
  if (needs instanceof Refusal) return needs;
  const tier = tierOf(exchange, request);
  if (tier instanceof Refusal) return tier;
  ask.nowMs = nowMs;
  ask.stream = request.stream;
  ask.needs = needs;
  ask.tier = tier;
  ask.promptTokens = tokensOf(request.model, request.textBytes);
  ask.replyMaxTokens = request.maxTokens ?? 0;
  ask.tenant = stickyHash(tenant);
  ask.user = user === null ? -1 : stickyHash(tenant, user);
  ask.variant = 0;
  ask.tierUsed = false;
  return null;
}

/** Slot → stamp of the plan that last used it; a new stamp for each plan saves clearing this. */
const stamps = new Uint32Array(stepsMax);
let stamp = 0;

/** The steps of a tree for one request. */
function collect(root: Branch, ask: Ask): Step[] {
  stamp = (stamp + 1) >>> 0;
  const steps: Step[] = [];
  emit(root, ask, true, false, steps);
  return steps;
}

/**
 * Appends a node's steps; returns whether there were any.
 * @param entry the node is what an edge of a chain leads to
 * @param select skip targets that can't serve what the request needs
 */
function emit(node: Node, ask: Ask, entry: boolean, select: boolean, steps: Step[]): boolean {
  if (node.kind === 'leaf') {
    if (stamps[node.slot] === stamp || (select && unable(node, ask) !== null)) return false;
    stamps[node.slot] = stamp;
    steps.push(entry ? node.entry : node.other);
    return true;
  }
  const { strategy, order, children } = node;
  const count = strategy.arrange(node, ask);
  const selecting = select || strategy.selects;
  let any = false;
  for (let i = 0; i < count; i++) {
    const child = children[order[i] ?? 0];
    if (child === undefined) continue;
    // Later links of a chain have their own edge; alternatives share one.
    const first = strategy.fixed ? i > 0 || entry : entry && !any;
    if (emit(child, ask, first, selecting, steps)) any = true;
  }
  return any;
}

function notCapable({ pattern }: EndpointRoute, ask: Ask): Refusal {
  const needs = capabilityNames(ask.needs);
  const what = needs.length === 0 ? 'its length' : `${needs.join(', ')} and its length`;
  return new Refusal('not_capable', `No target of the route "${pattern}" supports a request with ${what}.`, {
    param: 'model',
  });
}

/** The exact names of routes. */
export function modelNames(table: RouteTable): string[] {
  return [...table.exact.keys()];
}

/** The model names to list for clients of an endpoint: those of routes, and what patterns serve of the catalog. */
export function servedNames(table: RouteTable, endpoint: Served): string[] {
  const names = new Set<string>();
  for (const [name, compiled] of table.exact) if (compiled.of(endpoint) !== null) names.add(name);
  for (const pattern of table.patterns) for (const name of pattern.names(endpoint)) names.add(name);
  return [...names];
}

/** A target with a model of its own serves whatever is asked for, which is no list of names. */
function* namesServed(
  prefix: string,
  found: EndpointRoute | null,
  catalog: RouteDeps['catalog'],
): Generator<string> {
  if (found === null) return;
  for (const { target } of leavesOf(found.root)) {
    const { model, provider } = target;
    for (const name of catalog.names(provider.name)) {
      if (model === null) {
        if (name.startsWith(prefix)) yield name;
      } else if (model.endsWith('*') && matchesPattern(model, name)) {
        yield prefix + name.slice(model.length - 1);
      }
    }
  }
}
