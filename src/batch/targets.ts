/** The choice of targets for a batch request: those with room first; in a fixed chain, the cheapest of them. */

import { engineQueue, isDown, isFresh } from '../upstream/engine.ts';
import { couldBegin, type Health } from '../upstream/open-call.ts';
import type { Plan, Step, Target, TargetHealth } from '../upstream/target.ts';

/** An engine whose cache is fuller than this has no room for batch requests. */
const cacheUseMax = 0.9;

/** Whether targets have room, during one search for a request that may start. */
export interface Room {
  has(target: Target, tokens: number): boolean;
}

/**
 * A target without room for one request counts as full for the rest of the search. Otherwise a request of many tokens
 * would wait forever behind small ones; and many requests for one target cost a single check.
 */
export function createRoom(health: Health, nowMs: number): Room {
  const full = new Set<TargetHealth>();
  return {
    has(target, tokens) {
      if (full.has(target.health)) return false;
      const room = couldBegin(target, tokens, health, nowMs) && engineHasRoom(target, nowMs);
      if (!room) full.add(target.health);
      return room;
    },
  };
}

/** Whether a self-hosted engine could take one more request now without making others wait. */
function engineHasRoom({ provider: { engine } }: Target, nowMs: number): boolean {
  if (engine === null) return true;
  if (isDown(engine)) return false;
  return !isFresh(engine, nowMs) || (engineQueue(engine, nowMs) === 0 && engine.cacheUse < cacheUseMax);
}

/** Key to order by price: a self-hosted engine costs the same busy or idle, so 0; unknown prices come last. */
function priceOf({ provider, facts: { price } }: Target): number {
  if (price !== null) return price.input + price.output;
  return provider.engine === null ? Number.POSITIVE_INFINITY : 0;
}

/**
 * A plan's steps, those with room first; null: none has room. In a fixed plan the cheapest comes first. What a strategy
 * chose (a tier, an arm of an experiment) keeps its order, since the answer is cached under that choice. Steps behind a
 * condition stay in place, since the condition refers to what comes before them.
 * @param steps the plan's steps, those of engines that are down last
 * @param tokens tokens that a call reserves in upstream limits
 */
export function roomiestFirst(
  steps: readonly Step[],
  { fixed }: Pick<Plan, 'fixed'>,
  tokens: number,
  room: Room,
): readonly Step[] | null {
  const conditional = steps.findIndex(({ on }) => on !== null);
  const free = conditional < 0 ? steps : steps.slice(0, conditional);
  const roomy = free.filter(({ target }) => room.has(target, tokens));
  if (roomy.length === 0) return null;
  if (free.length === 1) return steps;
  const others = free.filter((step) => !roomy.includes(step));
  const ordered = fixed ? [...byPrice(roomy), ...byPrice(others)] : [...roomy, ...others];
  return [...ordered, ...steps.slice(free.length)];
}

/** Sorted by price; the sort is stable. */
const byPrice = (steps: readonly Step[]): Step[] =>
  steps
    .map((step) => ({ step, price: priceOf(step.target) }))
    .sort((a, b) => (a.price === b.price ? 0 : a.price - b.price))
    .map(({ step }) => step);
