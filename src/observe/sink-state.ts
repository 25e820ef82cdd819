/** How a sink of records is doing. */
export interface SinkState {
  /** Records that it took. */
  readonly sent: number;
  /** Records that it will never get, because too many waited. */
  readonly dropped: number;
  /** Records that wait. */
  readonly waiting: number;
  /** How long the oldest of them has waited, ms. */
  readonly lagMs: number;
}
