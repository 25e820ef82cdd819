/** Moves engines whose health probe fails behind all targets that are up. */

import { isDown } from './engine.ts';
import type { Step } from './target.ts';

/** Added to the group numbers of engines that are down, so that they come after all others. */
const lastGroups = 1_000_000;

const down = ({ target: { provider } }: Step): boolean => provider.engine !== null && isDown(provider.engine);

/**
 * The steps, with engines that are down moved to the end as a last resort: a probe may be wrong. A step stays in place
 * if the next one is only entered for causes other than an outage. Returns the same array if nothing changes.
 */
export function livingFirst(steps: readonly Step[]): readonly Step[] {
  if (!steps.some(down)) return steps;
  const living: Step[] = [];
  const last: Step[] = [];
  for (const [index, step] of steps.entries()) {
    const passable = steps.slice(index + 1).some((next) => !down(next) && leadsOn(step, next));
    // The edge into a group is held by the group's first step, whichever that is after the move.
    const { on } = steps.find(({ group }) => group === step.group) ?? step;
    const into = (placed: readonly Step[], group: number): Step =>
      placed.at(-1)?.group === group ? { ...step, group } : { ...step, on, group };
    if (down(step) && passable) last.push(into(last, step.group + lastGroups));
    else living.push(into(living, step.group));
  }
  return last.length === 0 ? steps : [...living, ...last];
}

/** Whether an outage of one step may lead to another step. */
const leadsOn = (from: Step, to: Step): boolean =>
  from.group === to.group || to.on === null || to.on.has('outage');
