/** A route as a tree of targets, built from the configuration, and what strategies ask about its nodes. */
import { costNanoUsd, type Price } from '../catalog/facts.ts';
import type { Tier } from '../native/classify.ts';
import { healthyTarget } from '../upstream/open-call.ts';
import type { FallbackCause, Step, Target } from '../upstream/target.ts';
import type { Ask } from './ask.ts';
import type { RouteTargetConfig } from './settings.ts';

/** How a route's targets are ordered. One file per strategy, listed in `strategies.ts`. */
export interface Strategy {
  /** The order depends neither on the request nor on health. */
  readonly fixed: boolean;
  /** Targets that can't serve what the request needs are skipped, in nested routes too. */
  readonly selects: boolean;
  /** Writes indices of `branch.children` into `branch.order`, best first; returns how many may be tried. */
  readonly arrange: (branch: Branch, ask: Ask) => number;
}

/** Settings of one target of a route. */
interface NodeSettings {
  /** Share under `weighted`. */
  readonly weight: number;
  /** Index in `tiers`, for `cost`; -1: not set. */
  readonly tier: number;
  /** Hash of the target's name, for the draw of `weighted`. */
  readonly salt: number;
}

/** A node that is a single target. */
export interface Leaf extends NodeSettings {
  readonly kind: 'leaf';
  readonly target: Target;
  /** Its capabilities, as bits. */
  readonly able: number;
  /** Its step where it is the first that an edge of a chain leads to. */
  readonly entry: Step;
  /** Its step where it is an alternative to others. */
  readonly other: Step;
  /** Number of this target in the tree: one that occurs twice is tried once. */
  readonly slot: number;
}

/** A node that is a route, with its targets in order. */
export interface Branch extends NodeSettings {
  readonly kind: 'branch';
  readonly strategy: Strategy;
  readonly sticky: 'user' | 'tenant' | 'request';
  /** For `least_loaded`: requests that may queue in each engine before hosted targets come first; null: never. */
  readonly overflowDepth: number | null;
  readonly children: readonly Node[];
  /** A strategy's result, and scratch space for its sort keys. */
  readonly order: Uint8Array;
  readonly keys: Float64Array;
}

/** A node of a route's tree. */
export type Node = Leaf | Branch;

/** Tokens assumed for a reply without a limit, where prices are compared. */
export const replyTypicalTokens = 500;

/** Whether any target of a node is healthy. */
export function healthy(node: Node, ask: Ask): boolean {
  if (node.kind === 'leaf') return healthyTarget(node.target, ask.nowMs);
  for (const child of node.children) if (healthy(child, ask)) return true;
  return false;
}

/** Whether any target of a node can serve the request. What isn't known of a model counts as supported. */
export function able(node: Node, ask: Ask): boolean {
  if (node.kind === 'leaf') return unable(node, ask) === null;
  for (const child of node.children) if (able(child, ask)) return true;
  return false;
}

/** Why a target can't serve a request; null: it can. */
export function unable(
  { able, target: { facts } }: Leaf,
  ask: Ask,
): 'capability' | 'context' | 'output' | null {
  if ((ask.needs & ~able) !== 0) return 'capability';
  const { contextTokens, outputMaxTokens } = facts;
  if (contextTokens !== null && ask.promptTokens + ask.replyMaxTokens > contextTokens) return 'context';
  return outputMaxTokens !== null && ask.replyMaxTokens > outputMaxTokens ? 'output' : null;
}

/** The same in words. */
export const inabilities = {
  capability: 'it lacks what the request needs',
  context: 'the prompt and reply exceed its context',
  output: 'the reply may exceed its output limit',
} as const satisfies Record<NonNullable<ReturnType<typeof unable>>, string>;

/** Estimated cost of the request at a node's cheapest capable target, nano-dollars; Infinity: unknown. */
export function price(node: Node, ask: Ask): number {
  if (node.kind === 'leaf') {
    if (node.target.facts.price === null || unable(node, ask) !== null) return Number.POSITIVE_INFINITY;
    return priceAt(node.target.facts.price, ask);
  }
  let least = Number.POSITIVE_INFINITY;
  for (const child of node.children) least = Math.min(least, price(child, ask));
  return least;
}

/** Reused for each target, since prices are computed often. */
const usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, cacheWriteTokens: 0, known: false };

/** The request's estimated cost at a price, nano-dollars. */
function priceAt(price: Price, { promptTokens, replyMaxTokens }: Ask): number {
  usage.inputTokens = promptTokens;
  usage.outputTokens =
    replyMaxTokens === 0 ? replyTypicalTokens : Math.min(replyMaxTokens, replyTypicalTokens);
  return costNanoUsd(price, usage);
}

/** What strategy `latency` compares: the reading of a node's fastest healthy target, in ms or ms per token. */
export function latency(node: Node, ask: Ask): number {
  if (node.kind === 'leaf') return node.target.health.latency.cost(ask.stream, ask.nowMs);
  let least = Number.POSITIVE_INFINITY;
  for (const child of node.children) {
    if (healthy(child, ask)) least = Math.min(least, latency(child, ask));
  }
  return least;
}

/** Whether all targets of a node are ejected for consecutive failures. */
export function ejected(node: Node, ask: Ask): boolean {
  if (node.kind === 'leaf') return node.target.health.latency.ejected(ask.nowMs);
  for (const child of node.children) if (!ejected(child, ask)) return false;
  return true;
}

/** Sorts the first `count` entries of a branch's order by their keys; the sort is stable. */
export function sortByKey({ order, keys }: Branch, count: number): void {
  for (let i = 1; i < count; i++) {
    const index = order[i] ?? 0;
    const key = keys[index] ?? 0;
    let at = i;
    for (; at > 0 && (keys[order[at - 1] ?? 0] ?? 0) > key; at--) order[at] = order[at - 1] ?? 0;
    order[at] = index;
  }
}

/** Whether a node's order is the same for every request. */
export const isFixed = (node: Node): boolean =>
  node.kind === 'leaf' || (node.strategy.fixed && node.children.every(isFixed));

/** Whether a node's order depends on what the request needs and costs. */
export const selects = (node: Node): boolean =>
  node.kind === 'branch' && (node.strategy.selects || node.children.some(selects));

/** All targets of a node, in configured order. */
export const leavesOf = (node: Node): Leaf[] =>
  node.kind === 'leaf' ? [node] : node.children.flatMap(leavesOf);

/** A target's position in its chain: see `Step`. */
export interface Edge {
  readonly group: number;
  readonly on: ReadonlySet<FallbackCause> | null;
  readonly depth: number;
}

/** A configured target's settings. @param salt hash of its name */
export const nodeSettings = (
  { weight, tier }: Pick<RouteTargetConfig, 'weight' | 'tier'>,
  salt: number,
  tiers: readonly Tier[],
): NodeSettings => ({ weight: weight ?? 1, tier: tier === undefined ? -1 : tiers.indexOf(tier), salt });
