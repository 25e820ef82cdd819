/** A route as a tree of targets, made once from the configuration, and what strategies ask of its nodes. */
import { costNanoUsd, type Price } from '../catalog/facts.ts';
import type { Tier } from '../native/classify.ts';
import { healthyTarget } from '../upstream/admission.ts';
import type { FallbackCause, Step, Target } from '../upstream/target.ts';
import type { Ask } from './ask.ts';
import type { RouteTargetConfig } from './settings.ts';

/** How a route's targets are put in order. One file for each, by name in `strategies.ts`. */
export interface Strategy {
  /** The order never depends on the request or on health. */
  readonly fixed: boolean;
  /** Targets that can't do what the request needs are left out, in nested routes too. */
  readonly selects: boolean;
  /** Puts places of `branch.children` into `branch.order`, best first; gives how many may be asked. */
  readonly arrange: (branch: Branch, ask: Ask) => number;
}

interface Place {
  /** Under `weighted`. */
  readonly weight: number;
  /** Place in `tiers`, under `cost`; -1: none is set. */
  readonly tier: number;
  /** Of the target's name, to draw by. */
  readonly salt: number;
}

export interface Leaf extends Place {
  readonly kind: 'leaf';
  readonly target: Target;
  /** Bits of what it can do. */
  readonly able: number;
  /** As the first one that an edge of a chain leads to. */
  readonly entry: Step;
  /** As an alternative to others. */
  readonly other: Step;
  /** Number of this target in the tree: one that stands there twice is asked once. */
  readonly slot: number;
}

export interface Branch extends Place {
  readonly kind: 'branch';
  readonly strategy: Strategy;
  readonly sticky: 'user' | 'tenant' | 'request';
  /** Of `least_loaded`: requests that may wait in each own engine before hosted targets go first; null: never. */
  readonly overflowDepth: number | null;
  readonly children: readonly Node[];
  /** Where a strategy leaves its result, and room for what it sorts by. */
  readonly order: Uint8Array;
  readonly keys: Float64Array;
}

export type Node = Leaf | Branch;

/** A reply of a length nobody has set, in tokens: what prices are compared by. */
export const replyTypicalTokens = 500;

/** Whether any target of a node is healthy. */
export function healthy(node: Node, ask: Ask): boolean {
  if (node.kind === 'leaf') return healthyTarget(node.target, ask.nowMs);
  for (const child of node.children) if (healthy(child, ask)) return true;
  return false;
}

/** Whether any target of a node can do what the request needs. What is unknown of a model counts as able. */
export function able(node: Node, ask: Ask): boolean {
  if (node.kind === 'leaf') return unable(node, ask) === null;
  for (const child of node.children) if (able(child, ask)) return true;
  return false;
}

/** Why a target can't take a request; null: it can. */
export function unable(
  { able, target: { facts } }: Leaf,
  ask: Ask,
): 'capability' | 'context' | 'output' | null {
  if ((ask.needs & ~able) !== 0) return 'capability';
  const { contextTokens, outputMaxTokens } = facts;
  if (contextTokens !== null && ask.promptTokens + ask.replyMaxTokens > contextTokens) return 'context';
  return outputMaxTokens !== null && ask.replyMaxTokens > outputMaxTokens ? 'output' : null;
}

/** What the request would cost at a node's cheapest able target, nano-dollars; Infinity: unknown. */
export function price(node: Node, ask: Ask): number {
  if (node.kind === 'leaf') {
    if (node.target.facts.price === null || unable(node, ask) !== null) return Number.POSITIVE_INFINITY;
    return priceAt(node.target.facts.price, ask);
  }
  let least = Number.POSITIVE_INFINITY;
  for (const child of node.children) least = Math.min(least, price(child, ask));
  return least;
}

/** Reused from target to target, since prices are asked for often. */
const usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, cacheWriteTokens: 0, known: false };

/** The request's estimate at a price, nano-dollars. */
function priceAt(price: Price, { promptTokens, replyMaxTokens }: Ask): number {
  usage.inputTokens = promptTokens;
  usage.outputTokens =
    replyMaxTokens === 0 ? replyTypicalTokens : Math.min(replyMaxTokens, replyTypicalTokens);
  return costNanoUsd(price, usage);
}

/** What strategy `latency` compares: the speed of a node's fastest healthy target. */
export function latency(node: Node, ask: Ask): number {
  if (node.kind === 'leaf') return node.target.health.latency.cost(ask.stream, ask.nowMs);
  let least = Number.POSITIVE_INFINITY;
  for (const child of node.children) {
    if (healthy(child, ask)) least = Math.min(least, latency(child, ask));
  }
  return least;
}

/** Whether all targets of a node have been put out for failing. */
export function ejected(node: Node, ask: Ask): boolean {
  if (node.kind === 'leaf') return node.target.health.latency.ejected(ask.nowMs);
  for (const child of node.children) if (!ejected(child, ask)) return false;
  return true;
}

/** Sorts the first `count` places of a branch by their keys, equal ones as they stand. */
export function sortByKey({ order, keys }: Branch, count: number): void {
  for (let i = 1; i < count; i++) {
    const place = order[i] ?? 0;
    const key = keys[place] ?? 0;
    let at = i;
    for (; at > 0 && (keys[order[at - 1] ?? 0] ?? 0) > key; at--) order[at] = order[at - 1] ?? 0;
    order[at] = place;
  }
}

/** Whether a request could change the order of a node. */
export const isFixed = (node: Node): boolean =>
  node.kind === 'leaf' || (node.strategy.fixed && node.children.every(isFixed));

/** Whether a node's order needs what the request needs and costs. */
export const selects = (node: Node): boolean =>
  node.kind === 'branch' && (node.strategy.selects || node.children.some(selects));

/** All targets of a node, in the configuration's order. */
export const leavesOf = (node: Node): Leaf[] =>
  node.kind === 'leaf' ? [node] : node.children.flatMap(leavesOf);

/** Where a target stands in its chain. */
export interface Edge {
  readonly group: number;
  readonly on: ReadonlySet<FallbackCause> | null;
  readonly depth: number;
}

/** What a place of the configuration says besides whom it names. */
export const placeOf = (
  { weight, tier }: Pick<RouteTargetConfig, 'weight' | 'tier'>,
  salt: number,
  tiers: readonly Tier[],
): Place => ({ weight: weight ?? 1, tier: tier === undefined ? -1 : tiers.indexOf(tier), salt });
