/** What every kind of sink is: it takes records in batches, and some can give them back. */
import type { Span } from '../ledger/report.ts';
import type { ChargeRow, StepRow } from '../ledger/segment.ts';

/** A record on its way to a sink: the ledger's columns by name, and what belongs to it. */
export interface SinkRow {
  readonly [column: string]: unknown;
  /** Which process it is from. */
  readonly instance: string;
  readonly charges: readonly ChargeRow[];
  readonly steps: readonly StepRow[];
}

/** A place that records are sent to. */
export interface Sink {
  /**
   * Resolves once all are there; the same ones may come again. Rejects within a bounded time if they can't be, with
   * `TooLarge` if they are too many.
   */
  send(rows: readonly SinkRow[]): Promise<void>;
  close(): Promise<void>;
}

/** A kind of sink that can be read again. Rows may come twice. */
export interface SinkSource {
  rows(span: Span): AsyncIterable<SinkRow>;
  close(): Promise<void>;
}

/** A batch is larger than what the sink takes: it would be refused again, but a part of it may be taken. */
export class TooLarge extends Error {}

/** How long one attempt to send may take. */
export const sendTimeoutMs = 10_000;
