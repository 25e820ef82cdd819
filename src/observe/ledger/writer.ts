/** Writes batches to the ledger's file, and deletes what is too old or too much. Blocks, so it belongs in a thread. */
import { openStore } from '../../store/database.ts';
import { type Batch, type Row, unpack } from './batch.ts';
import { columnNames, ledgerTables } from './columns.ts';

/** How much is kept. */
export interface Retention {
  readonly keepDays: number;
  readonly maxBytes: number;
}

/** The open ledger. */
export interface LedgerWriter {
  /** Commits a batch, each record once however often it is sent. @throws if it can't be written; nothing is then */
  write(batch: Batch): void;
  /** The same for rows. */
  insert(rows: Iterable<Row>): void;
  /** Deletes some of what is too old or too much; true: there is more. @param nowMs ms since 1970 */
  trim(retention: Retention, nowMs: number): boolean;
  /** Rows of a table. */
  count(table: 'request' | 'charge'): number;
  close(): void;
}

const dayMs = 86_400_000;
/** Requests deleted in one transaction. */
const trimMax = 5000;

/** Opens the file, which is created if it is missing. Rejects if it can't be opened. */
export async function openWriter(path: string): Promise<LedgerWriter> {
  const store = await openStore(path, [ledgerTables]);
  const places = [...columnNames, 'split', 'steps'];
  const insert = store.prepare(
    `INSERT INTO request (${places.map((name) => `"${name}"`).join()}) VALUES (${places.map(() => '?').join()})
     ON CONFLICT (request_id) DO NOTHING`,
  );
  const insertCharge = store.prepare('INSERT INTO charge VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  // The newest stays, so that ids never begin again: sinks know by them how far they are.
  const older = 'id < (SELECT max(id) FROM request)';
  const deleteOld = store.prepare(
    `DELETE FROM request WHERE id IN
       (SELECT id FROM request WHERE ended_ms < ? AND ${older} ORDER BY ended_ms LIMIT ?)`,
  );
  const deleteFirst = store.prepare(
    `DELETE FROM request WHERE id IN (SELECT id FROM request WHERE ${older} ORDER BY id LIMIT ?)`,
  );
  const used = store.prepare(
    'SELECT (page_count - freelist_count) * page_size AS bytes FROM pragma_page_count, pragma_freelist_count, pragma_page_size',
  );
  const insertRows = (rows: Iterable<Row>): void => {
    store.transaction(() => {
      for (const { values, charges, steps } of rows) {
        const { changes, lastInsertRowid } = insert.run(
          ...values,
          charges.length > 0 ? 1 : 0,
          steps.length === 0 ? '' : JSON.stringify(steps),
        );
        if (changes === 0) continue;
        let position = 0;
        for (const each of charges)
          insertCharge.run(
            lastInsertRowid,
            position++,
            each.target,
            each.inputTokens,
            each.outputTokens,
            each.cachedInputTokens,
            each.cacheWriteTokens,
            each.costNanoUsd,
            each.priced,
          );
      }
    });
  };
  return {
    write: (batch) => insertRows(unpack(batch)),
    insert: insertRows,
    trim({ keepDays, maxBytes }, nowMs) {
      const { changes: old } = deleteOld.run(nowMs - keepDays * dayMs, trimMax);
      if (old === trimMax) return true;
      if (Number(used.get()?.bytes ?? 0) <= maxBytes) return false;
      return Number(deleteFirst.run(trimMax).changes) === trimMax;
    },
    count: (table) => Number(store.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.rows),
    close: () => store.close(),
  };
}
