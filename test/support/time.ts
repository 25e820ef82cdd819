/** Time that passes only where a test says so, for timeouts that must not depend on how busy the machine is. */
import type { World } from '../../src/base/world.ts';
import type { Script } from './upstream.ts';

/** A timeout in ms for providers that keep silent: short, since it is waited for in real time too. */
export const silenceMs = 20;

/** A clock that stands until it is told to go on. */
export interface StandingTime {
  readonly world: Pick<World, 'clock'>;
  readonly nowMs: number;
  pass(ms: number): void;
  /** Never answers, and `silenceMs` have passed once it has the request. */
  readonly silent: Script;
}

/** Starts at 0 ms. */
export function standingTime(): StandingTime {
  let nowMs = 0;
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return {
    world: { clock: () => nowMs },
    get nowMs() {
      return nowMs;
    },
    pass,
    silent: () => pass(silenceMs),
  };
}
