/** Records in a table of ClickHouse, one row for each request; `charges` and `steps` are texts of JSON. */
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { numberColumns, textColumns } from '../ledger/columns.ts';
import type { Span } from '../ledger/report.ts';
import type { SinkSettings } from './settings.ts';
import { type Sink, type SinkRow, type SinkSource, sendTimeoutMs } from './sink.ts';

type Settings = NonNullable<SinkSettings['clickhouse']>;

/** Sidecars of several versions write to one table: each adds its columns, and those of another are empty in its rows. */
const definitions = [
  ...textColumns.map(({ name }) => `\`${name}\` String`),
  ...numberColumns.map(({ name }) => `\`${name}\` Int64`),
];

const addOf = (table: string): string =>
  `ALTER TABLE ${table} ${definitions.map((each) => `ADD COLUMN IF NOT EXISTS ${each}`).join(', ')}`;

const tableOf = (table: string): string => `
  CREATE TABLE IF NOT EXISTS ${table} (
    ${definitions.join(', ')},
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

/** Opens the table for writing; it is created when it is first written to. Rows that come again replace themselves. */
export async function openClickhouse(settings: Settings): Promise<Sink> {
  const { table } = settings;
  const client = clientOf(settings);
  let created = false;
  return {
    async send(rows) {
      if (!created) await client.command({ query: tableOf(table) });
      if (!created) await client.command({ query: addOf(table) });
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
