/** Meters of limits and budgets in the native core, and typed lists of entries to ask several of them in one call. */
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

/** A meter that was opened. */
export interface OpenedMeter {
  readonly id: number;
  /** Nothing was taken from it yet; otherwise another thread had opened it. */
  readonly fresh: boolean;
}

/**
 * Opens a meter that threads share by its name, until each has closed it. If it is open already it gets these settings.
 * @param name undefined: it is the caller's alone
 */
export function openNamedMeter(
  name: string | undefined,
  ...[table, algorithm, capacity, rate, softShare, nowMs]: Parameters<typeof meter.open>
): OpenedMeter {
  const id = native.meterOpen(table, algorithm, capacity, rate, softShare, nowMs, name);
  return { id: Math.abs(id), fresh: id > 0 };
}

/** Algorithms for `meter.open`; `src/exchange/algorithm.ts` says what each is to the rest. */
export const MeterAlgorithm = native.MeterAlgorithm;
/** One of them. */
export type MeterAlgorithm = (typeof MeterAlgorithm)[keyof typeof MeterAlgorithm];

/**
 * Flags of an entry passed to `AskEntries.ask`. `observed`: report only, never refuse; `spent`: used up at once, so it is
 * never settled; `quiet`: no reply follows that could announce the crossed soft limit; `alone`: decided as if Redis were
 * gone; `held`: adds to what is held of its window, which costs nothing once that is over.
 */
export const meterAsk = {
  observed: native.meterAsk.OBSERVED,
  spent: native.meterAsk.SPENT,
  quiet: native.meterAsk.QUIET,
  alone: native.meterAsk.ALONE,
  held: native.meterAsk.HELD,
};

/**
 * Flags returned by `AskEntries.told`. `crossed`: this request crossed the soft limit; `say`: its reply should
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

/** Initial capacity of a list, in entries. */
const initialCapacity = 16;

function grown(numbers: Float64Array): Float64Array {
  const more = new Float64Array(2 * numbers.length);
  more.set(numbers);
  return more;
}

/** What one request asks of several meters. Filled, decided and read synchronously, then reused for the next request. */
export class AskEntries {
  #numbers: Float64Array = new Float64Array(initialCapacity * askSize);
  #length = 0;

  /** Removes all entries. */
  clear(): void {
    this.#length = 0;
  }

  /**
   * Adds an entry; at most one for each meter.
   * @param flags bits of `meterAsk`
   * @param window id of the calendar window; 0: none
   * @param leftMs ms until that window ends; 0: none
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
   * Reserves the cost of every entry, or of none.
   * @param delayMaxMs a longer delay is a refusal
   * @returns the ms after which the request may start; if negative, minus the number (from 1) of the entry that refuses;
   * NaN if a meter no longer exists
   */
  admit(table: number, delayMaxMs: number, nowMs: number): number {
    return native.meterAdmit(table, this.#numbers, this.#length, delayMaxMs, nowMs);
  }

  /** Id of an entry's meter. */
  id(i: number): number {
    return this.#numbers[i * askSize + asked.Id] as number;
  }
  /** Cost of an entry, unless it refuses. */
  cost(i: number): number {
    return this.#numbers[i * askSize + asked.Cost] as number;
  }
  /** Calendar window that an entry is charged to; 0: none. */
  window(i: number): number {
    return this.#numbers[i * askSize + asked.Window] as number;
  }
  /** Of the entry that refuses: ms until a retry may succeed; -1: never. */
  waitMs(i: number): number {
    return this.#numbers[i * askSize + asked.Cost] as number;
  }
  /** After the decision: what is left of the entry's meter. */
  left(i: number): number {
    return this.#numbers[i * askSize + asked.Left] as number;
  }
  /** After a decision other than a refusal: bits of `meterTold`. */
  told(i: number): number {
    return this.#numbers[i * askSize + asked.Flags] as number;
  }
}

/** Reservations to settle. Filled, settled and read synchronously, then reused. */
export class SettleEntries {
  #numbers: Float64Array = new Float64Array(initialCapacity * settleSize);
  #length = 0;

  /** Removes all entries. */
  clear(): void {
    this.#length = 0;
  }

  /** How many entries there are. */
  get length(): number {
    return this.#length;
  }

  /**
   * Adds an entry.
   * @param id the meter's; 0: nothing was reserved
   * @param window id of the calendar window of the reservation; 0: none
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

  /** Replaces the reserved amounts with those used; entries of meters that no longer exist are ignored. */
  end(table: number, nowMs: number): void {
    native.meterSettle(table, this.#numbers, this.#length, nowMs);
  }

  /** Whether settling the entry crossed the soft limit. */
  crossed(i: number): boolean {
    return this.#numbers[i * settleSize + settled.Window] === 1;
  }
}

/**
 * Lets go of the meters whose state equals that of a new one.
 * @param meters ids and calendar windows (0: none)
 * @param leads only of those that no other thread holds
 * @returns for each meter, whether it was let go
 */
export function sweepMeters(
  table: number,
  meters: readonly { readonly id: number; readonly window: number }[],
  leads: boolean,
  nowMs: number,
): boolean[] {
  const numbers = new Float64Array(meters.length * sweepSize);
  meters.forEach(({ id, window }, i) => {
    numbers[i * sweepSize + swept.Id] = id;
    numbers[i * sweepSize + swept.Window] = window;
  });
  native.meterSweep(table, numbers, meters.length, leads, nowMs);
  return meters.map((_, i) => numbers[i * sweepSize + swept.Id] === 1);
}

/** A budget whose amount has changed. */
export interface ChangedBudget {
  readonly id: number;
  /** Id of its current calendar window. */
  readonly window: number;
  /** What is spent or reserved in that window. */
  readonly spent: number;
}

/** Budgets that have changed since they were last read, each once; fewer than `max` if there are no more. */
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
