/**
 * What sinks haven't got yet: the ledger's file is the queue, and remembers how far each sink is. So an outage of a sink
 * costs no memory, and what is committed reaches it even after a crash, unless the ledger's retention deletes it first.
 */
import { openStore } from '../../store/database.ts';
import { ledgerTables } from '../ledger/columns.ts';
import { rowsOfStored, storedSegments } from '../ledger/report.ts';
import { namedValues } from '../ledger/segment.ts';
import type { SinkRow } from './sink.ts';

/** Rows that a sink gets next. */
export interface Portion {
  readonly rows: readonly SinkRow[];
  /** Number of the last of them. */
  readonly last: number;
}

/** How far a sink is. */
export interface Progress {
  readonly sent: number;
  /** Rows that the ledger's retention deleted before the sink got them. */
  readonly dropped: number;
  readonly waiting: number;
  /** When the oldest that waits ended, ms since 1970; 0: none waits. */
  readonly oldestMs: number;
}

/** The queue of all sinks. Its calls block, so it belongs in a thread. */
export interface Outbox {
  /** The next rows of a sink, at most `max`. */
  next(sink: string, max: number): Portion;
  /** The sink has all rows of this portion. */
  done(sink: string, portion: Portion): void;
  progress(sink: string): Progress;
  close(): void;
}

/** Opens the queue of a ledger's file. @param instance name of this process in the rows */
export async function openOutbox(path: string, instance: string): Promise<Outbox> {
  const store = await openStore(path, [ledgerTables]);
  const state = store.prepare('SELECT cursor, sent, dropped FROM reached WHERE sink = ?');
  const save = store.prepare(
    `INSERT INTO reached (sink, cursor, sent, dropped) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (sink) DO UPDATE SET cursor = ?2, sent = ?3, dropped = ?4`,
  );
  const newest = store.prepare('SELECT first + count - 1 AS last FROM segment ORDER BY first DESC LIMIT 1');
  // Of segments that began before the cursor, only the newest can have rows beyond it.
  const after = store.prepare(
    `${storedSegments} WHERE first >= coalesce((SELECT max(first) FROM segment WHERE first <= ?1 + 1), 0)
       AND first + count > ?1 + 1 ORDER BY first`,
  );

  const numbersOf = (sink: string): { cursor: number; sent: number; dropped: number } => {
    const row = state.get(sink);
    return {
      cursor: Number(row?.cursor ?? 0),
      sent: Number(row?.sent ?? 0),
      dropped: Number(row?.dropped ?? 0),
    };
  };

  /** The rows beyond a cursor, with their numbers. */
  function* rowsAfter(cursor: number): Generator<readonly [number, SinkRow]> {
    for (const stored of after.iterate(cursor)) {
      let number = Number(stored.first);
      for (const row of rowsOfStored(stored)) {
        const { charges, steps } = row;
        if (number > cursor) yield [number, { ...namedValues(row), instance, charges, steps }];
        number += 1;
      }
    }
  }

  const oldestOf = (cursor: number): number => {
    for (const [, { ended_ms }] of rowsAfter(cursor)) return Number(ended_ms);
    return 0;
  };

  return {
    next(sink, max) {
      const { cursor } = numbersOf(sink);
      const rows: SinkRow[] = [];
      let last = cursor;
      for (const [number, row] of rowsAfter(cursor)) {
        rows.push(row);
        last = number;
        if (rows.length === max) break;
      }
      return { rows, last };
    },
    done(sink, { rows, last }) {
      const { cursor, sent, dropped } = numbersOf(sink);
      // Numbers have no gaps but those that retention makes at the front.
      const missed = Math.max(0, last - cursor - rows.length);
      save.run(sink, last, sent + rows.length, dropped + missed);
    },
    progress(sink) {
      const { cursor, sent, dropped } = numbersOf(sink);
      const { last } = newest.get() ?? {};
      const waiting = Math.max(0, Number(last ?? 0) - cursor);
      const oldestMs = waiting === 0 ? 0 : oldestOf(cursor);
      return { sent, dropped, waiting, oldestMs };
    },
    close: () => store.close(),
  };
}
