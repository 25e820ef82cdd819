/** Passes over engines whose health probe fails, while another target lives. */

import { isDown } from './engine.ts';
import type { Step } from './target.ts';

/** Groups of engines that are down, behind all others. */
const lastGroups = 1_000_000;

const down = ({ target: { provider } }: Step): boolean => provider.engine !== null && isDown(provider.engine);

/**
 * The steps with those of engines that are down behind all others, as a last resort: a probe may be wrong. Where the
 * next step is only for causes other than an outage, the step stays. The same array when there is nothing to change.
 */
export function livingFirst(steps: readonly Step[]): readonly Step[] {
  if (!steps.some(down)) return steps;
  const living: Step[] = [];
  const last: Step[] = [];
  for (const [index, step] of steps.entries()) {
    const passable = steps.slice(index + 1).some((next) => !down(next) && leadsOn(step, next));
    // The edge into a group stands at its first step, whichever that is then.
    const { on } = steps.find(({ group }) => group === step.group) ?? step;
    const into = (placed: readonly Step[], group: number): Step =>
      placed.at(-1)?.group === group ? { ...step, group } : { ...step, on, group };
    if (down(step) && passable) last.push(into(last, step.group + lastGroups));
    else living.push(into(living, step.group));
  }
  return last.length === 0 ? steps : [...living, ...last];
}

/** Whether an outage of one step may lead to another. */
const leadsOn = (from: Step, to: Step): boolean =>
  from.group === to.group || to.on === null || to.on.has('outage');
