/** Reads the ledger's file, also while a sidecar writes it: sums by any dimension, and the rows themselves. */
import { existsSync } from 'node:fs';
import type { SQLOutputValue } from 'node:sqlite';
import { type Layout, type Row, reading, rowsOf } from './segment.ts';
import { type CostRow, type Dimension, sumsOf } from './sums.ts';

/** A span of time, ms since 1970; the end isn't part of it. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Records that can be read. */
export interface LedgerReader {
  /** Sums, the most expensive first. With dimension `tag`, a request counts for each of its tags. */
  costs(by: readonly Dimension[], span: Span): CostRow[];
  /** The rows, oldest first. */
  rows(span: Span): Iterable<Row>;
  /** The newest row with this request id, trace id or client's id; null: there is none. */
  find(id: string): Row | null;
  close(): void;
}

const idsOf = ['request_id', 'trace_id', 'client_request_id'].map(reading<string>);
const endedMsOf = reading<number>('ended_ms');

/** Whether a row has this request id, trace id or client's id. */
export const isNamed = (row: Row, id: string): boolean => id !== '' && idsOf.some((of) => of(row) === id);

/** Unpacks what was selected from the tables `segment` and `layout`. */
export const rowsOfStored = (stored: Record<string, SQLOutputValue>): Iterable<Row> =>
  rowsOf(
    {
      count: Number(stored.count),
      numbers: stored.numbers as Uint8Array,
      texts: String(stored.texts),
    },
    JSON.parse(String(stored.columns)) as Layout,
  );

/** What `rowsOfStored` needs. */
export const storedSegments =
  'SELECT first, count, numbers, texts, columns FROM segment JOIN layout ON layout.id = layout';

/** Opens a file for reading. Rejects if it isn't a ledger. */
export async function openReader(path: string): Promise<LedgerReader> {
  if (!existsSync(path))
    throw new Error(
      `there is no ledger ${path}: a sidecar creates it when it serves with this observe.ledger.path.`,
    );
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  try {
    database.prepare('SELECT first FROM segment LIMIT 1').get();
  } catch (cause) {
    database.close();
    throw new Error(`${path} is not a ledger: ${cause instanceof Error ? cause.message : ''}.`, { cause });
  }
  const within = database.prepare(`${storedSegments} WHERE to_ms >= ? AND from_ms < ? ORDER BY first`);
  // An id in a segment is bytes of a row, or, in older ones, a JSON string of the list.
  const naming = database.prepare(
    `${storedSegments} WHERE instr(numbers, ?) > 0 OR instr(texts, ?) > 0 ORDER BY first DESC`,
  );
  function* rows({ fromMs, toMs }: Span): Generator<Row> {
    for (const stored of within.iterate(fromMs, toMs))
      for (const row of rowsOfStored(stored)) {
        const endedMs = endedMsOf(row);
        if (endedMs >= fromMs && endedMs < toMs) yield row;
      }
  }
  return {
    costs: (by, span) => sumsOf(rows(span), by),
    rows,
    find(id) {
      for (const stored of naming.iterate(Buffer.from(id), JSON.stringify(id))) {
        const found = [...rowsOfStored(stored)].findLast((row) => isNamed(row, id));
        if (found !== undefined) return found;
      }
      return null;
    },
    close: () => database.close(),
  };
}
