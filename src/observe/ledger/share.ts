/** A worker's part of the ledger: its records, as segments for the worker that has the file. */
import type { Follower } from '../telemetry.ts';
import { gatherMs, segmentMax } from './ledger.ts';
import { createSegmentPacker, type Segment } from './segment.ts';

/** Takes records. */
export interface LedgerShare extends Follower {
  /** Sends what waits. */
  close(): void;
}

/** @param send takes a segment, after some time or some records */
export function createLedgerShare(send: (segment: Segment) => void): LedgerShare {
  const open = createSegmentPacker();
  let timer: NodeJS.Timeout | null = null;
  const flush = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (open.count > 0) send(open.take());
  };
  return {
    add(record, endedMs) {
      open.add(record, endedMs);
      if (open.count >= segmentMax) flush();
      else timer ??= setTimeout(flush, gatherMs).unref();
    },
    close: flush,
  };
}
