/**
 * Strategy `least_loaded`: own engines before hosted APIs, the one with the least to do first; hosted APIs before them
 * while every own engine's queue is deep.
 */
import { type Engine, engineLoad, engineQueue, isDown } from '../engines/engine.ts';
import type { Target } from './plan.ts';

/** When requests overflow to the hosted targets. */
export interface Overflow {
  /** Requests that may wait in each own engine, or be under way where it counts nothing. */
  readonly queueDepth: number;
}

const infinite = Number.POSITIVE_INFINITY;

/**
 * The order to try targets in. Pure: it reads what probes and calls have left, and changes nothing.
 * @param overflow null: hosted targets are only the fallback
 * @param nowMs monotonic
 */
export function leastLoaded(
  targets: readonly Target[],
  overflow: Overflow | null,
  nowMs: number,
): readonly Target[] {
  const own: { target: Target; load: number; cacheUse: number }[] = [];
  const hosted: { target: Target; load: number; cacheUse: number }[] = [];
  let shallow = false;
  for (const target of targets) {
    const { engine } = target.provider;
    if (engine === null) {
      hosted.push({ target, load: target.health.inFlight, cacheUse: 0 });
      continue;
    }
    const down = isDown(engine);
    own.push({ target, load: down ? infinite : engineLoad(engine, nowMs), cacheUse: engine.cacheUse });
    if (!down && !isDeep(engine, overflow, nowMs)) shallow = true;
  }
  own.sort(byLoad);
  // Hosted targets stay in their own order, unless they are all there is to choose from.
  if (own.length === 0) hosted.sort(byLoad);
  const order = shallow || overflow === null ? own.concat(hosted) : hosted.concat(own);
  return order.map(({ target }) => target);
}

/** Least load first; of equals the one with more of its cache free, then the order of the configuration. */
const byLoad = (
  a: { readonly load: number; readonly cacheUse: number },
  b: { readonly load: number; readonly cacheUse: number },
): number => (a.load === b.load ? a.cacheUse - b.cacheUse : a.load - b.load);

const isDeep = (engine: Engine, overflow: Overflow | null, nowMs: number): boolean =>
  overflow !== null && engineQueue(engine, nowMs) > overflow.queueDepth;
