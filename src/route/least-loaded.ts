/**
 * Strategy `least_loaded`: self-hosted engines before hosted APIs, the least loaded first; hosted APIs come first while
 * every engine's queue is deeper than `overflow.queueDepth`.
 */

import { engineLoad, engineQueue, isDown } from '../upstream/engine.ts';
import type { Engine } from '../upstream/target.ts';
import { type Node, type Strategy, sortByKey } from './tree.ts';

/** More than any load, to sort a target behind all engines. */
const laterKey = 1e9;
const downKey = 1e12;
/** Of two engines with equal load, the one with more free cache comes first. */
const cacheWeight = 1e-6;

export const leastLoaded: Strategy = {
  fixed: false,
  selects: false,
  arrange(branch, ask) {
    const { order, keys, children, overflowDepth } = branch;
    let own = 0;
    let shallow = false;
    for (let index = 0; index < children.length; index++) {
      const child = children[index];
      if (child === undefined) continue;
      const engine = engineOf(child);
      order[index] = index;
      keys[index] = engine === null ? laterKey + index : engineKey(engine, ask.nowMs);
      if (engine === null) continue;
      own += 1;
      if (!isDown(engine) && !isDeep(engine, overflowDepth, ask.nowMs)) shallow = true;
    }
    const hostedFirst = own > 0 && !shallow && overflowDepth !== null;
    for (let index = 0; index < children.length; index++) {
      const child = children[index];
      if (child === undefined || engineOf(child) !== null) continue;
      // Hosted targets keep their configured order, unless there are no engines.
      if (own === 0) keys[index] = inFlight(child);
      else if (hostedFirst) keys[index] = index - laterKey;
    }
    sortByKey(branch, children.length);
    return children.length;
  },
};

/** The engine behind a node; of a nested route, the one behind its first target. */
function engineOf(node: Node): Engine | null {
  if (node.kind === 'leaf') return node.target.provider.engine;
  const [first] = node.children;
  return first === undefined ? null : engineOf(first);
}

/** Calls in flight at a node's targets. */
function inFlight(node: Node): number {
  if (node.kind === 'leaf') return node.target.health.inFlight;
  let sum = 0;
  for (const child of node.children) sum += inFlight(child);
  return sum;
}

const engineKey = (engine: Engine, nowMs: number): number =>
  isDown(engine) ? downKey : engineLoad(engine, nowMs) + cacheWeight * engine.cacheUse;

const isDeep = (engine: Engine, overflowDepth: number | null, nowMs: number): boolean =>
  overflowDepth !== null && engineQueue(engine, nowMs) > overflowDepth;
