/** Where a batch request goes: to targets that have room now, of a plain chain to the cheapest. */
import { type Health, wouldAdmit } from '../upstream/admission.ts';
import { engineQueue, isDown, isFresh } from '../upstream/engine.ts';
import type { Plan, Step, Target, TargetHealth } from '../upstream/target.ts';

/** An engine's cache that is fuller than this has no room for work that can wait. */
const cacheUseMax = 0.9;

/** Whether targets have room, asked in one search for a request that may start. */
export interface Room {
  has(target: Target, tokens: number): boolean;
}

/**
 * A target in which one request finds no room has none for those that come after it in the same search either: a request
 * of many tokens would else wait for ever behind small ones, and many that wait for one target cost one question.
 */
export function createRoom(health: Health, nowMs: number): Room {
  const full = new Set<TargetHealth>();
  return {
    has(target, tokens) {
      if (full.has(target.health)) return false;
      const room = wouldAdmit(target, tokens, health, nowMs) && engineHasRoom(target, nowMs);
      if (!room) full.add(target.health);
      return room;
    },
  };
}

/** Whether an own engine could take one more now without anybody else waiting for it. */
function engineHasRoom({ provider: { engine } }: Target, nowMs: number): boolean {
  if (engine === null) return true;
  if (isDown(engine)) return false;
  return !isFresh(engine, nowMs) || (engineQueue(engine, nowMs) === 0 && engine.cacheUse < cacheUseMax);
}

/** An own engine costs the same whether it works or not; what a price isn't known of goes last. */
function priceOf({ provider, facts: { price } }: Target): number {
  if (price !== null) return price.input + price.output;
  return provider.engine === null ? Number.POSITIVE_INFINITY : 0;
}

/**
 * A plan's steps with those that have room first; null: none has. Of a fixed plan the cheapest goes first; what a strategy
 * has chosen, a tier or an arm of an experiment, keeps its order, since the answer is kept under that choice. Steps behind
 * a condition stay where they are, since the condition asks for what comes before them.
 * @param steps of the plan, as far as they live
 * @param tokens that a call reserves of own limits
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

/** Equal ones as they stand. */
const byPrice = (steps: readonly Step[]): Step[] =>
  steps
    .map((step) => ({ step, price: priceOf(step.target) }))
    .sort((a, b) => (a.price === b.price ? 0 : a.price - b.price))
    .map(({ step }) => step);
