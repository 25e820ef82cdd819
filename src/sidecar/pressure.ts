/**
 * Memory pressure: near the limit the cache makes room first; where that isn't enough, new requests are refused until
 * there is room again, so that the system doesn't end the process and with it all requests in flight.
 */
import { Refusal } from '../base/errors.ts';
import type { Telemetry } from '../base/telemetry.ts';

const everyMs = 1000;
/** Shares of its memory that the cache may take, one after the other. */
const shares = [1, 0.25, 0] as const;
/** Beyond this share of the limit the cache makes room. */
const shortShare = 0.85;
/** Beyond this share of it, with an empty cache, new requests are refused, until it is below `shortShare`. */
const fullShare = 0.95;
/** So often in a row there must be room until the cache may grow again. */
const calmTicks = 30;

/** What is watched, and what gives way. */
export interface PressureDeps {
  /** Memory that the process may take, in bytes; null: there is no limit. */
  limitBytes(): number | null;
  /** Memory that it takes now, in bytes. */
  usedBytes(): number;
  /** Lets the cache take this share of what is configured. @param share from 0 to 1 */
  squeeze(share: number): void;
  /** Refuses new requests; null: accepts them. */
  refuseNew(refusal: Refusal | null): void;
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

/** What the container may take; null: it has no limit, or one beyond the machine's memory. */
export function containerLimit(constrainedBytes: number, machineBytes: number): number | null {
  return constrainedBytes > 0 && constrainedBytes <= machineBytes ? constrainedBytes : null;
}

/** Starts to watch. */
export function startPressure(deps: PressureDeps): Pressure {
  let [step, calm] = [0, 0];
  let refusing = false;

  const squeeze = (to: number): void => {
    step = to;
    calm = 0;
    deps.squeeze(shares[step] ?? 0);
  };
  const refuse = (on: boolean): void => {
    refusing = on;
    const why = 'The memory is full. Raise its limit, or send fewer requests at once.';
    deps.refuseNew(on ? new Refusal('overloaded', why, { retryAfterMs: 1000 }) : null);
  };
  const tick = (): void => {
    const limit = deps.limitBytes();
    const share = limit === null ? 0 : deps.usedBytes() / limit;
    const before = refusing;
    if (share > shortShare && step < shares.length - 1) {
      squeeze(step + 1);
      deps.trim();
      if (step === 1) deps.telemetry.memory('short');
    } else if (share > fullShare && !refusing) refuse(true);
    else if (share <= shortShare) {
      if (refusing) refuse(false);
      calm += 1;
      if (step > 0 && calm >= calmTicks) squeeze(step - 1);
    }
    if (refusing !== before) deps.telemetry.memory(refusing ? 'full' : 'eased');
  };
  const timer = setInterval(tick, everyMs).unref();
  return { tick, stop: () => clearInterval(timer) };
}
