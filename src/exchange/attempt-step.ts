/** One step of what was tried for a request: a call to a target, or a target that was skipped. */

/** A step, as the record shows it. Numbers stay numbers, so that a request costs no text. */
export interface AttemptStep {
  /** `provider/model`, from the configuration. */
  readonly target: string;
  /** The model name that was sent; empty: nothing was sent. */
  readonly model: string;
  /** `ok`, or why there was no answer. From a closed list. */
  outcome: string;
  /** What edges know the failure by; empty: it answered. */
  readonly cause: string;
  /** False: skipped without a call. */
  readonly called: boolean;
  /** Its provider bills it: the next of the request's charges is its own. */
  billed?: boolean;
  /** When it was sent, monotonic ms. */
  readonly sentMs: number;
  /** Ms until it ended: a stream's last event, a whole reply, or the failure. */
  durationMs: number;
  /** Ms until the first content, or the whole reply; -1: none came. */
  readonly ttftMs: number;
  /** The provider's status; 0: no reply came. */
  readonly status: number;
  /** The provider's own id of the call; empty: it states none. */
  readonly providerRequestId: string;
  /** The provider's error: bounded, with quoted and personal text removed. */
  readonly error: string;
}

/** No provider was asked. */
export const noSteps: readonly AttemptStep[] = [];
