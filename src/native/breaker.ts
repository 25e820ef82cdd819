/** Circuit breakers in the native core. */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** When a breaker opens, and for how long; see `Settings` in `native/core/src/breaker.rs`. */
export type BreakerSettings = Readonly<Binding.BreakerSettings>;

/** Circuit breakers by id; times are monotonic ms. See `native/core/src/breaker.rs`. */
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
export const isProbe = (ticket: number): boolean => ticket >= 2 ** 32;

/** What `breaker.state` says. */
export const breakerState = { closed: 0, open: 1, halfOpen: 2 } as const;

/** Outcomes for `breaker.report`. */
export const breakerOutcome = { success: 0, failure: 1, abandoned: 2 } as const;
