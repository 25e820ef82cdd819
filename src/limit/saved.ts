/** Dollar budgets over a restart: what each has spent in its window, written to the database at intervals. */
import type { Telemetry } from '../base/telemetry.ts';
import { busyTimeoutMs, loopBusyTimeoutMs, type Migrations, type Store } from '../store/database.ts';
import type { SpentRow } from './scopes.ts';

/** Tables of `openStore`. */
export const budgetTables: Migrations = {
  part: 'budgets',
  steps: [
    `CREATE TABLE budgets (
      budget TEXT NOT NULL, place TEXT NOT NULL, window REAL NOT NULL, nano_usd REAL NOT NULL,
      PRIMARY KEY (budget, place)
    ) WITHOUT ROWID`,
  ],
};

/** Writes dollar budgets at intervals. */
export interface SavedBudgets {
  /** Writes what has changed; false: not everything could be written. Blocks for a few µs per row. */
  flush(): boolean;
  /** Stops the interval and writes what has changed, waiting longer for other processes. */
  close(): void;
}

/** Rows in one transaction, which blocks for a millisecond or two. */
const rowsMax = 500;
/** Windows that began longer ago have ended, whatever their kind; one further ahead comes from a wrong clock. */
const keptMs = 40 * 86_400_000;

/** No clock is right that says an earlier time: this code was written then. */
const writtenMs = Date.UTC(2026, 10, 1);

/** What dollar budgets had spent; deletes outdated rows, unless the clock is certainly wrong. @param wallMs Unix ms */
export function readBudgets(store: Store, wallMs: number): SpentRow[] {
  if (wallMs >= writtenMs)
    store.prepare('DELETE FROM budgets WHERE window < ? OR window > ?').run(wallMs - keptMs, wallMs + keptMs);
  return store
    .prepare('SELECT budget, place, window, nano_usd FROM budgets')
    .all()
    .map(({ budget, place, window, nano_usd }) => ({
      budget: String(budget),
      place: String(place),
      window: Number(window),
      nanoUsd: Number(nano_usd),
    }));
}

/**
 * Writes dollar budgets at intervals, off the request path. Both spent and reserved amounts are written, so a crash
 * loses only what was granted since, and may count reservations that were never used. From here on no write to the
 * database waits long for another process: a failed write is retried one interval later.
 * @param changed `Limiter.changed`
 */
export function saveBudgets(
  store: Store,
  changed: (max: number) => SpentRow[],
  flushMs: number,
  telemetry: Pick<Telemetry, 'budgetsSaved'>,
): SavedBudgets {
  store.setBusyTimeout(loopBusyTimeoutMs);
  // Also replaces a later window: it comes from a clock that was ahead, or from other windows of the same budget.
  const write = store.prepare(
    'INSERT OR REPLACE INTO budgets (budget, place, window, nano_usd) VALUES (?, ?, ?, ?)',
  );
  // Rows not written yet: one per budget and meter, so no more than there are meters.
  const waiting = new Map<string, SpentRow>();
  let failing = false;

  const writeRows = (rows: readonly SpentRow[]): boolean => {
    try {
      store.transaction(() => {
        for (const { budget, place, window, nanoUsd } of rows) write.run(budget, place, window, nanoUsd);
      });
    } catch (cause) {
      if (!failing) telemetry.budgetsSaved(cause instanceof Error ? cause.message : String(cause));
      failing = true;
      return false;
    }
    if (failing) telemetry.budgetsSaved(null);
    failing = false;
    return true;
  };

  /** Writes one transaction's worth; true: there is more. */
  const flushSome = (): boolean => {
    const rows = changed(rowsMax);
    for (const row of rows) waiting.set(`${row.budget}\0${row.place}`, row);
    if (waiting.size === 0) return false;
    const some: SpentRow[] = [];
    for (const row of waiting.values()) if (some.push(row) === rowsMax) break;
    if (!writeRows(some)) return false;
    for (const row of some) waiting.delete(`${row.budget}\0${row.place}`);
    return rows.length === rowsMax || waiting.size > 0;
  };

  let more: NodeJS.Immediate | null = null;
  const turn = (): void => {
    more = flushSome() ? setImmediate(turn) : null;
  };
  const timer = setInterval(() => {
    if (more === null) turn();
  }, flushMs);
  timer.unref();

  const flush = (): boolean => {
    while (flushSome());
    return waiting.size === 0;
  };
  return {
    flush,
    close() {
      clearInterval(timer);
      if (more !== null) clearImmediate(more);
      store.setBusyTimeout(busyTimeoutMs);
      flush();
    },
  };
}
