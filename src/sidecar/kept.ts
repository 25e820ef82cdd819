/** State that outlives the process: the embedded database, the keys in it, and what budgets have spent. */
import type { StoredKeys } from '../authenticate/stored-keys.ts';
import type { Log } from '../base/log.ts';
import { say } from '../base/log-lines.ts';
import type { KeyBook } from '../exchange/shared-keys.ts';
import type { Limiter } from '../limit/limit.ts';
import { budgetTables, type SavedBudgets, saveBudgets } from '../limit/saved.ts';
import type { SpentRow } from '../limit/scopes.ts';
import type { Observer } from '../observe/telemetry.ts';
import { lockStore, loopBusyTimeoutMs, openStore, type Store } from '../store/database.ts';
import { ownerTables } from '../store/owners.ts';

/** State that outlives the process. */
export interface Kept {
  readonly store: Store;
  readonly keys: StoredKeys;
  readonly keyBook: KeyBook;
  /** Null: the first worker saves them. */
  readonly budgets: SavedBudgets | null;
}

/** The embedded database and the keys in it; null: there is none. @param locks keeps other sidecars away */
export async function openKept(
  path: string | undefined,
  locks: boolean,
): Promise<Pick<Kept, 'store' | 'keys' | 'keyBook'> | null> {
  if (path === undefined) return null;
  // Loaded only if needed, since it loads the schema library.
  const { keyTables, openStoredKeys } = await import('../authenticate/stored-keys.ts');
  // First of all: a newer version would change the tables of the one that uses them.
  const lock = locks ? await lockStore(path) : null;
  const opened = await openStore(path, [budgetTables, keyTables, ownerTables]).catch((cause: unknown) => {
    lock?.release();
    throw cause;
  });
  const store: Store = {
    ...opened,
    close() {
      opened.close();
      lock?.release();
    },
  };
  const { openKeyBook } = await import('../authenticate/shared-keys.ts');
  // A write by another worker must not hold up requests.
  if (!locks) store.setBusyTimeout(loopBusyTimeoutMs);
  return { store, keys: openStoredKeys(store), keyBook: openKeyBook(store) };
}

/** With what saves budgets, if this worker `saves` them for all. @param flushMs how often they are written */
export function keep(
  opened: Omit<Kept, 'budgets'>,
  flushMs: number,
  limiter: Limiter,
  observer: Observer,
  saves: boolean,
): Kept {
  return { ...opened, budgets: saves ? saveBudgets(opened.store, limiter.changed, flushMs, observer) : null };
}

/** Says that the clock is behind what was saved: it is wrong, or was. @param wallMs Unix ms */
export function sayIfBehind(saved: readonly SpentRow[], log: Log, wallMs: number): void {
  const latest = saved.reduce((last, { window }) => Math.max(last, window), Number.NEGATIVE_INFINITY);
  if (latest <= wallMs) return;
  const text = (ms: number): string => new Date(ms).toISOString();
  say(log, 'clockBehind', { now: text(wallMs), saved: text(latest) });
}
