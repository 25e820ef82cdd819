/**
 * Segments: up to some thousand rows of the ledger, packed as they are kept in its file. Appending a record costs about
 * 2 µs, a row of a table with its indexes several times that. Most texts of a row are those of the row before, so
 * each text is kept once and rows refer to it; numbers take as many bytes as they need. Texts that no other row has, as
 * ids, stand in the row as bytes: kept as strings, they and what they are slices of would survive collections of garbage.
 */
import type { AttemptStep } from '../../exchange/attempt-step.ts';
import type { ExchangeRecord } from '../record.ts';
import { columnNames, numberColumns, textColumns } from './columns.ts';

/** Packed rows. */
export interface Segment {
  readonly count: number;
  /** When its first and its last request ended, ms since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
  /** What the rows consist of: base-128 numbers, lowest digit first, and texts of their own in UTF-8. */
  readonly numbers: Uint8Array<ArrayBuffer>;
  /** JSON list of the texts that rows refer to. */
  readonly texts: string;
}

/** Names of a segment's columns, in the order in which they are packed. */
export interface Layout {
  readonly texts: readonly string[];
  readonly numbers: readonly string[];
  /** Those of the texts that stand in the row, as do ids of steps; undefined: all texts are in the list. */
  readonly own?: readonly string[];
}

/** A charge of one call. */
export interface ChargeRow {
  readonly target: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  readonly costNanoUsd: number;
  readonly priced: number;
}

/** A step: times in ms, relative to the request's arrival. */
export type StepRow = Pick<AttemptStep, 'target' | 'model' | 'outcome' | 'cause' | 'status'> & {
  readonly id: string;
  readonly atMs: number;
  readonly ms: number;
  readonly ttftMs: number;
};

/** A record as it is read again. */
export interface Row {
  /** In the order of `columnNames`; see `cellOf`. */
  readonly values: readonly (string | number)[];
  /** Only if they say more than the row: several calls were billed, or another target than the one that answered. */
  readonly charges: readonly ChargeRow[];
  readonly steps: readonly StepRow[];
}

/** The layout of the segments that this version packs. */
export const layout: Layout = {
  texts: textColumns.map(({ name }) => name),
  numbers: numberColumns.map(({ name }) => name),
  own: textColumns.filter(({ own }) => own === true).map(({ name }) => name),
};

/** Collects rows until they are taken as a segment. */
export interface SegmentPacker {
  /** Rows so far. */
  readonly count: number;
  /** When the first of them ended, ms since 1970. */
  readonly fromMs: number;
  /** @param endedMs ms since 1970 */
  add(record: ExchangeRecord, endedMs: number): void;
  /** The rows so far; it is empty then. */
  take(): Segment;
}

const needsCharges = ({ charges, target }: ExchangeRecord): boolean =>
  charges.length > 1 || (charges.length === 1 && charges[0]?.target !== target);

const noCharges: ExchangeRecord['charges'] = [];
/** Most bytes of a number. */
const numberMaxBytes = 8;
/** Numbers of one charge, of one step, and of a row without them. */
const chargeNumbers = 7;
const stepNumbers = 9;
const rowNumbers = textColumns.length + numberColumns.length + 2;
/** Where the last texts of charges and steps are remembered, after those of columns. */
const charged = textColumns.length;
const [called, model, outcome, cause, slots] = [
  charged + 1,
  charged + 2,
  charged + 3,
  charged + 4,
  charged + 5,
];
const bufferBytes = 128 * 1024;
/** Most bytes of a UTF-16 code unit in UTF-8. */
const unitMaxBytes = 3;
const encoder = new TextEncoder();

const wholeUs = (ms: number): number => Math.round(ms * 1000);

/** Creates an empty packer. */
export function createSegmentPacker(): SegmentPacker {
  let bytes = new Uint8Array(bufferBytes);
  let length = 0;
  let count = 0;
  let [fromMs, toMs] = [0, 0];
  // An empty text is always the first.
  let texts = [''];
  const places = new Map<string, number>();
  const lastTexts: string[] = new Array(slots).fill('');
  const lastPlaces = new Uint32Array(slots);

  /** Room for the numbers of the row that is being added. */
  let rowBytes = 0;
  const reserve = (more: number): void => {
    const needed = length + rowBytes + more;
    if (needed <= bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, bytes.length * 2));
    grown.set(bytes.subarray(0, length));
    bytes = grown;
  };

  /** Room must be reserved. Anything but a whole number that is exact becomes the nearest one. */
  const put = (value: number): void => {
    let rest = value;
    if (!(rest >= 0)) rest = 0;
    else if (rest >= 0x80) {
      rest = Math.min(Math.round(rest), Number.MAX_SAFE_INTEGER);
      for (; rest > 0x7fffffff; rest = Math.floor(rest / 0x80)) bytes[length++] = (rest % 0x80) | 0x80;
      for (; rest >= 0x80; rest >>>= 7) bytes[length++] = (rest & 0x7f) | 0x80;
    }
    bytes[length++] = rest;
  };

  /** A text that no other row has. */
  const putOwn = (text: string): void => {
    reserve(text.length * unitMaxBytes);
    const start = length;
    put(text.length);
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit < 0x80) bytes[length++] = unit;
      else {
        length = start;
        const encoded = encoder.encode(text);
        put(encoded.length);
        bytes.set(encoded, length);
        length += encoded.length;
        return;
      }
    }
  };

  /** A text that other rows have, too. */
  const putShared = (slot: number, text: string): void => {
    if (text !== lastTexts[slot]) {
      let place = text === '' ? 0 : places.get(text);
      if (place === undefined) {
        place = texts.push(text) - 1;
        places.set(text, place);
      }
      lastTexts[slot] = text;
      lastPlaces[slot] = place;
    }
    put(lastPlaces[slot] as number);
  };

  return {
    get count() {
      return count;
    },
    get fromMs() {
      return fromMs;
    },
    add(record, endedMs) {
      const charges = needsCharges(record) ? record.charges : noCharges;
      const { steps, startedMs } = record;
      const numbers = rowNumbers + charges.length * chargeNumbers + steps.length * stepNumbers;
      rowBytes = numbers * numberMaxBytes;
      reserve(0);
      for (let i = 0; i < textColumns.length; i++) {
        const { of, own } = textColumns[i] as (typeof textColumns)[number];
        if (own === true) putOwn(of(record, endedMs));
        else putShared(i, of(record, endedMs));
      }
      for (const { of } of numberColumns) put(of(record, endedMs));
      put(charges.length);
      put(steps.length);
      for (const { target, usage, costNanoUsd } of charges) {
        putShared(charged, target);
        put(usage.inputTokens);
        put(usage.outputTokens);
        put(usage.cachedInputTokens);
        put(usage.cacheWriteTokens);
        put(costNanoUsd ?? 0);
        put(costNanoUsd === null ? 0 : 1);
      }
      for (const step of steps) {
        putShared(called, step.target);
        putShared(model, step.model);
        putShared(outcome, step.outcome);
        putShared(cause, step.cause);
        putOwn(step.providerRequestId);
        put(step.status);
        put(wholeUs(step.sentMs - startedMs));
        put(wholeUs(step.durationMs));
        // 0: nothing came.
        put(step.ttftMs < 0 ? 0 : wholeUs(step.ttftMs) + 1);
      }
      if (count === 0 || endedMs < fromMs) fromMs = endedMs;
      if (count === 0 || endedMs > toMs) toMs = endedMs;
      count += 1;
    },
    take() {
      const segment = { count, fromMs, toMs, numbers: bytes.slice(0, length), texts: JSON.stringify(texts) };
      length = 0;
      count = 0;
      texts = [''];
      places.clear();
      lastTexts.fill('');
      lastPlaces.fill(0);
      return segment;
    },
  };
}

const chargeOf = (text: () => string, number: () => number): ChargeRow => ({
  target: text(),
  inputTokens: number(),
  outputTokens: number(),
  cachedInputTokens: number(),
  cacheWriteTokens: number(),
  costNanoUsd: number(),
  priced: number(),
});

const stepOf = (text: () => string, own: () => string, number: () => number): StepRow => ({
  target: text(),
  model: text(),
  outcome: text(),
  cause: text(),
  id: own(),
  status: number(),
  atMs: number() / 1000,
  ms: number() / 1000,
  ttftMs: msAfterOne(number()),
});

/** -1: nothing came. */
const msAfterOne = (value: number): number => (value === 0 ? -1 : (value - 1) / 1000);

const columnAt = new Map(columnNames.map((name, i) => [name, i]));

/** How to read a column of a row. @throws if there is none of this name */
export function reading<T extends string | number>(column: string): (row: Row) => T {
  const at = columnAt.get(column);
  if (at === undefined) throw new Error(`there is no column ${column}`);
  return ({ values }) => values[at] as T;
}

/** All values of a row by column. */
export const namedValues = ({ values }: Row): Record<string, string | number> =>
  Object.fromEntries(columnNames.map((name, i) => [name, values[i] as string | number]));

const emptyValues: readonly (string | number)[] = [
  ...textColumns.map(() => ''),
  ...numberColumns.map(() => 0),
];

const none: readonly [] = [];

/**
 * Unpacks a segment, row by row. Columns that this version doesn't know are left out; those that it alone knows are
 * empty.
 * @param columns the layout with which it was packed
 */
export function* rowsOf(
  { count, numbers, texts: packedTexts }: Pick<Segment, 'count' | 'texts'> & { readonly numbers: Uint8Array },
  columns: Layout,
): Generator<Row> {
  const texts = JSON.parse(packedTexts) as readonly string[];
  let at = 0;
  const number = (): number => {
    let byte = numbers[at++] as number;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let scale = 0x80; byte >= 0x80; scale *= 0x80) {
      byte = numbers[at++] as number;
      value += (byte & 0x7f) * scale;
    }
    return value;
  };
  const text = (): string => texts[number()] ?? '';
  const bytes = Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  const ownText = (): string => {
    const length = number();
    at += length;
    return bytes.toString('utf8', at - length, at);
  };
  const stepId = columns.own === undefined ? text : ownText;
  const readers = columns.texts.map((name) => (columns.own?.includes(name) === true ? ownText : text));
  const placesOf = (names: readonly string[]): number[] => names.map((name) => columnAt.get(name) ?? -1);
  const [textPlaces, numberPlaces] = [placesOf(columns.texts), placesOf(columns.numbers)];
  for (let i = 0; i < count; i++) {
    const values = [...emptyValues];
    for (const [j, place] of textPlaces.entries()) {
      const value = (readers[j] as () => string)();
      if (place >= 0) values[place] = value;
    }
    for (const place of numberPlaces) {
      const value = number();
      if (place >= 0) values[place] = value;
    }
    const [chargeCount, stepCount] = [number(), number()];
    const charges =
      chargeCount === 0 ? none : Array.from({ length: chargeCount }, () => chargeOf(text, number));
    const steps =
      stepCount === 0 ? none : Array.from({ length: stepCount }, () => stepOf(text, stepId, number));
    yield { values, charges, steps };
  }
}
