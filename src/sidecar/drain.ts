/** How a sidecar ends: requests in flight finish, then everything is released. */
import type { AdminPort } from '../admin/admin.ts';
import { Refusal } from '../base/errors.ts';
import type { Listener } from '../listen/listen.ts';
import { retryBudget } from '../native/retries.ts';
import type { Rooms } from './compose.ts';

/** What clients get to read the end of their stream in once the drain is over. */
const lastWordsMs = 1000;

/**
 * Refuses new requests, lets those in flight finish for `drainMs`, ends the rest with an error, and closes both ports.
 * A client that doesn't read or send to its end holds nobody up.
 */
export async function drain(
  rooms: Rooms,
  listener: Listener,
  admin: AdminPort,
  drainMs: number,
): Promise<void> {
  const refusal = new Refusal('draining', 'Sidegate is shutting down.', { retryAfterMs: 1000 });
  listener.refuseNew(refusal);
  rooms.batch.close();
  const abort = setTimeout(() => listener.abortAll(refusal), drainMs);
  const close = setTimeout(() => listener.close(), drainMs + lastWordsMs);
  await listener.drained();
  // The last requests are settled by what was counted as well.
  await rooms.counter.close(lastWordsMs);
  clearTimeout(abort);
  clearTimeout(close);
  listener.close();
  admin.close();
}

/**
 * Releases what the rooms hold.
 * @param reloading a reload that may be opening providers, and would keep the process alive
 */
export async function release(rooms: Rooms, reloading: Promise<unknown>): Promise<void> {
  await reloading;
  rooms.hints.close();
  retryBudget.close(rooms.retryBudgetId);
  // An open simulator would keep the process alive.
  await rooms.upstreams.close();
  rooms.callers.close();
  rooms.kept?.budgets.close();
  rooms.kept?.store.close();
  rooms.limiter.close();
}
