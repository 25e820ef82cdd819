/**
 * The faults that providers of every dialect are tried with, behind clients of every dialect. The table in
 * docs/reference/faults.md is made of these lists, and each suite holds its tests against them.
 */
import { bedrockWire } from '../support/bedrock-wire.ts';
import { cohereWire } from '../support/cohere-wire.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { type ProviderWire, type Wire, wires } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';

/** A dialect that only clients or only providers speak goes into one of the two. */
export const clients: readonly Wire[] = [...wires, responsesWire, geminiWire];
export const providers: readonly ProviderWire[] = [
  ...wires,
  responsesWire,
  geminiWire,
  bedrockWire,
  cohereWire,
];

/** What goes wrong, by its number. */
export const faultRows = {
  1: 'reset before the headers',
  2: 'reset after the headers, before any content',
  3: 'cut after text has come',
  4: 'clean end without the last event',
  5: 'no first token in time',
  6: 'silence in the middle of a stream',
  7: '429 with a time to wait',
  11: '200 with an error in it',
  12: 'malformed or foreign replies, input split at every byte',
  13: 'broken or oversized gzip',
  26: 'the request is refused (400, 404, 413, 422), or the credential (401, 403)',
} as const;
export type Row = keyof typeof faultRows;
export type RowCounts = Readonly<Partial<Record<Row, number>>>;

/** Tests of each row for a pair of dialects. */
const translated: RowCounts = { 1: 2, 2: 1, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1, 11: 3, 12: 10, 13: 1, 26: 6 };
/** Where both speak the same, none of the two can be mistaken for the other, and an empty object passes as it is. */
const passed: RowCounts = { ...translated, 12: 7 };

/** Tests of each row for this client and this provider. */
export const rowsOfPair = (client: string, provider: string): RowCounts =>
  client === provider ? passed : translated;

/** For predictions, which have a suite of their own: they come in one piece, so that none is cut or silent half-way. */
export const rowsOfPrediction: RowCounts = { 1: 2, 2: 2, 4: 2, 5: 2, 7: 2, 11: 4, 12: 13, 13: 1, 26: 10 };

/** Tests of each row for providers of one dialect, over all clients. */
export const rowsOfProvider: Readonly<Record<string, RowCounts>> = {
  ...Object.fromEntries(
    providers.map(({ name }) => [name, sum(clients.map((client) => rowsOfPair(client.name, name)))]),
  ),
  replicate: sum(clients.map(() => rowsOfPrediction)),
};

function sum(counts: readonly RowCounts[]): RowCounts {
  const total: Record<number, number> = {};
  for (const each of counts)
    for (const [row, count] of Object.entries(each)) total[Number(row)] = (total[Number(row)] ?? 0) + count;
  return total as RowCounts;
}

/** How many of these tests name each row. */
export function rowsNamed(names: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const name of names) {
    const [, row] = /^row (\d+):/.exec(name) ?? [];
    if (row !== undefined) found[row] = (found[row] ?? 0) + 1;
  }
  return found;
}
