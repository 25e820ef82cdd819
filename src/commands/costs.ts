/**
 * `sidegate costs`: who spent what, from the ledger's file, whether a sidecar is writing it or not, or from a sink that
 * the whole fleet shares.
 */
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import type { Config } from '../config/schema.ts';
import { columnNames } from '../observe/ledger/columns.ts';
import { type LedgerReader, openReader, type Span } from '../observe/ledger/report.ts';
import { namedValues, type Row } from '../observe/ledger/segment.ts';
import { type CostRow, type Dimension, dimensions } from '../observe/ledger/sums.ts';
import { gather } from '../observe/sinks/gather.ts';
import { openSource, readableKinds, type SinkKind } from '../observe/sinks/kinds.ts';
import { configOrThrow, configPath, configPathText } from './config-file.ts';
import { type Shell, UsageError } from './shell.ts';
import { columnWidths } from './table.ts';
import { timeOf } from './time.ts';

/** What `sidegate costs --help` prints. */
export const help = `sidegate costs: who spent what, from the ledger

  sidegate costs [--by NAME[,NAME]…] [--since TIME] [--until TIME] [--format FORMAT] [--requests] [--out FILE] WHERE
  sidegate costs --request ID WHERE

  --by NAME        ${Object.keys(dimensions).join(', ')}; without it, one total
  --since TIME     7d, 24h, 30m, or a time such as 2026-11-01 or 2026-11-01T12:00 in UTC, or
                   2026-11-01T12:00+01:00; without it, from the beginning
  --until TIME     the same; without it, until now
  --format FORMAT  table, csv or jsonl; for requests csv, jsonl or parquet, for one csv or jsonl
  --requests       each request instead of sums, with its steps unless as csv
  --request ID     the newest request with this request id, trace id or client's id
  --out FILE       write to a file; parquet needs one

  WHERE is one of
    --ledger FILE    the ledger's file
    --config FILE    the configuration that names it (or ${configPathText})
    --from SINK      all processes that share a sink of that configuration: ${readableKinds.join(', ')}

  Dollars are exact to the nano-dollar. What has no known price is counted as unpriced, not as free.
`;

const options = {
  by: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  format: { type: 'string' },
  requests: { type: 'boolean' },
  request: { type: 'string' },
  ledger: { type: 'string' },
  config: { type: 'string', short: 'c' },
  from: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean' },
} as const;

const formats = ['table', 'csv', 'jsonl', 'parquet'] as const;
type Format = (typeof formats)[number];

/** Runs `sidegate costs`; returns the exit code. */
export async function costs(args: string[], shell: Shell): Promise<number> {
  const { values } = parseArgs({ args, options });
  if (values.help === true) {
    shell.print(help);
    return 0;
  }
  const by = (values.by ?? '').split(',').filter((name) => name !== '');
  const unknown = by.find((name) => !Object.hasOwn(dimensions, name));
  if (unknown !== undefined)
    throw new UsageError(`--by ${unknown} is not known. Use one of ${Object.keys(dimensions).join(', ')}.`);
  const format = formatOf(values);
  const nowMs = Date.now();
  const span = {
    fromMs: values.since === undefined ? 0 : timeOf('--since', values.since, nowMs),
    toMs: values.until === undefined ? Number.MAX_SAFE_INTEGER : timeOf('--until', values.until, nowMs),
  };
  const opened = await openWhere(values, span, shell);
  try {
    const { reader } = opened;
    if (format === 'parquet') {
      const { writeParquet } = await import('./parquet.ts');
      await writeParquet(reader.rows(span), values.out ?? '');
      return 0;
    }
    const lines = linesOf(reader, values, by as Dimension[], span, format);
    if (values.out === undefined) for (const line of lines) shell.print(line);
    else await pipeline(lines, createWriteStream(values.out));
  } finally {
    opened.close();
  }
  return 0;
}

/** What the options say of the output. */
interface Wanted {
  readonly request?: string;
  readonly requests?: boolean;
  readonly format?: string;
  readonly out?: string;
}

/** What is printed, piece by piece. */
function* linesOf(
  reader: LedgerReader,
  { request, requests }: Wanted,
  by: readonly Dimension[],
  span: Span,
  format: Format,
): Generator<string> {
  if (request !== undefined) {
    const row = reader.find(request);
    if (row === null) throw new Error(`there is no request ${JSON.stringify(request)}.`);
    yield* requestLines([row], format);
  } else if (requests === true) yield* requestLines(reader.rows(span), format);
  else yield costsText(by, reader.costs(by, span), format);
}

/** Opens what the options name. What a sink holds is gathered into a temporary file first. */
async function openWhere(
  { ledger, config, from }: { readonly ledger?: string; readonly config?: string; readonly from?: string },
  span: Span,
  shell: Shell,
): Promise<{ reader: LedgerReader; close(): void }> {
  if (from === undefined) {
    const reader = await openReader(ledger ?? (await configuredPath(config, shell)));
    return { reader, close: () => reader.close() };
  }
  const { sinks } = (await configured(config, shell)).observe;
  const source = readableKinds.includes(from as SinkKind) ? await openSource(from as SinkKind, sinks) : null;
  if (source === null)
    throw new UsageError(
      `--from must be one of ${readableKinds.join(', ')}, and the configuration must have that sink.`,
    );
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-costs-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const reader = await gather(source, span, join(folder, 'gathered.db'));
    return {
      reader,
      close() {
        reader.close();
        remove();
      },
    };
  } catch (cause) {
    remove();
    throw cause;
  } finally {
    await source.close();
  }
}

function formatOf({ format: given, request, requests, out }: Wanted): Format {
  const each = requests === true || request !== undefined;
  const format = given ?? (each ? 'jsonl' : 'table');
  if (!formats.includes(format as Format))
    throw new UsageError(`--format must be one of ${formats.join(', ')}.`);
  if (request !== undefined && !['csv', 'jsonl'].includes(format))
    throw new UsageError('--request can be written as csv or jsonl.');
  if (each && format === 'table') throw new UsageError('--requests can be written as csv, jsonl or parquet.');
  if (!each && format === 'parquet') throw new UsageError('--format parquet needs --requests.');
  if (format === 'parquet' && out === undefined) throw new UsageError('--format parquet needs --out FILE.');
  return format as Format;
}

async function configuredPath(given: string | undefined, shell: Shell): Promise<string> {
  const { path } = (await configured(given, shell)).observe.ledger;
  if (path === undefined) throw new Error('the configuration names no ledger: set observe.ledger.path.');
  return path;
}

const configured = (given: string | undefined, shell: Shell): Promise<Config> =>
  configOrThrow(configPath(given, shell), "the ledger's file by --ledger FILE", shell);

/** Nano-dollars as dollars, exact. */
export function exactDollars(nanoUsd: bigint): string {
  const digits = (nanoUsd < 0n ? -nanoUsd : nanoUsd).toString().padStart(10, '0');
  return `${nanoUsd < 0n ? '-' : ''}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

const sums: readonly { readonly name: string; of(row: CostRow): string }[] = [
  { name: 'requests', of: (row) => String(row.requests) },
  { name: 'failed', of: (row) => String(row.failed) },
  { name: 'input_tokens', of: (row) => String(row.inputTokens) },
  { name: 'output_tokens', of: (row) => String(row.outputTokens) },
  { name: 'cached_tokens', of: (row) => String(row.cachedInputTokens) },
  { name: 'cost_usd', of: (row) => exactDollars(row.costNanoUsd) },
  { name: 'saved_usd', of: (row) => exactDollars(row.savedNanoUsd) },
  { name: 'routing_saved_usd', of: (row) => exactDollars(row.routingSavedNanoUsd) },
  { name: 'unpriced', of: (row) => String(row.unpriced) },
];

function costsText(by: readonly Dimension[], rows: readonly CostRow[], format: Format): string {
  const head = [...by, ...sums.map(({ name }) => name)];
  const cells = rows.map((row) => [...row.values, ...sums.map(({ of }) => of(row))]);
  if (format === 'csv') return [head, ...cells].map(csvLine).join('');
  if (format === 'jsonl')
    return cells
      .map((row) => `${JSON.stringify(Object.fromEntries(row.map((cell, i) => [head[i], cell])))}\n`)
      .join('');
  const shown = [head, ...cells.map((row) => row.map((cell) => (cell === '' ? '-' : cell)))];
  const widths = columnWidths(shown);
  const pad = (cell: string, i: number): string =>
    i < by.length ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
  const lines = shown.map((row) => `${row.map(pad).join('  ').trimEnd()}\n`);
  return rows.length === 0 ? 'No requests in this time.\n' : lines.join('');
}

/** Spreadsheets run cells that begin with one of these as formulas. */
const formula = /^[=+\-@\t\r]/;

/** A line by RFC 4180. */
export function csvLine(cells: readonly string[]): string {
  const cell = (text: string): string => {
    const safe = formula.test(text) && !/^-?[\d.]+$/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return `${cells.map(cell).join(',')}\n`;
}

function* requestLines(rows: Iterable<Row>, format: Format): Generator<string> {
  if (format === 'csv') yield csvLine(columnNames);
  for (const row of rows) {
    if (format === 'csv') yield csvLine(row.values.map(String));
    else yield `${JSON.stringify({ ...namedValues(row), steps: row.steps })}\n`;
  }
}
