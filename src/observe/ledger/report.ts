/** Reads the ledger's file, also while a sidecar writes it: sums by any dimension, and the rows themselves. */
import { existsSync } from 'node:fs';
import type { SQLOutputValue } from 'node:sqlite';
import { columnNames } from './columns.ts';

/** What costs can be added up by: the name, and the column or expression of `spent`. */
export const dimensions = {
  tenant: 'tenant',
  team: 'team',
  user: '"user"',
  key: 'key_id',
  route: 'route',
  endpoint: 'endpoint',
  target: 'target',
  provider: "CASE instr(target, '/') WHEN 0 THEN target ELSE substr(target, 1, instr(target, '/') - 1) END",
  model: "substr(target, instr(target, '/') + 1)",
  tag: 'tags',
  priority: 'priority',
  day: "date(ended_ms / 1000, 'unixepoch')",
} as const;

/** A dimension's name. */
export type Dimension = keyof typeof dimensions;

/** Sums of the requests with one value of each dimension; amounts may exceed what a number holds exactly. */
export interface CostRow {
  readonly values: readonly string[];
  /** Requests; by target, provider or model: requests that had a call to it billed, or were answered from its store. */
  readonly requests: bigint;
  readonly failed: bigint;
  readonly inputTokens: bigint;
  readonly outputTokens: bigint;
  readonly cachedInputTokens: bigint;
  readonly costNanoUsd: bigint;
  readonly savedNanoUsd: bigint;
  /** Requests of which some cost is unknown, because a model has no price. */
  readonly unpriced: bigint;
}

/** A span of time, ms since 1970; the end isn't part of it. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** An open ledger, for reading. */
export interface LedgerReader {
  /** Sums, the most expensive first. With dimension `tag`, a request counts for each of its tags. */
  costs(by: readonly Dimension[], span: Span): CostRow[];
  /** The rows, oldest first: the values of `columnNames`, and `steps` as JSON. */
  rows(span: Span): Iterable<Record<string, SQLOutputValue>>;
  /** The newest row with this request id, trace id or client's id; null: there is none. */
  find(id: string): Record<string, SQLOutputValue> | null;
  close(): void;
}

/**
 * Billed calls: a row of `request` that has no rows of `charge` is its own only one. Savings and failures belong to the
 * request, so they count with its first call.
 */
const spent = `
  SELECT r.*, 1 AS first FROM request r WHERE split = 0
  UNION ALL
  SELECT r.id, ${columnNames
    .map((name) => (isOfCharge(name) ? `c.${name}` : name === 'target' ? 'c.target' : `r."${name}"`))
    .join(', ')}, r.split, r.steps, c.position = 0
  FROM charge c JOIN request r ON r.id = c.request`;

function isOfCharge(name: string): boolean {
  return [
    'input_tokens',
    'output_tokens',
    'cached_input_tokens',
    'cache_write_tokens',
    'cost_nano_usd',
    'priced',
  ].includes(name);
}

const ofTarget: ReadonlySet<Dimension> = new Set(['target', 'provider', 'model']);

/** Opens a file for reading. Rejects if it isn't a ledger. */
export async function openReader(path: string): Promise<LedgerReader> {
  if (!existsSync(path))
    throw new Error(
      `there is no ledger ${path}: a sidecar creates it when it serves with this observe.ledger.path.`,
    );
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  try {
    database.prepare('SELECT id FROM request LIMIT 1').get();
  } catch (cause) {
    database.close();
    throw new Error(`${path} is not a ledger: ${cause instanceof Error ? cause.message : ''}.`, { cause });
  }
  return {
    costs(by, { fromMs, toMs }) {
      const groups = by.map((name, i) => `${dimensions[name]} AS d${i}`);
      const source = by.some((name) => ofTarget.has(name))
        ? `(${spent})`
        : '(SELECT *, 1 AS first FROM request)';
      const statement = database.prepare(
        `SELECT ${[...groups, ''].join(', ')} count(DISTINCT id) AS requests,
           sum(first AND (status >= 400 OR error != '')) AS failed,
           sum(input_tokens) AS input, sum(output_tokens) AS output, sum(cached_input_tokens) AS cached,
           sum(cost_nano_usd) AS cost, sum(CASE WHEN first THEN saved_nano_usd ELSE 0 END) AS saved,
           sum(priced = 0) AS unpriced
         FROM ${source} WHERE ended_ms >= ? AND ended_ms < ?
         ${by.length === 0 ? '' : `GROUP BY ${by.map((_, i) => `d${i}`).join(', ')}`}`,
      );
      statement.setReadBigInts(true);
      const found = statement.all(fromMs, toMs).flatMap((row) => eachTag(by, row));
      return [...merged(found)].sort(byCost);
    },
    *rows({ fromMs, toMs }) {
      const names = [...columnNames, 'steps'].map((name) => `"${name}"`).join();
      const statement = database.prepare(
        `SELECT ${names} FROM request WHERE ended_ms >= ? AND ended_ms < ? ORDER BY id`,
      );
      yield* statement.iterate(fromMs, toMs);
    },
    find(id) {
      const names = [...columnNames, 'steps'].map((name) => `"${name}"`).join();
      const statement = database.prepare(
        `SELECT ${names} FROM request WHERE request_id = ?1 OR (trace_id = ?1 AND trace_id != '')
           OR (client_request_id = ?1 AND client_request_id != '') ORDER BY id DESC LIMIT 1`,
      );
      return statement.get(id) ?? null;
    },
    close: () => database.close(),
  };
}

/** The most expensive first; those of one cost by their values. */
function byCost(a: CostRow, b: CostRow): number {
  if (a.costNanoUsd !== b.costNanoUsd) return a.costNanoUsd < b.costNanoUsd ? 1 : -1;
  return a.values.join('\0') < b.values.join('\0') ? -1 : 1;
}

/** The row of each combination of tags. */
function eachTag(by: readonly Dimension[], row: Record<string, SQLOutputValue>): CostRow[] {
  const amount = (name: string): bigint => BigInt((row[name] ?? 0n) as bigint);
  const sums = {
    requests: amount('requests'),
    failed: amount('failed'),
    inputTokens: amount('input'),
    outputTokens: amount('output'),
    cachedInputTokens: amount('cached'),
    costNanoUsd: amount('cost'),
    savedNanoUsd: amount('saved'),
    unpriced: amount('unpriced'),
  };
  const values = by.map((_, i) => String(row[`d${i}`]));
  const at = by.indexOf('tag');
  if (at < 0) return sums.requests === 0n ? [] : [{ values, ...sums }];
  return (values[at] ?? '').split(',').map((tag) => ({ values: values.with(at, tag), ...sums }));
}

/** Adds up rows with the same values. */
function merged(rows: readonly CostRow[]): Iterable<CostRow> {
  const byValues = new Map<string, CostRow>();
  for (const row of rows) {
    const key = JSON.stringify(row.values);
    const known = byValues.get(key);
    byValues.set(key, known === undefined ? row : added(known, row));
  }
  return byValues.values();
}

const added = (a: CostRow, b: CostRow): CostRow => ({
  values: a.values,
  requests: a.requests + b.requests,
  failed: a.failed + b.failed,
  inputTokens: a.inputTokens + b.inputTokens,
  outputTokens: a.outputTokens + b.outputTokens,
  cachedInputTokens: a.cachedInputTokens + b.cachedInputTokens,
  costNanoUsd: a.costNanoUsd + b.costNanoUsd,
  savedNanoUsd: a.savedNanoUsd + b.savedNanoUsd,
  unpriced: a.unpriced + b.unpriced,
});
