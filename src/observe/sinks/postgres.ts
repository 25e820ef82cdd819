/** Records in a table of PostgreSQL, one row for each request; `charges` and `steps` are JSON. */
import pg from 'pg';
import { numberColumns, textColumns } from '../ledger/columns.ts';
import type { Span } from '../ledger/report.ts';
import type { SinkSettings } from './settings.ts';
import { type Sink, type SinkRow, type SinkSource, sendTimeoutMs } from './sink.ts';

type Settings = NonNullable<SinkSettings['postgres']>;

/** Rows read at a time. */
const readMax = 1000;

const columns = [...textColumns, ...numberColumns].map(({ name }) => `"${name}"`);

/** Sidecars of several versions write to one table: each adds its columns, and those of another are empty in its rows. */
const definitions = [
  ...textColumns.map(({ name }) => [name, "text NOT NULL DEFAULT ''"] as const),
  ...numberColumns.map(({ name }) => [name, 'bigint NOT NULL DEFAULT 0'] as const),
].map(([name, type]) => ({ name, sql: `"${name}" ${type}` }));

const tableOf = (table: string): string => `
  CREATE TABLE IF NOT EXISTS ${table} (
    ${definitions.map(({ sql }) => sql).join(', ')},
    instance text NOT NULL, charges jsonb NOT NULL, steps jsonb NOT NULL,
    PRIMARY KEY (request_id));
  CREATE INDEX IF NOT EXISTS ${table}_by_time ON ${table} (ended_ms)`;

/**
 * Creates the table, or adds the columns that it lacks. One that lacks none is left alone: to alter it waits for all who
 * read it, whom everybody else's rows would then wait for, and needs more than the right to write to it.
 */
async function prepare(pool: pg.Pool, table: string): Promise<void> {
  const { rows } = await pool.query<{ attname: string }>(
    'SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped',
    [table],
  );
  if (rows.length === 0) return void (await pool.query(tableOf(table)));
  const known = new Set(rows.map(({ attname }) => attname));
  const missing = definitions.filter(({ name }) => !known.has(name));
  if (missing.length === 0) return;
  await pool.query(
    `ALTER TABLE ${table} ${missing.map(({ sql }) => `ADD COLUMN IF NOT EXISTS ${sql}`).join(', ')}`,
  );
}

const poolOf = ({ url }: Settings): pg.Pool => {
  const pool = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: sendTimeoutMs,
    query_timeout: sendTimeoutMs,
    application_name: 'sidegate',
  });
  // A lost connection that nobody uses: the next query opens another.
  pool.on('error', () => {});
  return pool;
};

/** JSON without the character zero, which PostgreSQL's texts can't hold. A backslash before `u0000` may be escaped itself. */
export const withoutZero = (json: string): string =>
  json.includes('u0000') ? json.replace(/\\(?:u0000|.)/g, (each) => (each === '\\u0000' ? '' : each)) : json;

/** Opens the table for writing; it is created when it is first written to. */
export async function openPostgres(settings: Settings): Promise<Sink> {
  const { table } = settings;
  const pool = poolOf(settings);
  let isPrepared = false;
  return {
    async send(rows) {
      if (!isPrepared) await prepare(pool, table);
      isPrepared = true;
      await pool.query(
        `INSERT INTO ${table} (${columns.join()}, instance, charges, steps)
         SELECT ${columns.join()}, instance, charges, steps FROM jsonb_populate_recordset(NULL::${table}, $1::jsonb)
         ON CONFLICT (request_id) DO NOTHING`,
        [withoutZero(JSON.stringify(rows))],
      );
    },
    close: () => pool.end(),
  };
}

/** Opens the table for reading. */
export async function readPostgres(settings: Settings): Promise<SinkSource> {
  const pool = poolOf(settings);
  return {
    async *rows({ fromMs, toMs }: Span) {
      let [lastMs, lastId] = [fromMs, ''];
      for (;;) {
        const { rows } = await pool.query<Record<string, unknown>>(
          `SELECT ${columns.join()}, instance, charges, steps FROM ${settings.table}
           WHERE (ended_ms, request_id) > ($1, $2) AND ended_ms < $3 ORDER BY ended_ms, request_id LIMIT ${readMax}`,
          [lastMs, lastId, toMs],
        );
        for (const row of rows) {
          for (const { name } of numberColumns) row[name] = Number(row[name]);
          yield row as SinkRow;
        }
        const last = rows.at(-1);
        if (last === undefined || rows.length < readMax) return;
        [lastMs, lastId] = [Number(last.ended_ms), String(last.request_id)];
      }
    },
    close: () => pool.end(),
  };
}
