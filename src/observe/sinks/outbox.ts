/**
 * What sinks haven't got yet: the ledger's file is the queue, and remembers how far each sink is. So an outage of a sink
 * costs no memory, and what is committed reaches it even after a crash, unless the ledger's retention deletes it first.
 */
import type { SQLOutputValue } from 'node:sqlite';
import { openStore } from '../../store/database.ts';
import type { ChargeRow } from '../ledger/batch.ts';
import { columnNames, ledgerTables } from '../ledger/columns.ts';
import type { SinkRow } from './sink.ts';

/** Rows that a sink gets next. */
export interface Portion {
  readonly rows: readonly SinkRow[];
  /** Id of the last of them. */
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
  /** The sink has all rows up to this id. */
  done(sink: string, portion: Portion): void;
  progress(sink: string): Progress;
  close(): void;
}

/** Opens the queue of a ledger's file. @param instance name of this process in the rows */
export async function openOutbox(path: string, instance: string): Promise<Outbox> {
  const store = await openStore(path, [ledgerTables]);
  const names = columnNames.map((name) => `"${name}"`).join();
  const state = store.prepare('SELECT cursor, sent, dropped FROM sink WHERE name = ?');
  const save = store.prepare(
    `INSERT INTO sink (name, cursor, sent, dropped) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (name) DO UPDATE SET cursor = ?2, sent = ?3, dropped = ?4`,
  );
  const newest = store.prepare('SELECT max(id) AS last FROM request');
  const after = store.prepare(
    `SELECT id, split, steps, ${names} FROM request WHERE id > ? ORDER BY id LIMIT ?`,
  );
  const chargesOf = store.prepare('SELECT * FROM charge WHERE request = ? ORDER BY position');
  const endedOf = store.prepare('SELECT ended_ms FROM request WHERE id > ? ORDER BY id LIMIT 1');

  const numbersOf = (sink: string): { cursor: number; sent: number; dropped: number } => {
    const row = state.get(sink);
    return {
      cursor: Number(row?.cursor ?? 0),
      sent: Number(row?.sent ?? 0),
      dropped: Number(row?.dropped ?? 0),
    };
  };

  const rowOf = ({ id, split, steps, ...values }: Record<string, SQLOutputValue>): SinkRow => ({
    ...values,
    instance,
    charges: split === 0 ? [] : chargesOf.all(id as number).map(chargeOf),
    steps: steps === '' ? [] : JSON.parse(String(steps)),
  });

  return {
    next(sink, max) {
      const { cursor } = numbersOf(sink);
      const found = after.all(cursor, max);
      return { rows: found.map(rowOf), last: Number(found.at(-1)?.id ?? cursor) };
    },
    done(sink, { rows, last }) {
      const { cursor, sent, dropped } = numbersOf(sink);
      // Ids have no gaps but those that retention makes at the front.
      const missed = Math.max(0, last - cursor - rows.length);
      save.run(sink, last, sent + rows.length, dropped + missed);
    },
    progress(sink) {
      const { cursor, sent, dropped } = numbersOf(sink);
      const { last } = newest.get() ?? {};
      const waiting = Math.max(0, Number(last ?? 0) - cursor);
      const oldestMs = waiting === 0 ? 0 : Number(endedOf.get(cursor)?.ended_ms ?? 0);
      return { sent, dropped, waiting, oldestMs };
    },
    close: () => store.close(),
  };
}

const chargeOf = (row: Record<string, SQLOutputValue>): ChargeRow => ({
  target: String(row.target),
  inputTokens: Number(row.input_tokens),
  outputTokens: Number(row.output_tokens),
  cachedInputTokens: Number(row.cached_input_tokens),
  cacheWriteTokens: Number(row.cache_write_tokens),
  costNanoUsd: Number(row.cost_nano_usd),
  priced: Number(row.priced),
});
