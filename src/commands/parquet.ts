/** Writes the ledger's rows as a Parquet file, a group of rows at a time. */
import { fileWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer';
import { numberColumns, textColumns } from '../observe/ledger/columns.ts';
import { type Row, reading } from '../observe/ledger/segment.ts';

/** Rows in one group: what is held in memory. */
const groupMax = 10_000;

type Columns = Parameters<typeof schemaFromColumnData>[0]['columnData'];

/** Writes the rows; `steps` is text of JSON. */
export async function writeParquet(rows: Iterable<Row>, path: string): Promise<void> {
  const columnsOf = (group: readonly Row[]): Columns => [
    ...textColumns.map(({ name }) => ({
      name,
      data: group.map(reading<string>(name)),
      type: 'STRING' as const,
      nullable: false,
    })),
    {
      name: 'steps',
      data: group.map(({ steps }) => (steps.length === 0 ? '' : JSON.stringify(steps))),
      type: 'STRING' as const,
      nullable: false,
    },
    ...numberColumns.map(({ name }) => ({
      name,
      data: group.map(reading<number>(name)).map(BigInt),
      type: 'INT64' as const,
      nullable: false,
    })),
  ];
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: schemaFromColumnData({ columnData: columnsOf([]) }),
  });
  let group: Row[] = [];
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
