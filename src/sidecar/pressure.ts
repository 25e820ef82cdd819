/**
 * Memory pressure: near the ceiling the cache makes room first, and fewer large bodies are taken at once; where that
 * isn't enough, new requests are refused until there is room again, so that the system doesn't end the process and with it all requests in flight.
 */
import { Refusal } from '../base/errors.ts';
import { collectGarbage } from '../base/memory.ts';
import type { Telemetry } from '../base/telemetry.ts';
import { trimMemory } from '../native/memory.ts';
import type { Workers } from './workers.ts';

const everyMs = 1000;
/** Beyond this share of the memory it is looked at more often: large requests fill the rest within a second. */
const nearShare = 0.65;
const nearEveryMs = 100;
/** Shares of what is configured that the cache and bodies may take, one after the other. */
const shares = [1, 0.25, 0] as const;
/** Beyond this share the cache makes room. */
const shortShare = 0.8;
/**
 * Beyond this share, with an empty cache, new requests are refused until it is below `shortShare`, since what is in
 * flight grows; or below this one again with all garbage collected, since nothing that is refused frees any more then.
 */
const fullShare = 0.9;
/** So long there must be room until the cache may grow again. */
const calmMs = 30_000;
/** Garbage is collected at most this often: it takes tens of ms, and a process that refuses everything makes none. */
const collectEveryMs = 5000;

/** What is watched, and what gives way. */
export interface PressureDeps {
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Share of its memory that the process takes; 0: it may take any. */
  share(): number;
  /** Lets the cache and request bodies take this share of what is configured. @param share from 0 to 1 */
  squeeze(share: number): void;
  /** Refuses new requests; null: accepts them. */
  refuseNew(refusal: Refusal | null): void;
  /** Collects garbage. */
  collect(): void;
  /** Returns freed memory to the system. */
  trim(): void;
  readonly telemetry: Pick<Telemetry, 'memory'>;
}

/** Watches the memory. */
export interface Pressure {
  /** Looks once. */
  tick(): void;
  stop(): void;
}

/** What new requests are refused with while the memory is full. */
export const full = new Refusal('memory_full', 'The process takes as much memory as it may.', {
  retryAfterMs: 1000,
});

/**
 * What gives way in all workers.
 * @param held what the first worker keeps less in
 */
export function makingRoom(
  held: readonly Pick<PressureDeps, 'squeeze'>[],
  listener: Pick<PressureDeps, 'refuseNew'>,
  workers: Pick<Workers, 'squeeze' | 'full' | 'collect'>,
): Pick<PressureDeps, 'squeeze' | 'refuseNew' | 'collect' | 'trim'> {
  return {
    squeeze(share) {
      for (const each of held) each.squeeze(share);
      workers.squeeze(share);
    },
    refuseNew(refusal) {
      listener.refuseNew(refusal);
      workers.full(refusal !== null);
    },
    collect() {
      collectGarbage();
      workers.collect();
    },
    trim: trimMemory,
  };
}

/** Starts to watch. */
export function startPressure(deps: PressureDeps): Pressure {
  let step = 0;
  let refusing = false;
  /** Whether garbage was collected since requests are refused: what was in flight before has left some. */
  let collected = false;
  /** Since when there is room, and when garbage may be collected again, monotonic ms. */
  let calmSinceMs: number | null = null;
  let collectAtMs = Number.NEGATIVE_INFINITY;

  const squeeze = (to: number): void => {
    step = to;
    calmSinceMs = null;
    deps.squeeze(shares[step] ?? 0);
  };
  const refuse = (on: boolean): void => {
    refusing = on;
    collected = false;
    deps.refuseNew(on ? full : null);
    deps.telemetry.memory(on ? 'full' : 'eased');
  };
  const ease = (nowMs: number): void => {
    if (refusing) refuse(false);
    calmSinceMs ??= nowMs;
    if (step > 0 && nowMs - calmSinceMs >= calmMs) squeeze(step - 1);
  };
  const look = (share: number): void => {
    const nowMs = deps.clock();
    if (share <= shortShare) return ease(nowMs);
    calmSinceMs = null;
    if (step < shares.length - 1) {
      squeeze(step + 1);
      deps.trim();
      if (step === 1) deps.telemetry.memory('short');
    } else if (share > fullShare || refusing) {
      if (nowMs >= collectAtMs) {
        if (collected && share <= fullShare) return refuse(false);
        collected = refusing;
        collectAtMs = nowMs + collectEveryMs;
        deps.collect();
        deps.trim();
      } else if (!refusing) refuse(true);
    }
  };

  const run = (): void => {
    const share = deps.share();
    look(share);
    timer = setTimeout(run, share > nearShare ? nearEveryMs : everyMs).unref();
  };
  let timer = setTimeout(run, everyMs).unref();
  return { tick: () => look(deps.share()), stop: () => clearTimeout(timer) };
}
