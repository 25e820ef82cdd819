/** The edges of a plan: which step follows on which cause. */
import type { FallbackCause, Step } from '../upstream/target.ts';

/** Whether a cause is a refusal of the request itself, which another target may not share: only edges naming it match. */
const isNamedOnly = (cause: FallbackCause): boolean =>
  cause === 'context_window' || cause === 'content_policy';

/**
 * Index of the step after one that gave no answer: its next alternative, else the first step of the next group whose
 * edge accepts one of the causes. Other groups are skipped with all their alternatives. -1: none follows.
 */
export function following(steps: readonly Step[], index: number, causes: readonly FallbackCause[]): number {
  const group = steps[index]?.group;
  for (let at = index + 1; at < steps.length; at++) {
    const step = steps[at];
    if (step === undefined || step.group === group || takes(step, causes)) return at;
    at = lastUnder(steps, at);
  }
  return -1;
}

/** Index of the first step in a later group whose edge names the cause; -1: none. */
export function enters(steps: readonly Step[], index: number, cause: FallbackCause): number {
  for (let at = lastOf(steps, index) + 1; at < steps.length; ) {
    const on = steps[at]?.on ?? null;
    if (on?.has(cause) === true) return at;
    at = (on === null ? lastOf(steps, at) : lastUnder(steps, at)) + 1;
  }
  return -1;
}

/** Index of the step after failed tries in a group; the last cause decides whether an edge must name it. -1: none. */
export function onward(steps: readonly Step[], index: number, causes: readonly FallbackCause[]): number {
  const last = causes.at(-1);
  return last !== undefined && isNamedOnly(last)
    ? enters(steps, index, last)
    : following(steps, index, causes);
}

const takes = ({ on }: Step, causes: readonly FallbackCause[]): boolean =>
  on === null || causes.some((cause) => on.has(cause) || (cause === 'breaker_open' && opens(on)));

/** Whether an edge accepts a failure that opens breakers: then it accepts an open breaker too. */
const opens = (on: ReadonlySet<FallbackCause>): boolean =>
  on.has('server') || on.has('timeout') || on.has('outage');

/** Index of the last alternative in a step's group. */
function lastOf(steps: readonly Step[], index: number): number {
  let last = index;
  while (last + 1 < steps.length && steps[last + 1]?.group === steps[index]?.group) last++;
  return last;
}

/** Index of the last step behind a step's edge: its alternatives, and later links of chains nested in it. */
function lastUnder(steps: readonly Step[], index: number): number {
  const head = steps[index];
  if (head === undefined) return index;
  let last = index;
  for (let next = steps[last + 1]; next !== undefined; next = steps[last + 1]) {
    if (next.group !== head.group && !(next.depth > head.depth)) break;
    last++;
  }
  return last;
}
