/** Segments of the ledger: what is packed is unpacked as it was, and sums of it are exact. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createSegmentPacker,
  layout,
  namedValues,
  type Row,
  rowsOf,
} from '../../src/observe/ledger/segment.ts';
import { type Dimension, sumsOf } from '../../src/observe/ledger/sums.ts';
import { packed, recordOf } from '../support/segments.ts';

test('a segment has every column of each record, its charges and its steps', () => {
  const usage = { inputTokens: 3, outputTokens: 4, cachedInputTokens: 1, cacheWriteTokens: 2, known: true };
  const step = { target: 'a/x', model: 'x', outcome: 'ok', cause: '', called: true, error: 'not written' };
  const record = recordOf('r', {
    tenant: 'acme',
    target: 'a/x',
    findings: [
      { kind: 'email', count: 2 },
      { kind: 'card', count: 1 },
    ],
    limits: ['l1', 'l2'],
    charges: [{ target: 'b/y', usage, costNanoUsd: null }],
    steps: [
      { ...step, sentMs: 1.5, durationMs: 20.0004, ttftMs: -1, status: 200, providerRequestId: 'up-1' },
      { ...step, sentMs: 2, durationMs: 3, ttftMs: 0, status: 0, providerRequestId: '' },
    ],
  });
  const [row, second] = [...rowsOf(packed([record, 77], [recordOf('s'), 78]), layout)];
  expect(row === undefined ? null : namedValues(row)).toMatchObject({
    request_id: 'r',
    tenant: 'acme',
    limits: 'l1,l2',
    ended_ms: 77,
    duration_us: 1000,
    personal_data: 'email:2,card:1',
  });
  expect(row?.charges).toEqual([
    {
      target: 'b/y',
      inputTokens: 3,
      outputTokens: 4,
      cachedInputTokens: 1,
      cacheWriteTokens: 2,
      costNanoUsd: 0,
      priced: 0,
    },
  ]);
  const shown = { target: 'a/x', model: 'x', outcome: 'ok', cause: '' };
  expect(row?.steps).toEqual([
    { ...shown, id: 'up-1', status: 200, atMs: 1.5, ms: 20, ttftMs: -1 },
    { ...shown, id: '', status: 0, atMs: 2, ms: 3, ttftMs: 0 },
  ]);
  expect(second).toMatchObject({ charges: [], steps: [] });
});

test('columns of another version are left out, those that it lacks are empty', () => {
  const segment = packed([recordOf('r', { tenant: 'acme' }), 77]);
  const renamed = {
    texts: layout.texts.map((name) => (name === 'tenant' ? 'of_the_future' : name)),
    numbers: layout.numbers.map((name) => (name === 'status' ? 'of_the_past' : name)),
    own: layout.own ?? [],
  };
  const [row] = [...rowsOf(segment, renamed)];
  expect(row === undefined ? null : namedValues(row)).toMatchObject({
    request_id: 'r',
    tenant: '',
    status: 0,
    ended_ms: 77,
  });
});

test('segments of a version that kept all texts in the list are read', () => {
  const columns = { texts: ['request_id', 'tenant'], numbers: ['status'] };
  // Ids 1 and 2 of one tenant (3); the second row has a step, whose id is the last text.
  const numbers = Uint8Array.of(1, 3, 200, 1, 0, 0, 2, 3, 200, 1, 0, 1, 0, 0, 0, 0, 4, 0, 0, 0, 0);
  const rows = [...rowsOf({ count: 2, numbers, texts: '["","r1","r2","acme","up-2"]' }, columns)];
  expect(rows.map(namedValues)).toMatchObject([
    { request_id: 'r1', tenant: 'acme', status: 200 },
    { request_id: 'r2', tenant: 'acme', status: 200 },
  ]);
  expect(rows[1]?.steps).toMatchObject([{ id: 'up-2', ttftMs: -1 }]);
});

const anyText = fc.oneof(fc.constantFrom('', 'acme', 'a/x', '"', '\0'), fc.string({ unit: 'binary' }));
/** Any whole number, most of them around what takes one byte more. */
const anyNumber = fc.oneof(
  fc.maxSafeNat(),
  fc
    .integer({ min: 0, max: 52 })
    .chain((bits) => fc.integer({ min: -1, max: 1 }).map((by) => Math.max(0, 2 ** bits + by))),
);

test('what is packed is unpacked as it was', () => {
  const anyUsage = fc.record({
    inputTokens: anyNumber,
    outputTokens: anyNumber,
    cachedInputTokens: anyNumber,
    cacheWriteTokens: anyNumber,
    known: fc.boolean(),
  });
  const anyRecord = fc.record({
    tenant: anyText,
    team: anyText,
    target: anyText,
    traceId: anyText,
    clientRequestId: anyText,
    inputTokens: anyNumber,
    costNanoUsd: anyNumber,
    stream: fc.boolean(),
    charges: fc.array(fc.record({ target: anyText, usage: anyUsage, costNanoUsd: fc.option(anyNumber) }), {
      maxLength: 3,
    }),
  });
  const packer = createSegmentPacker();
  fc.assert(
    fc.property(fc.array(fc.tuple(anyRecord, anyNumber), { maxLength: 20 }), (all) => {
      for (const [more, endedMs] of all) packer.add(recordOf('r', more), endedMs);
      const times = all.map(([, endedMs]) => endedMs);
      const segment = packer.take();
      if (all.length > 0)
        expect([segment.fromMs, segment.toMs]).toEqual([Math.min(...times), Math.max(...times)]);
      const rows = [...rowsOf(segment, layout)];
      expect(rows).toHaveLength(all.length);
      all.forEach(([more, endedMs], i) => {
        const row = rows[i] as Row;
        expect(namedValues(row)).toMatchObject({
          tenant: more.tenant,
          team: more.team,
          target: more.target,
          trace_id: more.traceId,
          client_request_id: more.clientRequestId,
          input_tokens: more.inputTokens,
          cost_nano_usd: more.costNanoUsd,
          stream: Number(more.stream),
          ended_ms: endedMs,
        });
        const said =
          more.charges.length > 1 ||
          (more.charges[0] !== undefined && more.charges[0].target !== more.target);
        expect(
          row.charges.map(({ target, inputTokens, costNanoUsd, priced }) => [
            target,
            inputTokens,
            costNanoUsd,
            priced,
          ]),
        ).toEqual(
          said
            ? more.charges.map(({ target, usage, costNanoUsd }) => [
                target,
                usage.inputTokens,
                costNanoUsd ?? 0,
                costNanoUsd === null ? 0 : 1,
              ])
            : [],
        );
      });
    }),
  );
});

test('a number that can’t be kept becomes the nearest one that can', () => {
  const values = [Number.NaN, -5, 1e308, Number.POSITIVE_INFINITY, 1000.4];
  const segment = packed(...values.map((inputTokens, i) => [recordOf(`r${i}`, { inputTokens }), i] as const));
  const tokens = [...rowsOf(segment, layout)].map((row) => namedValues(row).input_tokens);
  expect(tokens).toEqual([0, 0, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 1000]);
});

test('sums are exact beyond what a number holds', () => {
  const amounts = [Number.MAX_SAFE_INTEGER, 1, Number.MAX_SAFE_INTEGER - 2, 3, 5];
  const segment = packed(
    ...amounts.map((costNanoUsd, i) => [recordOf(`r${i}`, { costNanoUsd }), i] as const),
  );
  const [sum] = sumsOf(rowsOf(segment, layout), []);
  expect(sum?.costNanoUsd).toBe(amounts.reduce((total, each) => total + BigInt(each), 0n));
  expect(sum?.requests).toBe(5n);
});

test('a tag that a key and its app both name counts once', () => {
  const record = recordOf('r', { tags: 'red,blue,red', costNanoUsd: 5 });
  const rows = sumsOf(rowsOf(packed([record, 0]), layout), ['tag']);
  expect(rows.map(({ values, requests, costNanoUsd }) => [values[0], requests, costNanoUsd])).toEqual([
    ['blue', 1n, 5n],
    ['red', 1n, 5n],
  ]);
});

test('by target a request counts for each target it was billed at, by tag for each of its tags', () => {
  const usage = { inputTokens: 3, outputTokens: 4, cachedInputTokens: 1, cacheWriteTokens: 0, known: true };
  const charge = (target: string, costNanoUsd: number | null) => ({ target, usage, costNanoUsd });
  const record = recordOf('r', {
    target: 'b/y',
    tags: 'red,blue',
    status: 500,
    inputTokens: 9,
    outputTokens: 12,
    cachedInputTokens: 3,
    costNanoUsd: 30,
    priced: false,
    savedNanoUsd: 7,
    routingSavedNanoUsd: 8,
    charges: [charge('a/x', 10), charge('b/y', 20), charge('a/x', null)],
  });
  const sums = (by: readonly Dimension[]): unknown[] =>
    sumsOf(rowsOf(packed([record, 0]), layout), by).map((row) =>
      [
        row.values,
        row.requests,
        row.failed,
        row.inputTokens,
        row.costNanoUsd,
        row.savedNanoUsd,
        row.routingSavedNanoUsd,
        row.unpriced,
      ].map((value) => (typeof value === 'bigint' ? Number(value) : value)),
    );
  expect(sums(['target'])).toEqual([
    [['b/y'], 1, 0, 3, 20, 0, 8, 0],
    [['a/x'], 1, 1, 6, 10, 7, 0, 1],
  ]);
  expect(sums(['provider', 'day'])).toEqual([
    [['b', '1970-01-01'], 1, 0, 3, 20, 0, 8, 0],
    [['a', '1970-01-01'], 1, 1, 6, 10, 7, 0, 1],
  ]);
  // Two calls without a price are one request of which some cost is unknown.
  const unpriced = recordOf('u', {
    target: 'a/x',
    priced: false,
    charges: [charge('a/x', null), charge('a/x', null), charge('b/y', null)],
  });
  expect(
    sumsOf(rowsOf(packed([unpriced, 0]), layout), ['target']).map((row) => [row.values[0], row.unpriced]),
  ).toEqual([
    ['a/x', 1n],
    ['b/y', 1n],
  ]);
  expect(sums(['tag'])).toEqual([
    [['blue'], 1, 1, 9, 30, 7, 8, 1],
    [['red'], 1, 1, 9, 30, 7, 8, 1],
  ]);
});
