/** Passes over engines whose health probe fails, while another target lives. */
import type { Step } from '../route/plan.ts';
import { isDown } from './engine.ts';

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
    if (down(step) && passable) last.push({ target: step.target, on: null, group: Number.MAX_SAFE_INTEGER });
    else living.push(step);
  }
  return last.length === 0 ? steps : [...living, ...last];
}

/** Whether an outage of one step may lead to another. */
const leadsOn = (from: Step, to: Step): boolean =>
  from.group === to.group || to.on === null || to.on.has('outage');
