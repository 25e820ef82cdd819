/** Records in a table of ClickHouse, one row for each request; `charges` and `steps` are texts of JSON. */
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { numberColumns, textColumns } from '../ledger/columns.ts';
import type { Span } from '../ledger/report.ts';
import type { SinkSettings } from './settings.ts';
import { type Sink, type SinkRow, type SinkSource, sendTimeoutMs } from './sink.ts';

type Settings = NonNullable<SinkSettings['clickhouse']>;

/** Sidecars of several versions write to one table: each adds its columns, and those of another are empty in its rows. */
const columns: readonly (readonly [name: string, type: string])[] = [
  ...textColumns.map(({ name }) => [name, 'String'] as const),
  ...numberColumns.map(({ name }) => [name, 'Int64'] as const),
];

const definitionsOf = (some: typeof columns): string =>
  some.map(([name, type]) => `\`${name}\` ${type}`).join(', ');

const tableOf = (table: string): string => `
  CREATE TABLE IF NOT EXISTS ${table} (
    ${definitionsOf(columns)},
    instance String, charges String, steps String
  ) ENGINE = ReplacingMergeTree ORDER BY (ended_ms, request_id)`;

const clientOf = ({ url }: Settings) =>
  createClient({
    url,
    request_timeout: sendTimeoutMs,
    application: 'sidegate',
    // It would be a second log on standard output.
    log: { level: ClickHouseLogLevel.OFF },
  });

/**
 * Creates the table, or adds the columns that it lacks; one that lacks none is left alone, since to create one that is
 * there needs more than the right to write to it. Not by `ADD COLUMN IF NOT EXISTS`, which Debian's ClickHouse is
 * too old for: where two processes add one at a time, the second fails, and finds it there at its next attempt.
 */
async function prepare(client: ClickHouseClient, table: string): Promise<void> {
  const found = await client.query({ query: `EXISTS TABLE ${table}`, format: 'JSONEachRow' });
  const [{ result } = { result: 0 }] = await found.json<{ result: number }>();
  if (result === 0) return void (await client.command({ query: tableOf(table) }));
  const described = await client.query({ query: `DESCRIBE TABLE ${table}`, format: 'JSONEachRow' });
  const known = new Set((await described.json<{ name: string }>()).map(({ name }) => name));
  const missing = columns.filter(([name]) => !known.has(name));
  if (missing.length === 0) return;
  const added = missing.map((each) => `ADD COLUMN ${definitionsOf([each])}`);
  await client.command({ query: `ALTER TABLE ${table} ${added.join(', ')}` });
}

/** Opens the table for writing; it is created when it is first written to. Rows that come again replace themselves. */
export async function openClickhouse(settings: Settings): Promise<Sink> {
  const { table } = settings;
  const client = clientOf(settings);
  let created = false;
  return {
    async send(rows) {
      if (!created) await prepare(client, table);
      created = true;
      const values = rows.map(({ charges, steps, ...row }) => ({
        ...row,
        charges: JSON.stringify(charges),
        steps: JSON.stringify(steps),
      }));
      await client.insert({ table, values, format: 'JSONEachRow' });
    },
    close: () => client.close(),
  };
}

/** Opens the table for reading. */
export async function readClickhouse(settings: Settings): Promise<SinkSource> {
  const client = clientOf(settings);
  return {
    async *rows({ fromMs, toMs }: Span) {
      const found = await client.query({
        query: `SELECT * FROM ${settings.table} FINAL WHERE ended_ms >= ${fromMs} AND ended_ms < ${toMs}`,
        format: 'JSONEachRow',
      });
      for await (const batch of found.stream<Record<string, unknown>>()) {
        for (const each of batch) {
          const row = each.json();
          for (const { name } of numberColumns) row[name] = Number(row[name]);
          for (const name of ['charges', 'steps']) row[name] = JSON.parse(String(row[name]));
          yield row as SinkRow;
        }
      }
    },
    close: () => client.close(),
  };
}
