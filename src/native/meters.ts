/** Meters of limits and budgets in the native core. */
import { native } from './load.ts';

/** Meters of limits and budgets, by table and id; times are monotonic ms. See `native/core/src/limits/meters.rs`. */
export const meter = {
  openTable: native.metersOpen,
  closeTable: native.metersClose,
  open: native.meterOpen,
  set: native.meterSet,
  admit: native.meterAdmit,
  settle: native.meterSettle,
  sweep: native.meterSweep,
  left: native.meterLeft,
  restore: native.meterRestore,
  changed: native.meterChanged,
  close: native.meterClose,
};

/** Algorithms for `meter.open`. */
export const meterAlgorithm = {
  token_bucket: native.MeterAlgorithm.TokenBucket,
  leaky_bucket: native.MeterAlgorithm.LeakyBucket,
  sliding_window: native.MeterAlgorithm.SlidingWindow,
  concurrency: native.MeterAlgorithm.Concurrency,
  budget: native.MeterAlgorithm.Budget,
} as const;

/** Numbers of an entry of `meter.admit` and of `meter.settle`. */
export const meterEntry = { admit: native.meterSize.ENTRY, settle: native.meterSize.SETTLE };

/** Bits of an entry that asks. */
export const meterAsk = {
  observed: native.meterAsk.OBSERVED,
  spent: native.meterAsk.SPENT,
  quiet: native.meterAsk.QUIET,
};

/** Bits of an entry that was answered. */
export const meterTold = {
  crossed: native.meterTold.CROSSED,
  say: native.meterTold.SAY,
  wouldRefuse: native.meterTold.WOULD_REFUSE,
  notTaken: native.meterTold.NOT_TAKEN,
};
