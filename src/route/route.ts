/** Stage route: a model name, and what the request needs → the targets that may answer it, in order. */

import { Refusal } from '../base/errors.ts';
import { nameMaxLength } from '../catalog/catalog.ts';
import { dialects } from '../dialects/index.ts';
import { canServe } from '../dialects/translate.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Priority } from '../exchange/priority.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { tiers } from '../native/classify.ts';
import { type Plan, type Step, stepsMax, type Target, type TargetHealth } from '../upstream/target.ts';
import { type Ask, capabilityNames, createAsk, neededOf, stickyHash, tierOf } from './ask.ts';
import { compile, type TargetDeps, targetMaker } from './compile.ts';
import { createFileTable, type FileTable } from './files.ts';
import type { RouteConfig } from './settings.ts';
import { type Branch, isFixed, leavesOf, type Node, selects, unable } from './tree.ts';

/** What routing works with besides the configuration. */
export interface RouteDeps extends TargetDeps {
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** Tokens of a prompt of so many bytes, for a model name as asked for. */
  readonly tokensOf: (model: string, bytes: number) => number;
}

/** One route for one kind of request. */
export interface Way {
  readonly pattern: string;
  readonly root: Branch;
  readonly version: string;
  readonly priority: Priority;
  /** The plan of a route whose order never changes. */
  readonly fixed: Plan | null;
  /** It has one target, which the app has chosen with its name. */
  readonly chosen: boolean;
}

/** An endpoint as routes tell them apart. */
type Served = Pick<Endpoint, 'kind' | 'dialect'>;

/** A route's ways, one for each endpoint. */
interface Ways {
  /** Null: it has no target for that endpoint. */
  of(endpoint: Served): Way | null;
  /** What its first target speaks; null: it has none. */
  readonly speaks: string | null;
  /** It goes by what a request needs. */
  readonly selects: boolean;
}

/** A pattern's ways: what is known of its targets' models shows only when one is asked for. */
interface OpenWays {
  readonly prefix: string;
  readonly make: (asked: string) => Ways;
  /** By the model asked for. */
  readonly closed: Map<string, Ways>;
}

/** Models remembered for a pattern; apps choose the names, so the oldest make room. */
const closedMax = 1000;

export interface RouteTable {
  readonly exact: ReadonlyMap<string, Ways>;
  /** Patterns with a trailing *, longest first. */
  readonly patterns: readonly OpenWays[];
  /** Some route asks what a request needs, so `inspect` has to find it out. */
  readonly classifies: boolean;
  readonly tokensOf: RouteDeps['tokensOf'];
  readonly ask: Ask;
  readonly files: FileTable;
}

/** Makes everything about routes that doesn't depend on a request. */
export function createRouteTable(routes: readonly RouteConfig[], deps: RouteDeps): RouteTable {
  const exact = new Map<string, Ways>();
  const patterns: OpenWays[] = [];
  let classifies = false;
  // Targets of patterns are made anew for each name, but their state never is.
  const kept = new Map<string, TargetHealth>();
  const healthOf: TargetDeps['healthOf'] = (label, limits) => {
    const health = kept.get(label) ?? deps.healthOf(label, limits);
    kept.set(label, health);
    return health;
  };
  for (const config of routes) {
    const make = (asked: string): Ways => waysOf(config, asked, routes, { ...deps, healthOf });
    const ways = make(config.model);
    classifies ||= ways.selects;
    if (!config.model.endsWith('*')) exact.set(config.model, ways);
    else patterns.push({ prefix: config.model.slice(0, -1), make, closed: new Map() });
  }
  patterns.sort((a, b) => b.prefix.length - a.prefix.length);
  const files = createFileTable(deps.providers, healthOf);
  return { exact, patterns, classifies, tokensOf: deps.tokensOf, ask: createAsk(deps.random), files };
}

function waysOf(config: RouteConfig, asked: string, routes: readonly RouteConfig[], deps: TargetDeps): Ways {
  const make = targetMaker(deps);
  const tree = (serves: (target: Target) => boolean): Branch | null =>
    compile(config, asked, routes, serves, make);
  const all = tree(() => true);
  const build = (endpoint: Served): Way | null => {
    const client = dialects[endpoint.dialect];
    const serves = ({ provider }: Target): boolean => canServe(provider.dialect, endpoint, client);
    if (endpoint.kind !== 'embedding') {
      const whole = all !== null && leavesOf(all).every(({ target }) => serves(target));
      return wayOf(config, whole ? all : tree(serves));
    }
    // Vectors of one model mean nothing to another: whoever would be asked first decides which model it is.
    const able = tree(serves);
    const model = able === null ? null : leavesOf(able)[0]?.target.model;
    return wayOf(
      config,
      tree((target) => serves(target) && target.model === model),
    );
  };
  // Most routes are asked for one endpoint only.
  const built = new Map<string, Way | null>();
  return {
    of(endpoint) {
      // Kind and dialect decide who can serve.
      const key = `${endpoint.kind} ${endpoint.dialect}`;
      const known = built.get(key);
      if (known !== undefined) return known;
      const way = build(endpoint);
      built.set(key, way);
      return way;
    },
    speaks: all === null ? null : (leavesOf(all)[0]?.target.provider.dialect.name ?? null),
    selects: all !== null && selects(all),
  };
}

/** The ways of a pattern for one model name. */
function close({ make, closed }: OpenWays, model: string): Ways {
  const known = closed.get(model);
  if (known !== undefined) return known;
  const made = make(model);
  if (model.length > nameMaxLength) return made;
  if (closed.size >= closedMax) closed.delete(closed.keys().next().value ?? '');
  closed.set(model, made);
  return made;
}

function waysFor(model: string, { exact, patterns }: RouteTable): Ways | undefined {
  const ways = exact.get(model);
  if (ways !== undefined) return ways;
  const open = patterns.find(({ prefix }) => model.startsWith(prefix));
  return open === undefined ? undefined : close(open, model);
}

function wayOf({ model: pattern, priority = 'interactive' }: RouteConfig, root: Branch | null): Way | null {
  if (root === null) return null;
  const version = versionOf(root);
  const chosen = leavesOf(root).length === 1;
  const plain = (steps: Step[]): Plan => ({
    pattern,
    steps,
    fixed: true,
    version,
    tier: null,
    priority,
    chosen,
  });
  const fixed = isFixed(root)
    ? plain(
        collect(
          root,
          createAsk(() => 0),
        ),
      )
    : null;
  return { pattern, root, version, priority, fixed, chosen };
}

/** The targets, where they live, and how they are chosen. */
function versionOf(node: Node): string {
  if (node.kind === 'leaf') return `${node.target.label}@${node.target.provider.baseUrl}`;
  const children = node.children.map(versionOf).join(' ');
  if (node.strategy.fixed) return children;
  return `(${node.children.map(({ tier }) => tier).join()}: ${children})`;
}

/** Finds the way for a model and an endpoint. */
export function findWay(model: string, endpoint: Served, table: RouteTable): Way | Refusal {
  const ways = waysFor(model, table);
  if (ways === undefined) {
    return new Refusal('model_not_found', `No route serves the model "${model.slice(0, 128)}".`, {
      param: 'model',
    });
  }
  const way = ways.of(endpoint);
  if (way !== null) return way;
  return new Refusal(
    'model_not_found',
    `The model "${model.slice(0, 128)}" is served in the ${ways.speaks} dialect only, which has nothing for this endpoint.`,
    { param: 'model' },
  );
}

/** Decides whom to ask for one request, in which order. */
export function route(
  exchange: Exchange,
  identity: Identity,
  request: ModelRequest,
  table: RouteTable,
  nowMs: number,
): Plan | Refusal {
  const way = findWay(request.model, exchange.endpoint, table);
  if (way instanceof Refusal) return way;
  if (way.fixed !== null) return way.fixed;
  const { ask } = table;
  const refusal = fillAsk(ask, exchange, identity, request, table, nowMs);
  if (refusal !== null) return refusal;
  const steps = collect(way.root, ask);
  if (steps.length === 0) return notCapable(way, ask);
  const version = ask.variant === 0 ? way.version : `${way.version} #${ask.variant >>> 0}`;
  const tier = ask.tierUsed ? (tiers[ask.tier] ?? null) : null;
  const { pattern, priority, chosen } = way;
  return { pattern, steps, fixed: false, version, tier, priority, chosen };
}

/** Finds out what strategies ask of a request; a refusal is of a header. */
export function fillAsk(
  ask: Ask,
  exchange: Exchange,
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

/** In which plan a slot was used last; a number a plan saves clearing it. */
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
 * Appends a node's steps; says whether there were any.
 * @param entry it is what an edge of a chain leads to
 * @param select leave out what can't do what the request needs
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
    // Later links of a chain have an edge of their own; alternatives share the one that led to them all.
    const first = strategy.fixed ? i > 0 || entry : entry && !any;
    if (emit(child, ask, first, selecting, steps)) any = true;
  }
  return any;
}

function notCapable({ pattern }: Way, ask: Ask): Refusal {
  const needs = capabilityNames(ask.needs);
  const what = needs.length === 0 ? 'its length' : `${needs.join(', ')} and its length`;
  return new Refusal('not_capable', `No target of the route "${pattern}" can take a request with ${what}.`, {
    param: 'model',
  });
}

/** The model names a client may be shown: patterns stand for names unknown here. */
export function modelNames(table: RouteTable): string[] {
  return [...table.exact.keys()];
}
