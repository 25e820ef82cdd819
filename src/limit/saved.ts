/** Budgets over a restart: what each has spent in its window, written to the store at intervals. */
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

export interface SavedBudgets {
  /** Writes what has changed; false: not all of it could be. Blocks for some µs a row. */
  flush(): boolean;
  /** Ends the interval and writes what has changed, for which it waits longer. */
  close(): void;
}

/** Rows in one transaction: it blocks for a millisecond or two. */
const rowsMax = 500;
/** Windows that began longer ago are over, whatever their kind; one that begins later yet is of a clock that was wrong. */
const keptMs = 40 * 86_400_000;

/** What budgets had spent. @param wallMs time of day, ms */
export function readBudgets(store: Store, wallMs: number): SpentRow[] {
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
 * Writes budgets at intervals, off the path of requests. What is written is what was spent and what is reserved, so
 * a process that dies forgets only what was granted since, and may count reserves that were never used. From here on
 * no write to the store waits long for another process: what can't be written is written an interval later.
 * @param changed as `Limiter.changed`
 */
export function saveBudgets(
  store: Store,
  changed: (max: number) => SpentRow[],
  flushMs: number,
  telemetry: Pick<Telemetry, 'budgetsSaved'>,
): SavedBudgets {
  store.setBusyTimeout(loopBusyTimeoutMs);
  // Also over a window that begins later: it is of a clock that was ahead, or of a budget that had other windows.
  const write = store.prepare(
    'INSERT OR REPLACE INTO budgets (budget, place, window, nano_usd) VALUES (?, ?, ?, ?)',
  );
  // Rows that could not be written: one a budget and place, so no more than there are meters.
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
