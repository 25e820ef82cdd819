/** The ledger's thread: commits segments and answers each once it is written, or why it can't be. */
import { parentPort } from 'node:worker_threads';
import type { Segment } from './segment.ts';
import { type LedgerWriter, openWriter, type Retention } from './writer.ts';

/** What the thread is told. */
export type LedgerOrder =
  | { readonly kind: 'open'; readonly path: string; readonly retention: Retention }
  /** `key`: the segment's own, which it keeps when it is sent again. */
  | { readonly kind: 'write'; readonly key: string; readonly segment: Segment }
  /** Closes the file and ends the thread. */
  | { readonly kind: 'close' };

/** What it answers to a segment. */
export interface LedgerAnswer {
  /** Null: the segment is committed. */
  readonly problem: string | null;
}

const trimEveryMs = 60_000;

let path = '';
let retention: Retention | null = null;
let writer: LedgerWriter | null = null;

async function write(key: string, segment: Segment): Promise<string | null> {
  try {
    writer ??= await openWriter(path);
    writer.write(key, segment);
    return null;
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

function trim(): void {
  let more = false;
  try {
    more = writer !== null && retention !== null && writer.trim(retention, Date.now());
  } catch {
    // A full disk or a lock: tried again next time.
  }
  setTimeout(trim, more ? 0 : trimEveryMs).unref();
}

parentPort?.on('message', async (order: LedgerOrder) => {
  if (order.kind === 'open') {
    ({ path, retention } = order);
    return;
  }
  if (order.kind === 'close') {
    writer?.close();
    parentPort?.close();
    return;
  }
  const first = writer === null;
  const answer: LedgerAnswer = { problem: await write(order.key, order.segment) };
  parentPort?.postMessage(answer);
  if (first && writer !== null) trim();
});
