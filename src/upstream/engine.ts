/** Self-hosted engines: what each kind offers to be watched by, and what was last seen of one. */
import type { EngineName, ProbeSettings } from '../catalog/engines.ts';
import type { Engine, Target } from './target.ts';

/** An engine of which nothing is known yet: taken for alive. */
export function createEngine(kind: EngineName, probe: ProbeSettings): Engine {
  return {
    kind,
    probe,
    failures: 0,
    waiting: 0,
    running: 0,
    cacheUse: 0,
    seenMs: Number.NEGATIVE_INFINITY,
    inFlight: 0,
    inFlightSeen: 0,
  };
}

/** Its health probe has failed so often that it is passed over while another target lives. */
export const isDown = (engine: Engine): boolean => engine.failures >= engine.probe.failuresMax;

/** Its numbers are believed for three probes, so that one that is lost changes nothing. */
const staleProbes = 3;

/** Its own numbers are young enough to go by. */
export const isFresh = ({ seenMs, probe }: Engine, nowMs: number): boolean =>
  nowMs - seenMs <= staleProbes * (probe.intervalMs + probe.timeoutMs);

/** Calls of this process that began since its numbers were read, less those that ended. */
const sinceSeen = (engine: Engine): number => engine.inFlight - engine.inFlightSeen;

/** Requests it has, by its own numbers where they are fresh, with what was sent since; else by our calls under way. */
export function engineLoad(engine: Engine, nowMs: number): number {
  if (!isFresh(engine, nowMs)) return engine.inFlight;
  return Math.max(0, engine.waiting + engine.running + sinceSeen(engine));
}

/** Requests that wait inside it. What was sent since it said so waits too, if anything did. */
export function engineQueue(engine: Engine, nowMs: number): number {
  if (!isFresh(engine, nowMs)) return engine.inFlight;
  return engine.waiting === 0 ? 0 : Math.max(0, engine.waiting + sinceSeen(engine));
}

/** A call goes out; `callEnded` follows exactly once. */
export function callBegan({ provider: { engine }, health }: Target): void {
  health.inFlight += 1;
  if (engine !== null) engine.inFlight += 1;
}

/** A call is over, its stream included. */
export function callEnded({ provider: { engine }, health }: Target): void {
  health.inFlight -= 1;
  if (engine !== null) engine.inFlight -= 1;
}
