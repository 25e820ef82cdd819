/** Shuts a sidecar down: requests in flight finish, then everything is released. */
import type { AdminPort } from '../admin/admin.ts';
import { Refusal } from '../base/errors.ts';
import type { Listener } from '../listen/listen.ts';
import { retryBudget } from '../native/retries.ts';
import type { Rooms } from './compose.ts';

/** Time that clients get to read the end of their stream after the drain. */
const lastReadMs = 1000;

/**
 * Refuses new requests, lets those in flight finish for `drainMs`, ends the rest with an error, and closes both ports.
 * A client that stops reading or sending delays nothing beyond that.
 * @param admin null: it is the first worker's
 */
export async function drain(
  rooms: Rooms,
  listener: Listener,
  drainMs: number,
  admin: Pick<AdminPort, 'close'> | null,
): Promise<void> {
  const refusal = new Refusal('draining', 'Sidegate is shutting down.', { retryAfterMs: 1000 });
  listener.refuseNew(refusal);
  rooms.batch.close();
  const abort = setTimeout(() => listener.abortAll(refusal), drainMs);
  const close = setTimeout(() => listener.close(), drainMs + lastReadMs);
  await listener.drained(refusal);
  // The last requests may wait for their tokens to be counted before they are settled.
  await rooms.counter.close(lastReadMs);
  clearTimeout(abort);
  clearTimeout(close);
  listener.close();
  admin?.close();
}

/**
 * Releases what the rooms hold.
 * @param reloading a running reload: it may be opening providers, which would keep the process alive
 */
export async function release(rooms: Rooms, reloading: Promise<unknown>): Promise<void> {
  await reloading;
  await rooms.pods.close();
  retryBudget.close(rooms.retryBudgetId);
  // An open simulator would keep the process alive.
  await rooms.upstreams.close();
  rooms.callers.close();
  rooms.recogniser.close();
  rooms.observer.flush();
  await rooms.followers.close(lastReadMs);
  rooms.owners.close();
  rooms.kept?.budgets?.close();
  rooms.kept?.store.close();
  rooms.aside.close();
  rooms.limiter.close();
  rooms.crew.close();
}
