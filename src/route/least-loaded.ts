/**
 * Strategy `least_loaded`: own engines before hosted APIs, the one with the least to do first; hosted APIs before them
 * while every own engine's queue is deep.
 */

import { engineLoad, engineQueue, isDown } from '../upstream/engine.ts';
import type { Engine } from '../upstream/target.ts';
import { type Node, type Strategy, sortByKey } from './tree.ts';

/** More than any load: whoever is asked later. */
const laterKey = 1e9;
const downKey = 1e12;
/** Of two engines with as much to do, the one with more of its cache free is first. */
const cacheWeight = 1e-6;

export const leastLoaded: Strategy = {
  fixed: false,
  selects: false,
  arrange(branch, ask) {
    const { order, keys, children, overflowDepth } = branch;
    let own = 0;
    let shallow = false;
    for (let place = 0; place < children.length; place++) {
      const child = children[place];
      if (child === undefined) continue;
      const engine = engineOf(child);
      order[place] = place;
      keys[place] = engine === null ? laterKey + place : engineKey(engine, ask.nowMs);
      if (engine === null) continue;
      own += 1;
      if (!isDown(engine) && !isDeep(engine, overflowDepth, ask.nowMs)) shallow = true;
    }
    const hostedFirst = own > 0 && !shallow && overflowDepth !== null;
    for (let place = 0; place < children.length; place++) {
      const child = children[place];
      if (child === undefined || engineOf(child) !== null) continue;
      // Hosted targets stay in their own order, unless they are all there is to choose from.
      if (own === 0) keys[place] = inFlight(child);
      else if (hostedFirst) keys[place] = place - laterKey;
    }
    sortByKey(branch, children.length);
    return children.length;
  },
};

/** The engine behind a node: of a nested route, behind the target it names first. */
function engineOf(node: Node): Engine | null {
  if (node.kind === 'leaf') return node.target.provider.engine;
  const [first] = node.children;
  return first === undefined ? null : engineOf(first);
}

/** Calls under way at a node's targets. */
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
