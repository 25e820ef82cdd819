/**
 * The ledger: every request's record in a SQLite file, written in segments by a thread. A request only appends a row to
 * the open segment. When the file can't be written, segments wait up to a bound, then the oldest are dropped and counted.
 */
import { randomUUID } from 'node:crypto';
import { scriptOf } from '../../base/place.ts';
import type { Thread, World } from '../../base/world.ts';
import type { ExchangeRecord } from '../record.ts';
import { createSegmentPacker, type Segment } from './segment.ts';
import type { LedgerAnswer, LedgerOrder } from './worker.ts';
import type { Retention } from './writer.ts';

/** The ledger of a sidecar. */
export interface Ledger {
  /** @param endedMs ms since 1970 */
  add(record: ExchangeRecord, endedMs: number): void;
  /** Takes what another worker has gathered. */
  take(segment: Segment): void;
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
  /** New rows are committed. @param another to another file than those before, which was moved or deleted */
  readonly onWritten?: (another: boolean) => void;
}

/** How long a record waits for others: a segment costs as much as some hundred records. */
export const gatherMs = 500;
/** Records in one segment, which is one transaction. */
export const segmentMax = 1000;
/** Pause after a segment that could not be written. */
const retryMs = 1000;
/** The thread ends after this time without records: it takes several MB. */
const idleMs = 60_000;
/** How long the thread may take to close the file. */
const closeMs = 2000;

const threadUrl = scriptOf('observe/ledger/worker');

/** A segment that waits, and the key by which the file knows it. */
interface Waiting {
  readonly key: string;
  readonly segment: Segment;
}

/** The ledger of a file. The thread starts with the first record. */
export function createLedger(path: string, first: LedgerSettings, deps: LedgerDeps): Ledger {
  let settings = first;
  let thread: Thread | null = null;
  const open = createSegmentPacker();
  // Full segments, oldest first; records of them and of the open one.
  const full: Waiting[] = [];
  let waiting = 0;
  let inFlight: Waiting | null = null;
  let file: string | null = null;
  let timer: NodeJS.Timeout | null = null;
  let idle: NodeJS.Timeout | null = null;
  let [written, dropped] = [0, 0];
  let failing = false;
  let onEmpty: (() => void) | null = null;

  const schedule = (ms: number): void => {
    timer ??= setTimeout(send, ms).unref();
  };

  const tell = (to: Thread): void =>
    to.postMessage({ kind: 'open', path, file, retention: settings } satisfies LedgerOrder);

  const started = (): Thread => {
    const opened = deps.startThread(threadUrl);
    opened.unref();
    opened.on('message', (answer: LedgerAnswer) => {
      if (opened === thread) answered(answer);
    });
    opened.on('error', (cause: Error) => {
      if (opened !== thread) return;
      thread = null;
      answered({ problem: `its thread has ended: ${cause.message}`, file: null });
    });
    tell(opened);
    return opened;
  };

  const fill = (): void => void full.push({ key: randomUUID(), segment: open.take() });

  function send(): void {
    timer = null;
    if (inFlight !== null || waiting === 0) return;
    if (full.length === 0) fill();
    inFlight = full.shift() as Waiting;
    waiting -= inFlight.segment.count;
    if (idle !== null) clearTimeout(idle);
    thread ??= started();
    thread.postMessage({ kind: 'write', ...inFlight } satisfies LedgerOrder);
  }

  function sendNow(): void {
    if (timer !== null) clearTimeout(timer);
    send();
  }

  function answered({ problem, file: to }: LedgerAnswer): void {
    if ((problem !== null) !== failing) deps.onProblem(problem);
    failing = problem !== null;
    const answeredTo = inFlight;
    inFlight = null;
    if (answeredTo === null) return;
    if (failing) {
      // Sent again later: if it was committed after all, it isn't written twice.
      full.unshift(answeredTo);
      waiting += answeredTo.segment.count;
      trim();
      return schedule(retryMs);
    }
    written += answeredTo.segment.count;
    deps.onWritten?.(file !== null && to !== file);
    file = to;
    // At the end there is nothing to gather.
    if (waiting > 0) return schedule(full.length > 0 || onEmpty !== null ? 0 : gatherMs);
    onEmpty?.();
    idle = setTimeout(rest, idleMs).unref();
  }

  function rest(): Thread | null {
    const ended = thread;
    thread = null;
    ended?.postMessage({ kind: 'close' } satisfies LedgerOrder);
    return ended;
  }

  /** Drops the oldest full segments beyond the bound. */
  function trim(): void {
    while (waiting > settings.waitingMax && full.length > 0) {
      const { count } = (full.shift() as Waiting).segment;
      waiting -= count;
      dropped += count;
    }
  }

  return {
    add(record, endedMs) {
      open.add(record, endedMs);
      waiting += 1;
      if (open.count >= segmentMax) {
        fill();
        // While writing fails, the next try is on time.
        if (!failing) sendNow();
        trim();
      }
      if (timer === null && inFlight === null) schedule(gatherMs);
    },
    take(segment) {
      full.push({ key: randomUUID(), segment });
      waiting += segment.count;
      trim();
      if (timer === null && inFlight === null) schedule(gatherMs);
    },
    get state() {
      const fromMs = (inFlight ?? full[0])?.segment.fromMs ?? (open.count === 0 ? null : open.fromMs);
      return {
        written,
        dropped,
        waiting: waiting + (inFlight?.segment.count ?? 0),
        lagMs: fromMs === null ? 0 : Math.max(0, deps.wallClock() - fromMs),
      };
    },
    update(next) {
      settings = next;
      if (thread !== null) tell(thread);
    },
    async close(waitMs) {
      if (inFlight !== null || waiting > 0)
        await within(waitMs, (done) => {
          onEmpty = done;
          sendNow();
        });
      if (timer !== null) clearTimeout(timer);
      if (idle !== null) clearTimeout(idle);
      dropped += waiting + (inFlight?.segment.count ?? 0);
      inFlight = null;
      full.length = 0;
      waiting = 0;
      if (open.count > 0) open.take();
      const ended = rest();
      if (ended !== null) await exited(ended);
    },
  };
}

/** Waits until a thread has ended. One that hangs in a system call, as on a disk that is gone, can't even be terminated. */
async function exited(thread: Thread): Promise<void> {
  await within(closeMs, (done) => void thread.once('exit', done));
  void thread.terminate();
}

/** Waits until it is done, for at most `waitMs`. */
const within = (waitMs: number, begin: (done: () => void) => void): Promise<void> =>
  new Promise((resolve) => {
    const late = setTimeout(resolve, waitMs);
    begin(() => {
      clearTimeout(late);
      resolve();
    });
  });
