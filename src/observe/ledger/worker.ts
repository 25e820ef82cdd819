/** The ledger's thread: commits segments and answers each once it is written, or why it can't be. */
import { existsSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { Segment } from './segment.ts';
import { fileAt, type LedgerWriter, openWriter, type Retention } from './writer.ts';

/** What the thread is told. */
export type LedgerOrder =
  | {
      readonly kind: 'open';
      readonly path: string;
      /** The file that the last segment was written to; null: there is none yet. */
      readonly file: string | null;
      readonly retention: Retention;
    }
  /** `key`: the segment's own, which it keeps when it is sent again. */
  | { readonly kind: 'write'; readonly key: string; readonly segment: Segment }
  /** Closes the file and ends the thread. */
  | { readonly kind: 'close' };

/** What it answers to a segment. */
export interface LedgerAnswer {
  /** Null: the segment is committed. */
  readonly problem: string | null;
  /** The file that it is in, as `fileAt` names it; null: in none. */
  readonly file: string | null;
}

const trimEveryMs = 60_000;

let path = '';
let file: string | null = null;
let retention: Retention | null = null;
let writer: LedgerWriter | null = null;

async function write(key: string, segment: Segment): Promise<LedgerAnswer> {
  try {
    if (file !== null && fileAt(path) !== file) leave();
    if (writer === null) {
      writer = await openWriter(path);
      file = fileAt(path);
    }
    writer.write(key, segment);
    return { problem: null, file };
  } catch (cause) {
    return { problem: cause instanceof Error ? cause.message : String(cause), file: null };
  }
}

/** Leaves a file that was moved or deleted: SQLite would go on writing to it, and nobody would find what it wrote. */
function leave(): void {
  const left = writer;
  writer = null;
  left?.close();
  // Opened with another file, they would be cut off, and end the process where another thread still reads them.
  if (existsSync(`${path}-shm`))
    throw new Error(
      `it was moved or deleted, but not ${path}-wal and ${path}-shm: delete them, too, or restart`,
    );
}

let trims = false;

function trim(): void {
  trims = true;
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
    file ??= order.file;
    return;
  }
  if (order.kind === 'close') {
    writer?.close();
    parentPort?.close();
    return;
  }
  parentPort?.postMessage(await write(order.key, order.segment));
  if (!trims && writer !== null) trim();
});
