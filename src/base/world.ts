/** Clocks and randomness, passed in so that tests can replace them. */

/** The sources of time and randomness. */
export interface World {
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Unix time in ms. */
  readonly wallClock: () => number;
  /** A number from 0 up to, but not including, 1. */
  readonly random: () => number;
}
