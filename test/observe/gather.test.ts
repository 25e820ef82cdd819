/** What a sink holds is read like a ledger, in whatever order it gives its rows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { layout, namedValues, rowsOf } from '../../src/observe/ledger/segment.ts';
import { gather } from '../../src/observe/sinks/gather.ts';
import type { SinkRow } from '../../src/observe/sinks/sink.ts';
import { packed, recordOf } from '../support/segments.ts';

test('rows are the oldest first, and the newest of an id is found, though the sink has no order', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-gather-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const rowAt = (endedMs: number): SinkRow => {
    const [row] = rowsOf(packed([recordOf(`r${endedMs}`, { traceId: 'trace' }), endedMs]), layout);
    if (row === undefined) throw new Error('no row');
    return { ...namedValues(row), instance: 'i', charges: [], steps: [] };
  };
  const source = {
    async *rows() {
      for (const endedMs of [2, 3, 3, 1]) yield rowAt(endedMs);
    },
    close: async () => {},
  };
  const span = { fromMs: 0, toMs: 10 };
  const reader = await gather(source, span, join(folder, 'gathered.db'));
  onTestFinished(() => reader.close());
  const idsOf = [...reader.rows(span)].map((row) => namedValues(row).request_id);
  expect(idsOf).toEqual(['r1', 'r2', 'r3']);
  const found = reader.find('trace');
  expect(found === null ? null : namedValues(found).request_id).toBe('r3');
});
