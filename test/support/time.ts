/** Time that doesn't depend on how busy the machine is: a clock moved by hand, turns of the event loop, CPU time. */
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

/**
 * How long something takes, in ms as this process's own event loop sees them: one timer of 1 ms runs in each turn, so a
 * machine that is busy with other work adds nothing, and a timer that is waited for does.
 */
export async function loopMs(over: Promise<unknown>): Promise<number> {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await over;
  clearInterval(timer);
  return ticks;
}

/**
 * CPU time that this process takes meanwhile, in ms. That of one thread alone would be nicer, but Linux adds to it only
 * every few ms.
 */
export function cpuMs(run: () => unknown): number {
  const since = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

/** Longest turn of this thread's event loop meanwhile, in ms of CPU time. */
export async function longestTurn(over: Promise<unknown>): Promise<number> {
  let [longest, done] = [0, false];
  let last = process.threadCpuUsage();
  const turn = (): void => {
    const now = process.threadCpuUsage(last);
    last = process.threadCpuUsage();
    longest = Math.max(longest, (now.user + now.system) / 1000);
    if (!done) setTimeout(turn, 1);
  };
  setTimeout(turn, 1);
  await over;
  done = true;
  return longest;
}

/**
 * The shortest of at most six measurements, in their unit; the first below a limit ends them. The first one may start a
 * thread or compile, and collections of garbage and other work on the machine lengthen some; what takes so long each time is slow.
 */
export async function shortest(below: number, measure: () => number | Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 6 && least >= below; i++) least = Math.min(least, await measure());
  return least;
}
