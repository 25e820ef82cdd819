/** Writes segments to the ledger's file, and deletes what is too old or too much. Blocks, so it belongs in a thread. */
import { statSync } from 'node:fs';
import { openStore } from '../../store/database.ts';
import { ledgerTables } from './columns.ts';
import { layout, type Segment } from './segment.ts';

/** How much is kept. */
export interface Retention {
  readonly keepDays: number;
  readonly maxBytes: number;
}

/** The open ledger. */
export interface LedgerWriter {
  /**
   * Commits a segment, once however often it is sent.
   * @param key the segment's own
   * @throws if it can't be written; nothing is then
   */
  write(key: string, segment: Segment): void;
  /**
   * Deletes some of the segments that are too old or too much; true: there are more.
   * @param nowMs ms since 1970
   */
  trim(retention: Retention, nowMs: number): boolean;
  close(): void;
}

const dayMs = 86_400_000;
/** Segments deleted in one transaction. */
const trimMax = 50;

/** Which file is at a path, whatever its name; null: none is. */
export function fileAt(path: string): string | null {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? null : `${found.dev}:${found.ino}`;
}

/** Opens the file, which is created if it is missing. Rejects if it can't be opened. */
export async function openWriter(path: string): Promise<LedgerWriter> {
  const store = await openStore(path, [ledgerTables]);
  const columns = JSON.stringify(layout);
  store.prepare('INSERT INTO layout (columns) VALUES (?) ON CONFLICT DO NOTHING').run(columns);
  const layoutId = Number(store.prepare('SELECT id FROM layout WHERE columns = ?').get(columns)?.id);
  const insert = store.prepare(
    `INSERT INTO segment (first, count, from_ms, to_ms, key, layout, numbers, texts)
     VALUES (coalesce((SELECT first + count FROM segment ORDER BY first DESC LIMIT 1), 1), ?, ?, ?, ?, ${layoutId}, ?, ?)
     ON CONFLICT (key) DO NOTHING`,
  );
  // The newest stays, so that numbers never begin again: sinks know by them how far they are.
  const older = 'first < (SELECT max(first) FROM segment)';
  const deleteOld = store.prepare(
    `DELETE FROM segment WHERE first IN
       (SELECT first FROM segment WHERE to_ms < ? AND ${older} ORDER BY to_ms LIMIT ${trimMax})`,
  );
  const deleteFirst = store.prepare(
    `DELETE FROM segment WHERE first = (SELECT min(first) FROM segment) AND ${older}`,
  );
  const used = store.prepare(
    'SELECT (page_count - freelist_count) * page_size AS bytes FROM pragma_page_count, pragma_freelist_count, pragma_page_size',
  );
  const isTooLarge = (maxBytes: number): boolean => Number(used.get()?.bytes ?? 0) > maxBytes;
  return {
    write: (key, { count, fromMs, toMs, numbers, texts }) =>
      void insert.run(count, fromMs, toMs, key, numbers, texts),
    trim({ keepDays, maxBytes }, nowMs) {
      const { changes: old } = deleteOld.run(nowMs - keepDays * dayMs);
      if (old === trimMax) return true;
      return store.transaction(() => {
        for (let i = 0; i < trimMax; i++)
          if (!isTooLarge(maxBytes) || deleteFirst.run().changes === 0) return false;
        return isTooLarge(maxBytes);
      });
    },
    close: () => store.close(),
  };
}
