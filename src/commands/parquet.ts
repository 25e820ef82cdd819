/** Writes the ledger's rows as a Parquet file, a group of rows at a time. */
import { fileWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer';
import { numberColumns, textColumns } from '../observe/ledger/columns.ts';

/** Rows in one group: what is held in memory. */
const groupMax = 10_000;

type Columns = Parameters<typeof schemaFromColumnData>[0]['columnData'];

/** Writes the rows; `steps` is text of JSON. */
export async function writeParquet(rows: Iterable<Record<string, unknown>>, path: string): Promise<void> {
  const columnsOf = (group: readonly Record<string, unknown>[]): Columns => [
    ...[...textColumns.map(({ name }) => name), 'steps'].map((name) => ({
      name,
      data: group.map((row) => String(row[name])),
      type: 'STRING' as const,
      nullable: false,
    })),
    ...numberColumns.map(({ name }) => ({
      name,
      data: group.map((row) => BigInt(row[name] as number)),
      type: 'INT64' as const,
      nullable: false,
    })),
  ];
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: schemaFromColumnData({ columnData: columnsOf([]) }),
  });
  let group: Record<string, unknown>[] = [];
  const write = async (): Promise<void> => {
    if (group.length > 0) await writer.write({ columnData: columnsOf(group), rowGroupSize: groupMax });
    group = [];
  };
  for (const row of rows) {
    group.push(row);
    if (group.length === groupMax) await write();
  }
  await write();
  await writer.finish();
}
