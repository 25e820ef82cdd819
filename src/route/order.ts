/** The order of a plan's steps for a request that is about to be sent. */
import { livingFirst } from '../engines/living.ts';
import { leastLoaded } from './least-loaded.ts';
import type { Plan, Step } from './plan.ts';

/** @param nowMs monotonic */
export function inOrder({ steps, strategy, overflow }: Plan, nowMs: number): readonly Step[] {
  if (strategy !== 'least_loaded') return livingFirst(steps);
  const targets = leastLoaded(
    steps.map(({ target }) => target),
    overflow,
    nowMs,
  );
  return livingFirst(targets.map((target) => ({ target, on: null, group: 0 })));
}
