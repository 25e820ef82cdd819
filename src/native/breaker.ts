/** Circuit breakers in the native core. */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** When a breaker opens, and for how long; see `Settings` in `native/core/src/resilience/breaker.rs`. */
export type BreakerSettings = Readonly<Binding.BreakerSettings>;

/** Circuit breakers by id; times are monotonic ms. See `native/core/src/resilience/breaker.rs`. */
export const breaker = {
  open: native.breakerOpen,
  set: native.breakerSet,
  /** A ticket (≥ 0; a probe's from 2^32), or minus the ms until a probe may go. */
  admit: native.breakerAdmit,
  /** True: the state changed. */
  report: native.breakerReport,
  hint: native.breakerHint,
  state: native.breakerState,
  close: native.breakerClose,
};

/** Whether `breaker.admit` gave the ticket of a probe. */
export const isProbe = (ticket: number): boolean => ticket >= native.BREAKER_PROBE;

/** What `breaker.state` says. */
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
