/** `sidegate costs`: who spent what, from the ledger's file, whether a sidecar is writing it or not. */
import { parseArgs } from 'node:util';
import { columnNames } from '../observe/ledger/columns.ts';
import { type CostRow, type Dimension, dimensions, openReader } from '../observe/ledger/report.ts';
import type { Shell } from './shell.ts';

/** What `sidegate costs --help` prints. */
export const help = `sidegate costs: who spent what, from the ledger

  sidegate costs [--by NAME[,NAME]…] [--since TIME] [--until TIME] [--format table | csv | jsonl] [--requests] WHERE

  --by NAME        ${Object.keys(dimensions).join(', ')}; without it, one total
  --since TIME     7d, 24h, 30m, or a time such as 2026-11-01 or 2026-11-01T12:00:00Z; without it, from the beginning
  --until TIME     the same; without it, until now
  --requests       each request instead of sums: csv, or jsonl with the steps of each
  --request ID     the newest request with this request id, trace id or client's id, as jsonl

  WHERE is one of
    --ledger FILE    the ledger's file
    --config FILE    the configuration that names it (or $SIDEGATE_CONFIG, or sidegate.yaml)

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
  help: { type: 'boolean' },
} as const;

const formats = ['table', 'csv', 'jsonl'] as const;
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
    throw new Error(`--by ${unknown} is not known. Use one of ${Object.keys(dimensions).join(', ')}.`);
  const format = formatOf(values.format, values.requests === true);
  const nowMs = Date.now();
  const span = {
    fromMs: values.since === undefined ? 0 : timeOf('--since', values.since, nowMs),
    toMs: values.until === undefined ? Number.MAX_SAFE_INTEGER : timeOf('--until', values.until, nowMs),
  };
  const reader = await openReader(values.ledger ?? (await configuredPath(values.config, shell)));
  try {
    if (values.request !== undefined) {
      const row = reader.find(values.request);
      if (row === null) throw new Error(`the ledger has no request ${JSON.stringify(values.request)}.`);
      for (const line of requestLines([row], 'jsonl')) shell.print(line);
    } else if (values.requests === true)
      for (const line of requestLines(reader.rows(span), format)) shell.print(line);
    else shell.print(costsText(by as Dimension[], reader.costs(by as Dimension[], span), format));
  } finally {
    reader.close();
  }
  return 0;
}

function formatOf(given: string | undefined, requests: boolean): Format {
  const format = given ?? (requests ? 'jsonl' : 'table');
  if (!formats.includes(format as Format)) throw new Error(`--format must be one of ${formats.join(', ')}.`);
  if (requests && format === 'table') throw new Error('--requests can be written as csv or jsonl.');
  return format as Format;
}

const unitsMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Ms since 1970. @param nowMs the same, for spans that end now */
export function timeOf(option: string, text: string, nowMs: number): number {
  const [, amount = '', unit = ''] = /^(\d{1,6})([mhdw])$/.exec(text) ?? [];
  if (unit !== '') return nowMs - Number(amount) * (unitsMs[unit] ?? 0);
  const atMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs))
    throw new Error(`${option} must be like 7d, 24h, 30m or 2026-11-01, not ${JSON.stringify(text)}.`);
  return atMs;
}

async function configuredPath(given: string | undefined, shell: Shell): Promise<string> {
  const { loadConfig, formatFaults } = await import('../config/load.ts');
  const file = given ?? shell.env.SIDEGATE_CONFIG ?? 'sidegate.yaml';
  const loaded = loadConfig(file, shell.env);
  if (!loaded.ok)
    throw new Error(
      `the configuration has faults; fix them, or pass the ledger's file by --ledger FILE.\n${formatFaults(file, loaded.faults)}`,
    );
  const { path } = loaded.config.observe.ledger;
  if (path === undefined) throw new Error(`${file} names no ledger: set observe.ledger.path.`);
  return path;
}

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
  const widths = head.map((_, i) => Math.max(...shown.map((row) => row[i]?.length ?? 0)));
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

function* requestLines(rows: Iterable<Record<string, unknown>>, format: Format): Generator<string> {
  if (format === 'csv') yield csvLine(columnNames);
  for (const row of rows) {
    if (format === 'csv') yield csvLine(columnNames.map((name) => String(row[name])));
    else
      yield `${JSON.stringify({ ...row, steps: row.steps === '' ? [] : JSON.parse(String(row.steps)) })}\n`;
  }
}
