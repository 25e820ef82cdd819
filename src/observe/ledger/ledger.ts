/**
 * The ledger: every request's record in a SQLite file, written in batches by a thread. A request only appends to a
 * list. When the file can't be written, records wait up to a bound, then the oldest are dropped and counted.
 */
import { scriptOf } from '../../base/place.ts';
import type { Thread, World } from '../../base/world.ts';
import type { ExchangeRecord } from '../record.ts';
import { type Ended, pack } from './batch.ts';
import type { LedgerAnswer, LedgerOrder } from './worker.ts';
import type { Retention } from './writer.ts';

/** The ledger of a sidecar. */
export interface Ledger {
  /** @param endedMs ms since 1970 */
  add(record: ExchangeRecord, endedMs: number): void;
  readonly state: LedgerState;
  /** Adopts new settings. */
  update(settings: LedgerSettings): void;
  /** Writes what waits, for at most `waitMs`; the rest is dropped. */
  close(waitMs: number): Promise<void>;
}

/** How the ledger is doing. */
export interface LedgerState {
  /** Records that are committed. */
  readonly written: number;
  /** Records that were dropped because too many waited. */
  readonly dropped: number;
  /** Records that wait. */
  readonly waiting: number;
  /** How long the oldest of them has waited, ms. */
  readonly lagMs: number;
}

/** How much is kept on disk and in memory. */
export interface LedgerSettings extends Retention {
  /** Most records that wait for a file that can't be written. */
  readonly waitingMax: number;
}

/** What the ledger needs. */
export interface LedgerDeps extends Pick<World, 'startThread' | 'wallClock'> {
  /** The file can't be written (with the reason), or can be again (null). Once per change. */
  readonly onProblem: (problem: string | null) => void;
  /** New rows are committed. */
  readonly onWritten?: () => void;
}

/** How long a record waits for others before it is sent. */
const gatherMs = 100;
/** Records in one batch, which is one transaction. */
const batchMax = 1000;
/** Pause after a batch that could not be written. */
const retryMs = 1000;
/** The thread ends after this time without records: it takes several MB. */
const idleMs = 60_000;
/** How long the thread may take to close the file. */
const closeMs = 2000;

const threadUrl = scriptOf('observe/ledger/worker');

/** The ledger of a file. The thread starts with the first record. */
export function createLedger(path: string, first: LedgerSettings, deps: LedgerDeps): Ledger {
  let settings = first;
  let thread: Thread | null = null;
  let waiting: Ended[] = [];
  let inFlight: readonly Ended[] = [];
  let timer: NodeJS.Timeout | null = null;
  let idle: NodeJS.Timeout | null = null;
  let written = 0;
  let dropped = 0;
  let failing = false;
  let onEmpty: (() => void) | null = null;

  const schedule = (ms: number): void => {
    timer ??= setTimeout(send, ms).unref();
  };

  const started = (): Thread => {
    const opened = deps.startThread(threadUrl);
    opened.unref();
    opened.on('message', ({ problem }: LedgerAnswer) => {
      if (opened === thread) answered(problem);
    });
    opened.on('error', (cause: Error) => {
      if (opened !== thread) return;
      thread = null;
      answered(`its thread has ended: ${cause.message}`);
    });
    opened.postMessage({ kind: 'open', path, retention: settings } satisfies LedgerOrder);
    return opened;
  };

  function send(): void {
    timer = null;
    if (inFlight.length > 0 || waiting.length === 0) return;
    inFlight = waiting.slice(0, batchMax);
    waiting = waiting.slice(batchMax);
    const batch = pack(inFlight);
    if (idle !== null) clearTimeout(idle);
    thread ??= started();
    thread.postMessage({ kind: 'write', batch } satisfies LedgerOrder, [batch.numbers.buffer]);
  }

  function answered(problem: string | null): void {
    if ((problem !== null) !== failing) deps.onProblem(problem);
    failing = problem !== null;
    const batch = inFlight;
    inFlight = [];
    if (problem !== null) {
      // Sent again later: what of it was committed after all is written only once.
      waiting = [...batch, ...waiting];
      trim();
      return schedule(retryMs);
    }
    written += batch.length;
    deps.onWritten?.();
    if (waiting.length > 0) return schedule(waiting.length >= batchMax ? 0 : gatherMs);
    onEmpty?.();
    idle = setTimeout(rest, idleMs).unref();
  }

  function rest(): Thread | null {
    const ended = thread;
    thread = null;
    ended?.postMessage({ kind: 'close' } satisfies LedgerOrder);
    return ended;
  }

  /** Drops the oldest beyond the bound. */
  function trim(): void {
    const tooMany = waiting.length - settings.waitingMax;
    if (tooMany <= 0) return;
    dropped += tooMany;
    waiting = waiting.slice(tooMany);
  }

  return {
    add(record, endedMs) {
      waiting.push({ record, endedMs });
      // Not at each record: dropping one of many copies the rest.
      if (waiting.length >= settings.waitingMax * 1.1 + batchMax) trim();
      if (timer === null && inFlight.length === 0) schedule(gatherMs);
    },
    get state() {
      const oldest = inFlight[0] ?? waiting[0];
      const lagMs = oldest === undefined ? 0 : Math.max(0, deps.wallClock() - oldest.endedMs);
      return { written, dropped, waiting: inFlight.length + waiting.length, lagMs };
    },
    update(next) {
      settings = next;
      thread?.postMessage({ kind: 'open', path, retention: next } satisfies LedgerOrder);
    },
    async close(waitMs) {
      if (inFlight.length > 0 || waiting.length > 0) {
        await new Promise<void>((resolve) => {
          const late = setTimeout(resolve, waitMs);
          onEmpty = () => {
            clearTimeout(late);
            resolve();
          };
          if (timer !== null) clearTimeout(timer);
          send();
        });
      }
      if (timer !== null) clearTimeout(timer);
      if (idle !== null) clearTimeout(idle);
      dropped += inFlight.length + waiting.length;
      inFlight = [];
      waiting = [];
      const ended = rest();
      if (ended === null) return;
      // A thread that hangs in a system call, as on a disk that is gone, can't even be terminated.
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, closeMs);
        ended.once('exit', () => {
          clearTimeout(late);
          resolve();
        });
      });
      void ended.terminate();
    },
  };
}
