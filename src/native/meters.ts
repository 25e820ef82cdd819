/** Meters of limits and budgets in the native core. */
import { native } from './load.ts';

/** Meters of limits and budgets, by table and id; times are monotonic ms. See `native/core/src/meters.rs`. */
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
  token_bucket: 0,
  leaky_bucket: 1,
  sliding_window: 2,
  concurrency: 3,
  budget: 4,
} as const;

/** Numbers of an entry of `meter.admit` and of `meter.settle`. */
export const meterEntry = { admit: 5, settle: 4 } as const;

/** Bits of an entry that asks. */
export const meterAsk = { observed: 1, spent: 2, quiet: 16 } as const;

/** Bits of an entry that was answered. */
export const meterTold = { crossed: 1, say: 2, wouldRefuse: 4, notTaken: 8 } as const;
