/** Circuit breakers in the native core. */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** When a breaker opens, and for how long; see `Settings` in `native/core/src/resilience/breaker.rs`. */
export type BreakerSettings = Readonly<Binding.BreakerSettings>;

/** Circuit breakers by id; times are monotonic ms. See `native/core/src/resilience/breaker.rs`. */
export const breaker = {
  open: native.breakerOpen,
  set: native.breakerSet,
  /** Asks to make a call: a ticket (≥ 0; for a probe, see `isProbe`), or minus the ms until a probe is allowed. */
  admit: native.breakerAdmit,
  /** Reports a call's outcome by its ticket; true: the breaker's state changed. */
  report: native.breakerReport,
  /** Takes a peer's hint that its breaker opened, or that its probe succeeded. */
  hint: native.breakerHint,
  state: native.breakerState,
  close: native.breakerClose,
};

/** Whether a ticket of `breaker.admit` is a probe's. */
export const isProbe = (ticket: number): boolean => ticket >= native.BREAKER_PROBE;

/** Results of `breaker.state`. */
export const breakerState = {
  closed: native.BreakerState.Closed,
  open: native.BreakerState.Open,
  halfOpen: native.BreakerState.HalfOpen,
} as const;

/** Outcomes for `breaker.report`. */
export const breakerOutcome = {
  success: native.BreakerOutcome.Success,
  failure: native.BreakerOutcome.Failure,
  abandoned: native.BreakerOutcome.Abandoned,
} as const;
