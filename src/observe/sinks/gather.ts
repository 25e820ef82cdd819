/** Gathers what a sink holds of a span into a temporary file, to be read like a ledger. Rows that come twice count once. */
import { numberColumns, textColumns } from '../ledger/columns.ts';
import { isNamed, type LedgerReader, type Span } from '../ledger/report.ts';
import { type Row, reading } from '../ledger/segment.ts';
import { sumsOf } from '../ledger/sums.ts';
import type { SinkRow, SinkSource } from './sink.ts';

/** Rows in one transaction. */
const batchMax = 1000;

const idOf = reading<string>('request_id');
const endedMsOf = reading<number>('ended_ms');

/** Reads a span of a source. @param path of the file, which must not exist yet */
export async function gather(source: SinkSource, gathered: Span, path: string): Promise<LedgerReader> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(path);
  // It is made anew each time, so nothing needs to survive a crash.
  database.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    CREATE TABLE gathered (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, ended_ms INTEGER NOT NULL, row TEXT NOT NULL);
    CREATE INDEX by_time ON gathered (ended_ms)`);
  const insert = database.prepare(
    'INSERT INTO gathered (id, ended_ms, row) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const select = database.prepare(
    'SELECT row FROM gathered WHERE ended_ms >= ? AND ended_ms < ? ORDER BY ended_ms, number',
  );
  try {
    let count = 0;
    database.exec('BEGIN');
    for await (const each of source.rows(gathered)) {
      const row = rowOf(each);
      insert.run(idOf(row), endedMsOf(row), JSON.stringify(row));
      count += 1;
      if (count % batchMax === 0) database.exec('COMMIT; BEGIN');
    }
    database.exec('COMMIT');
  } catch (cause) {
    database.close();
    throw cause;
  }
  function* rows({ fromMs, toMs }: Span): Generator<Row> {
    for (const { row } of select.iterate(fromMs, toMs)) yield JSON.parse(String(row)) as Row;
  }
  return {
    costs: (by, span) => sumsOf(rows(span), by),
    rows,
    find(id) {
      let found: Row | null = null;
      for (const row of rows(gathered)) if (isNamed(row, id)) found = row;
      return found;
    },
    close: () => database.close(),
  };
}

/** A column that this version doesn't know is left out; one that it alone knows is empty. */
const rowOf = (row: SinkRow): Row => ({
  values: [
    ...textColumns.map(({ name }) => String(row[name] ?? '')),
    ...numberColumns.map(({ name }) => Number(row[name] ?? 0)),
  ],
  charges: row.charges,
  steps: row.steps,
});
