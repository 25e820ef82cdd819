/**
 * Cancellation of a request, with a typed reason. An `AbortSignal` would do the same but costs 0.4 µs more CPU time,
 * on a path where every request creates one and almost none is cancelled.
 */
import { Refusal } from './errors.ts';

/** Why a request is cancelled: its client disconnected, another call was faster, or this refusal is sent instead. */
export type CancelReason = 'client_gone' | 'hedged' | Refusal;

/** Cancels at most once, and notifies its listeners when it does. */
export class Cancellation {
  #reason: CancelReason | null = null;
  #listeners: (() => void)[] = [];

  /** Null: not cancelled. */
  get reason(): CancelReason | null {
    return this.#reason;
  }

  /** Only the first call has an effect. */
  cancel(reason: CancelReason): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }

  /** Calls `listener` once, on cancellation. There are few listeners at a time: two calls, one backoff. */
  onCancel(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Removes a listener. */
  off(listener: () => void): void {
    const at = this.#listeners.indexOf(listener);
    if (at >= 0) this.#listeners.splice(at, 1);
  }
}

/** Waits `waitMs`, or until the request is cancelled. @returns false if it was cancelled */
export function sleep(waitMs: number, cancellation: Cancellation): Promise<boolean> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      cancellation.off(wake);
      resolve(cancellation.reason === null);
    };
    const timer = setTimeout(wake, waitMs);
    cancellation.onCancel(wake);
  });
}

/** The refusal that ends a cancelled request: the one it was cancelled with, or one that is never sent. */
export function cancelRefusal({ reason }: Cancellation): Refusal {
  return reason instanceof Refusal ? reason : new Refusal('internal', 'The client disconnected.');
}
