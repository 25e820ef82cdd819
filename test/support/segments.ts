/** Records for tests of the ledger, and segments of them. */
import { nothingBilled } from '../../src/count/usage.ts';
import { createSegmentPacker, type Segment } from '../../src/observe/ledger/segment.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';

/** A record of a chat without a call, with other values where they are given. */
export const recordOf = (id: string, more: Partial<ExchangeRecord> = {}): ExchangeRecord => ({
  ...createRecord(
    { id, startedMs: 0, endpoint: { name: 'chat' } },
    noCourse,
    { status: 200 },
    nothingBilled,
    1,
  ),
  ...more,
});
/** Records and when they ended, as a segment. */
export function packed(...ended: readonly (readonly [ExchangeRecord, number])[]): Segment {
  const packer = createSegmentPacker();
  for (const [record, endedMs] of ended) packer.add(record, endedMs);
  return packer.take();
}
