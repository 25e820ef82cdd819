/** Gathers what a sink holds of a span into a ledger's file, so that all sums are made in one place. */
import { numberColumns, textColumns } from '../ledger/columns.ts';
import type { Span } from '../ledger/report.ts';
import { openWriter } from '../ledger/writer.ts';
import type { SinkRow, SinkSource } from './sink.ts';

/** Rows in one transaction. */
const batchMax = 1000;

/** Writes the rows of a span into a new file. Rows that come twice count once. */
export async function gather(source: SinkSource, span: Span, path: string): Promise<void> {
  const writer = await openWriter(path);
  try {
    let rows: SinkRow[] = [];
    const write = (): void => {
      writer.insert(rows.map(rowOf));
      rows = [];
    };
    for await (const row of source.rows(span)) {
      rows.push(row);
      if (rows.length === batchMax) write();
    }
    write();
  } finally {
    writer.close();
  }
}

const rowOf = (row: SinkRow) => ({
  // A column that this version doesn't know is left out; one that it alone knows is empty.
  values: [
    ...textColumns.map(({ name }) => String(row[name] ?? '')),
    ...numberColumns.map(({ name }) => Number(row[name] ?? 0)),
  ],
  charges: row.charges,
  steps: row.steps,
});
