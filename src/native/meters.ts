/** Meters of limits and budgets in the native core, and the entries by which several are asked at once. */
import { native } from './load.ts';

/** Meters by table and id; times are monotonic ms. See `native/core/src/limits/meters.rs`. */
export const meter = {
  openTable: native.metersOpen,
  closeTable: native.metersClose,
  open: native.meterOpen,
  set: native.meterSet,
  left: native.meterLeft,
  restore: native.meterRestore,
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

/**
 * Flags of an entry passed to `meter.admit`. `observed`: report only, never refuse; `spent`: used up at once, so it is
 * never settled; `quiet`: no reply follows that could announce the crossed soft limit.
 */
export const meterAsk = {
  observed: native.meterAsk.OBSERVED,
  spent: native.meterAsk.SPENT,
  quiet: native.meterAsk.QUIET,
};

/**
 * Flags of an entry returned by `meter.admit`. `crossed`: this request crossed the soft limit; `say`: its reply should
 * announce that; `wouldRefuse`: observed, would have been refused; `notTaken`: nothing reserved, so nothing to settle.
 */
export const meterTold = {
  crossed: native.meterTold.CROSSED,
  say: native.meterTold.SAY,
  wouldRefuse: native.meterTold.WOULD_REFUSE,
  notTaken: native.meterTold.NOT_TAKEN,
};

const { ENTRY: askSize, SETTLE: settleSize, SWEEP: sweepSize, CHANGED: changedSize } = native.meterSize;
const asked = native.MeterAsked;
const settled = native.MeterSettled;
const swept = native.MeterSwept;
const changed = native.MeterChanged;

/** Entries that a list has room for at first. */
const roomAtFirst = 16;

function grown(numbers: Float64Array): Float64Array {
  const more = new Float64Array(2 * numbers.length);
  more.set(numbers);
  return more;
}

/** What a request asks of meters: filled, decided and read within one call, and used again for the next. */
export class AskEntries {
  #numbers: Float64Array = new Float64Array(roomAtFirst * askSize);
  #length = 0;

  /** Takes all entries out. */
  clear(): void {
    this.#length = 0;
  }

  /**
   * Adds an entry. No two are of one meter.
   * @param flags bits of `meterAsk`
   * @param window the calendar window's id, and the ms until it ends; 0 where there is none
   */
  ask(id: number, cost: number, flags: number, window: number, leftMs: number): void {
    const at = this.#length++ * askSize;
    if (at === this.#numbers.length) this.#numbers = grown(this.#numbers);
    const numbers = this.#numbers;
    numbers[at + asked.Id] = id;
    numbers[at + asked.Cost] = cost;
    numbers[at + asked.Window] = window;
    numbers[at + asked.Left] = leftMs;
    numbers[at + asked.Flags] = flags;
  }

  /**
   * Takes every entry's cost, or none: gives the ms after which the request may start; below 0, minus the number, from
   * 1, of the entry that refuses; NaN when a meter is gone.
   * @param delayMaxMs a later start is a refusal too
   */
  admit(table: number, delayMaxMs: number, nowMs: number): number {
    return native.meterAdmit(table, this.#numbers, this.#length, delayMaxMs, nowMs);
  }

  id(i: number): number {
    return this.#numbers[i * askSize + asked.Id] as number;
  }
  cost(i: number): number {
    return this.#numbers[i * askSize + asked.Cost] as number;
  }
  window(i: number): number {
    return this.#numbers[i * askSize + asked.Window] as number;
  }
  /** Of the entry that refuses: ms to wait; -1: for ever. */
  waitMs(i: number): number {
    return this.#numbers[i * askSize + asked.Cost] as number;
  }
  /** What is left of the meter, once it was decided. */
  left(i: number): number {
    return this.#numbers[i * askSize + asked.Left] as number;
  }
  /** Bits of `meterTold`, once it was decided and not refused. */
  told(i: number): number {
    return this.#numbers[i * askSize + asked.Flags] as number;
  }
}

/** Reserves that end: filled, settled and read within one call, and used again for the next. */
export class SettleEntries {
  #numbers: Float64Array = new Float64Array(roomAtFirst * settleSize);
  #length = 0;

  /** Takes all entries out. */
  clear(): void {
    this.#length = 0;
  }

  /** How many entries there are. */
  get length(): number {
    return this.#length;
  }

  /**
   * Adds an entry.
   * @param id of the meter; 0: nothing was reserved
   * @param window the calendar window's id that the reserve was taken in; 0 where there is none
   */
  settle(id: number, reserved: number, used: number, window: number): void {
    const at = this.#length++ * settleSize;
    if (at === this.#numbers.length) this.#numbers = grown(this.#numbers);
    const numbers = this.#numbers;
    numbers[at + settled.Id] = id;
    numbers[at + settled.Reserved] = reserved;
    numbers[at + settled.Used] = used;
    numbers[at + settled.Window] = window;
  }

  /** Ends the reserves; those of meters that are gone change nothing. */
  end(table: number, nowMs: number): void {
    native.meterSettle(table, this.#numbers, this.#length, nowMs);
  }

  /** Whether the end of a reserve crossed the soft mark. */
  crossed(i: number): boolean {
    return this.#numbers[i * settleSize + settled.Window] === 1;
  }
}

/**
 * Closes those meters that would be the same if made anew; gives for each whether it is gone.
 * @param meters ids, and calendar windows; 0 where there is none
 */
export function sweepMeters(
  table: number,
  meters: readonly { readonly id: number; readonly window: number }[],
  nowMs: number,
): boolean[] {
  const numbers = new Float64Array(meters.length * sweepSize);
  meters.forEach(({ id, window }, i) => {
    numbers[i * sweepSize + swept.Id] = id;
    numbers[i * sweepSize + swept.Window] = window;
  });
  native.meterSweep(table, numbers, meters.length, nowMs);
  return meters.map((_, i) => numbers[i * sweepSize + swept.Id] === 1);
}

/** A budget whose sum has changed. */
export interface ChangedBudget {
  readonly id: number;
  /** The calendar window it is in. */
  readonly window: number;
  /** What is spent or reserved in it. */
  readonly spent: number;
}

/** Budgets that have changed since they were last read, each once; fewer than `max` once there are no more. */
export function changedBudgets(table: number, max: number): ChangedBudget[] {
  const numbers = new Float64Array(max * changedSize);
  const count = native.meterChanged(table, numbers);
  const number = (at: number): number => numbers[at] ?? 0;
  return Array.from({ length: count }, (_, i) => ({
    id: number(i * changedSize + changed.Id),
    window: number(i * changedSize + changed.Window),
    spent: number(i * changedSize + changed.Spent),
  }));
}
