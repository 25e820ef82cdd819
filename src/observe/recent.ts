/** The last records, in memory: what the dashboard shows. A ring, so that adding one costs two stores. */
import type { ExchangeRecord } from './record.ts';

/** A record and when its request ended. */
export interface RecentRecord {
  /** Number of the record, from 1. */
  readonly number: number;
  /** Ms since 1970. */
  readonly endedMs: number;
  readonly record: ExchangeRecord;
}

/** The last records of a sidecar. */
export interface Recent {
  /** @param wallMs ms since 1970 */
  add(record: ExchangeRecord, wallMs: number): void;
  /** Records with a number above `after`, oldest first; at most the newest `max`. */
  since(after: number, max: number): RecentRecord[];
  /** The newest record with this request id, client's id or trace id. */
  find(id: string): RecentRecord | null;
  /** Number of the newest record; 0: there was none yet. */
  readonly newest: number;
  /** How many are kept; 0: none. */
  readonly size: number;
  /** Keeps up to `max` records from now on. Those kept so far are dropped. */
  resize(max: number): void;
}

/** @param max most records kept; 0: none */
export function createRecent(max: number): Recent {
  let size = max;
  let records: (ExchangeRecord | undefined)[] = new Array(size);
  let endedMs = new Float64Array(size);
  let newest = 0;
  let kept = 0;

  const at = (number: number): RecentRecord => {
    const slot = number % size;
    return { number, endedMs: endedMs[slot] as number, record: records[slot] as ExchangeRecord };
  };

  return {
    add(record, wallMs) {
      newest += 1;
      if (size === 0) return;
      const slot = newest % size;
      records[slot] = record;
      endedMs[slot] = wallMs;
      if (kept < size) kept += 1;
    },
    since(after, most) {
      const first = Math.max(after + 1, newest - Math.min(kept, most) + 1);
      return Array.from({ length: Math.max(0, newest - first + 1) }, (_, i) => at(first + i));
    },
    find(id) {
      // What a request lacks is empty.
      if (id === '') return null;
      for (let number = newest; number > newest - kept; number--) {
        const found = at(number);
        const { requestId, clientRequestId, traceId } = found.record;
        if (requestId === id || clientRequestId === id || traceId === id) return found;
      }
      return null;
    },
    get newest() {
      return newest;
    },
    get size() {
      return size;
    },
    resize(next) {
      if (next === size) return;
      size = next;
      records = new Array(size);
      endedMs = new Float64Array(size);
      kept = 0;
    },
  };
}
