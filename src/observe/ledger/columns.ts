/** The columns of the ledger's rows. A row of a table here is a column: read from the record, written, and exported by name. */
import type { Findings } from '../../native/pii.ts';
import type { ExchangeRecord } from '../record.ts';

/** A column and how it is read from a record. */
export interface Column<T> {
  readonly name: string;
  /** @param endedMs when the request ended, ms since 1970 */
  readonly of: (record: ExchangeRecord, endedMs: number) => T;
  /** A text that each request has for itself. */
  readonly own?: true;
}

const wholeUs = (ms: number): number => Math.round(ms * 1000);

/** `email:2,card:1`: kinds of personal data that were found, never the text. */
const findingsText = (findings: Findings): string =>
  findings.length === 0 ? '' : findings.map(({ kind, count }) => `${kind}:${count}`).join();

/** Columns of text. */
export const textColumns: readonly Column<string>[] = [
  { name: 'request_id', of: (r) => r.requestId, own: true },
  { name: 'trace_id', of: (r) => r.traceId, own: true },
  { name: 'client_request_id', of: (r) => r.clientRequestId, own: true },
  { name: 'endpoint', of: (r) => r.endpoint },
  { name: 'tenant', of: (r) => r.tenant },
  { name: 'team', of: (r) => r.team },
  { name: 'user', of: (r) => r.user },
  { name: 'key_id', of: (r) => r.keyId },
  { name: 'tags', of: (r) => r.tags },
  { name: 'requested_model', of: (r) => r.model },
  { name: 'route', of: (r) => r.route },
  { name: 'tier', of: (r) => r.tier },
  { name: 'target', of: (r) => r.target },
  { name: 'reported_model', of: (r) => r.reportedModel },
  { name: 'error', of: (r) => r.error },
  { name: 'cache', of: (r) => r.cache },
  { name: 'cache_level', of: (r) => r.cacheLevel },
  { name: 'priority', of: (r) => r.priority },
  { name: 'limits', of: (r) => (r.limits.length === 0 ? '' : r.limits.join()) },
  { name: 'personal_data', of: (r) => findingsText(r.findings) },
  { name: 'reply_personal_data', of: (r) => findingsText(r.replyFindings) },
];

/** Columns of whole numbers: money in nano-dollars, times in µs unless their names say otherwise. */
export const numberColumns: readonly Column<number>[] = [
  { name: 'ended_ms', of: (_, endedMs) => endedMs },
  { name: 'status', of: (r) => r.status },
  { name: 'stream', of: (r) => Number(r.stream) },
  { name: 'replayed', of: (r) => Number(r.replayed) },
  { name: 'abandoned', of: (r) => Number(r.abandoned) },
  { name: 'stopped', of: (r) => Number(r.stopped) },
  { name: 'duration_us', of: (r) => wholeUs(r.durationMs) },
  { name: 'queued_us', of: (r) => wholeUs(r.queuedMs) },
  { name: 'upstream_us', of: (r) => wholeUs(r.upstreamMs) },
  { name: 'ttft_us', of: (r) => wholeUs(r.ttftMs) },
  { name: 'inter_token_us', of: (r) => wholeUs(r.interTokenMs) },
  { name: 'calls', of: (r) => r.attempts },
  { name: 'input_tokens', of: (r) => r.inputTokens },
  { name: 'output_tokens', of: (r) => r.outputTokens },
  { name: 'reasoning_tokens', of: (r) => r.reasoningTokens },
  { name: 'cached_input_tokens', of: (r) => r.cachedInputTokens },
  { name: 'cache_write_tokens', of: (r) => r.cacheWriteTokens },
  { name: 'search_units', of: (r) => r.searchUnits },
  { name: 'usage_known', of: (r) => Number(r.usageKnown) },
  { name: 'cost_nano_usd', of: (r) => r.costNanoUsd },
  { name: 'priced', of: (r) => Number(r.priced) },
  { name: 'saved_nano_usd', of: (r) => r.savedNanoUsd },
  { name: 'routing_saved_nano_usd', of: (r) => r.routingSavedNanoUsd },
];

/** All columns in the order they are exported. */
export const columnNames: readonly string[] = [...textColumns, ...numberColumns].map(({ name }) => name);

/** Steps of `ledger`'s tables; see `Migrations`. */
export const ledgerTables = {
  part: 'segments',
  steps: [
    // `first` is the number of the segment's first row; rows are numbered without gaps. `key` keeps a segment that is
    // sent again from being written twice.
    `CREATE TABLE layout (
       id INTEGER PRIMARY KEY,
       columns TEXT NOT NULL UNIQUE
     ) STRICT;
     CREATE TABLE segment (
       first INTEGER PRIMARY KEY,
       count INTEGER NOT NULL,
       from_ms INTEGER NOT NULL,
       to_ms INTEGER NOT NULL,
       key TEXT NOT NULL UNIQUE,
       layout INTEGER NOT NULL REFERENCES layout (id),
       numbers BLOB NOT NULL,
       texts TEXT NOT NULL
     ) STRICT;
     CREATE INDEX segment_by_time ON segment (to_ms);`,
    // How far each sink has got: the number of the last row that it has.
    `CREATE TABLE reached (
       sink TEXT PRIMARY KEY,
       cursor INTEGER NOT NULL,
       sent INTEGER NOT NULL,
       dropped INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;`,
  ],
} as const;
