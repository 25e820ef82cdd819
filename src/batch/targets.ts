/** Where a batch request goes: the cheapest target that has room now. */
import { allRest } from '../attempt/credentials.ts';
import { engineQueue, isDown, isFresh } from '../engines/engine.ts';
import { breaker } from '../native.ts';
import type { Step, Target } from '../route/plan.ts';

/** State of an open breaker. */
const open = 1;
/** An engine's cache that is fuller than this has no room for work that can wait. */
const cacheUseMax = 0.9;

/** Whether a target could take one more now without anybody else waiting for it. */
export function hasRoom(target: Target, nowMs: number): boolean {
  const { provider, health } = target;
  if (health.restsUntilMs > nowMs || allRest(target, nowMs)) return false;
  if (breaker.state(health.breakerId, nowMs) === open) return false;
  const { engine } = provider;
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
 * The steps with the cheapest first that has room; null: none has. Steps behind a condition stay where they are, since
 * the condition asks for what comes before them.
 */
export function cheapestFirst(steps: readonly Step[], nowMs: number): readonly Step[] | null {
  const conditional = steps.findIndex(({ on }) => on !== null);
  const free = conditional < 0 ? steps : steps.slice(0, conditional);
  const roomy = free.map(({ target }) => hasRoom(target, nowMs));
  if (!roomy.includes(true)) return null;
  if (free.length === 1) return steps;
  const order = free.map((step, index) => ({
    step,
    room: roomy[index] === true,
    price: priceOf(step.target),
  }));
  order.sort((a, b) => Number(b.room) - Number(a.room) || (a.price === b.price ? 0 : a.price - b.price));
  return [...order.map(({ step }) => step), ...steps.slice(free.length)];
}
