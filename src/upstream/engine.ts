/** The load of self-hosted engines, from their last report and this process's own calls. */
import type { EngineName, ProbeSettings } from '../catalog/engines.ts';
import type { Engine, Target } from './target.ts';

/** An engine not probed yet, presumed up. */
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

/** Whether so many health probes failed in a row that the engine is skipped while another target is up. */
export const isDown = (engine: Engine): boolean => engine.failures >= engine.probe.failuresMax;

/** A report is valid for three probes, so that one lost probe changes nothing. */
const staleProbes = 3;

/** Whether the engine's last report is recent enough to use. */
export const isFresh = ({ seenMs, probe }: Engine, nowMs: number): boolean =>
  nowMs - seenMs <= staleProbes * (probe.intervalMs + probe.timeoutMs);

/** Calls of this process begun since the last report, less those that ended. */
const sinceSeen = (engine: Engine): number => engine.inFlight - engine.inFlightSeen;

/** Requests in the engine: by its last report plus what was sent since if that is fresh, else our calls in flight. */
export function engineLoad(engine: Engine, nowMs: number): number {
  if (!isFresh(engine, nowMs)) return engine.inFlight;
  return Math.max(0, engine.waiting + engine.running + sinceSeen(engine));
}

/** Requests queued inside the engine. If its last report showed a queue, all sent since counts as queued. */
export function engineQueue(engine: Engine, nowMs: number): number {
  if (!isFresh(engine, nowMs)) return engine.inFlight;
  return engine.waiting === 0 ? 0 : Math.max(0, engine.waiting + sinceSeen(engine));
}

/** Counts a call as in flight; `callEnded` must follow exactly once. */
export function callBegan({ provider: { engine, load }, health }: Target): void {
  health.inFlight += 1;
  load.inFlight += 1;
  if (engine !== null) engine.inFlight += 1;
}

/** Counts a call as ended, its stream included. */
export function callEnded({ provider: { engine, load }, health }: Target): void {
  health.inFlight -= 1;
  load.inFlight -= 1;
  if (engine !== null) engine.inFlight -= 1;
}
