/** Clocks and chance, replaceable in tests. */

/** Clocks and chance, replaceable in tests. */
export interface World {
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly wallClock: () => number;
  readonly random: () => number;
}
