/**
 * Batches of records on their way to the ledger's thread: flat lists of texts and numbers, which cost the sending
 * thread a fraction of what copying the records themselves would.
 */
import type { AttemptStep } from '../../exchange/attempt-step.ts';
import type { ExchangeRecord } from '../record.ts';
import { numberColumns, textColumns } from './columns.ts';

/** A record that waits to be written, and when its request ended in ms since 1970. */
export interface Ended {
  readonly record: ExchangeRecord;
  readonly endedMs: number;
}

/** Records in the form in which they are sent. */
export interface Batch {
  readonly count: number;
  readonly texts: readonly string[];
  readonly numbers: Float64Array<ArrayBuffer>;
}

/** A charge of one call, as it is written. */
export interface ChargeRow {
  readonly target: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  readonly costNanoUsd: number;
  readonly priced: number;
}

/** A step as it is written: times in ms, relative to the request's arrival. */
export type StepRow = Pick<AttemptStep, 'target' | 'model' | 'outcome' | 'cause' | 'status'> & {
  readonly id: string;
  readonly atMs: number;
  readonly ms: number;
  readonly ttftMs: number;
};

/** A record as it is written. */
export interface Row {
  /** In the order of `columnNames`. */
  readonly values: readonly (string | number)[];
  /** Only if they say more than the row: several calls were billed, or another target than the one that answered. */
  readonly charges: readonly ChargeRow[];
  readonly steps: readonly StepRow[];
}

const needsCharges = ({ charges, target }: ExchangeRecord): boolean =>
  charges.length > 1 || (charges.length === 1 && charges[0]?.target !== target);

/** Packs records. */
export function pack(ended: readonly Ended[]): Batch {
  const texts: string[] = [];
  const numbers: number[] = [];
  for (const { record, endedMs } of ended) {
    for (const { of } of textColumns) texts.push(of(record, endedMs));
    for (const { of } of numberColumns) numbers.push(of(record, endedMs));
    const charges = needsCharges(record) ? record.charges : [];
    numbers.push(charges.length, record.steps.length);
    for (const { target, usage, costNanoUsd } of charges) {
      texts.push(target);
      numbers.push(
        usage.inputTokens,
        usage.outputTokens,
        usage.cachedInputTokens,
        usage.cacheWriteTokens,
        costNanoUsd ?? 0,
        costNanoUsd === null ? 0 : 1,
      );
    }
    for (const step of record.steps) {
      texts.push(step.target, step.model, step.outcome, step.cause, step.providerRequestId);
      numbers.push(step.status, step.sentMs - record.startedMs, step.durationMs, step.ttftMs);
    }
  }
  return { count: ended.length, texts, numbers: Float64Array.from(numbers) };
}

const columnsCount = textColumns.length + numberColumns.length;

/** Unpacks a batch, row by row. */
export function* unpack({ count, texts, numbers }: Batch): Generator<Row> {
  let t = 0;
  let n = 0;
  const text = (): string => texts[t++] as string;
  const number = (): number => numbers[n++] as number;
  // Times are stored to the µs.
  const ms = (): number => Math.round(number() * 1000) / 1000;
  const list = <T>(length: number, read: () => T): T[] => Array.from({ length }, read);
  for (let i = 0; i < count; i++) {
    const values: (string | number)[] = new Array(columnsCount);
    for (let c = 0; c < textColumns.length; c++) values[c] = texts[t++] as string;
    for (let c = textColumns.length; c < columnsCount; c++) values[c] = numbers[n++] as number;
    const [chargeCount, stepCount] = [number(), number()];
    const charges = list(chargeCount, () => ({
      target: text(),
      inputTokens: number(),
      outputTokens: number(),
      cachedInputTokens: number(),
      cacheWriteTokens: number(),
      costNanoUsd: number(),
      priced: number(),
    }));
    const steps = list(stepCount, () => ({
      target: text(),
      model: text(),
      outcome: text(),
      cause: text(),
      id: text(),
      status: number(),
      atMs: ms(),
      ms: ms(),
      ttftMs: ms(),
    }));
    yield { values, charges, steps };
  }
}
