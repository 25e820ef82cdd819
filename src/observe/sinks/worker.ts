/**
 * The thread of the sinks: sends each what it hasn't got, in batches, and tries again later when it can't. Their clients
 * are loaded here, outside the thread that serves requests.
 */
import { parentPort } from 'node:worker_threads';
import { configuredKinds, openSink, type SinkKind } from './kinds.ts';
import { type Outbox, openOutbox, type Portion, type Progress } from './outbox.ts';
import type { SinkSettings } from './settings.ts';
import { type Sink, TooLarge } from './sink.ts';

/** What the thread is told. */
export type SinksOrder =
  | {
      readonly kind: 'open';
      readonly path: string;
      readonly instance: string;
      readonly settings: SinkSettings;
    }
  /** The ledger has new rows. */
  | { readonly kind: 'wake' }
  /** Sends what waits, for at most so long, and ends. */
  | { readonly kind: 'close'; readonly waitMs: number };

/** What it says of a sink before the first attempt, and after each. */
export interface SinkNews {
  readonly sink: SinkKind;
  readonly progress: Progress;
  /** Null: the attempt succeeded, or nothing waited; undefined: there was none yet. */
  readonly problem: string | null | undefined;
}

const batchMax = 500;
const firstPauseMs = 1000;
const longestPauseMs = 30_000;

let over = false;
let wakeAll: (() => void)[] = [];

const wake = (): void => {
  const waiting = wakeAll;
  wakeAll = [];
  for (const go of waiting) go();
};
const woken = (): Promise<void> => new Promise((resolve) => void wakeAll.push(resolve));

/** A pause that the end of the thread cuts short. */
const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    if (over) return resolve();
    const timer = setTimeout(resolve, ms);
    onOver.push(() => {
      clearTimeout(timer);
      resolve();
    });
  });
let onOver: (() => void)[] = [];

/** Sends to one sink until the thread ends; at the end, until nothing waits or an attempt fails. */
async function forward(
  name: SinkKind,
  settings: SinkSettings,
  outboxOf: () => Promise<Outbox>,
): Promise<void> {
  let sink: Sink | null = null;
  let pauseMs = firstPauseMs;
  /** What the sink may have got already: it comes again as it was, so that the sink can tell. */
  let portion: Portion | null = null;
  /** It has it for sure, but that is not noted in the file yet, whose disk may be full. */
  let isTaken = false;
  /** Rows in one batch: halved where it is too large, since nobody says for how many there is room. */
  let most = batchMax;
  let progress: Progress = { sent: 0, dropped: 0, waiting: 0, oldestMs: 0 };
  const say = (problem: SinkNews['problem']): void =>
    parentPort?.postMessage({ sink: name, progress, problem } satisfies SinkNews);
  let isTold = false;
  for (;;) {
    try {
      const outbox = await outboxOf();
      if (!isTold) {
        progress = outbox.progress(name);
        say(undefined);
        isTold = true;
      }
      sink ??= await openSink(name, settings);
      portion ??= outbox.next(name, most);
      if (portion.rows.length > 0) {
        if (!isTaken) await sink.send(portion.rows);
        isTaken = true;
        outbox.done(name, portion);
        most = Math.min(batchMax, most + 1);
      }
      portion = null;
      isTaken = false;
      progress = outbox.progress(name);
      say(null);
      pauseMs = firstPauseMs;
      if (progress.waiting > 0) continue;
      if (over) break;
      await woken();
    } catch (cause) {
      const refused: number = portion?.rows.length ?? 0;
      if (cause instanceof TooLarge && refused > 1) {
        most = Math.ceil(refused / 2);
        portion = null;
        continue;
      }
      const outbox = await outboxOf().catch(() => null);
      if (outbox !== null) progress = progressOf(outbox, name, progress);
      say(cause instanceof Error ? cause.message || cause.name : String(cause));
      if (over) break;
      await pause(pauseMs);
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
  }
  await sink?.close().catch(() => {});
}

/** The progress, or the last one if the file can't be read. */
function progressOf(outbox: Outbox, name: SinkKind, before: Progress): Progress {
  try {
    return outbox.progress(name);
  } catch {
    return before;
  }
}

async function run({ path, instance, settings }: Extract<SinksOrder, { kind: 'open' }>): Promise<void> {
  let opened: Promise<Outbox> | null = null;
  const outboxOf = (): Promise<Outbox> => {
    opened ??= openOutbox(path, instance).catch((cause: unknown) => {
      // A full disk, for example: opened again at the next attempt.
      opened = null;
      throw cause;
    });
    return opened;
  };
  await Promise.all(configuredKinds(settings).map((name) => forward(name, settings, outboxOf)));
  const outbox = await outboxOf().catch(() => null);
  outbox?.close();
  parentPort?.close();
}

parentPort?.on('message', (order: SinksOrder) => {
  if (order.kind === 'open') void run(order);
  else if (order.kind === 'wake') wake();
  else {
    over = true;
    for (const end of onOver) end();
    onOver = [];
    wake();
    // A sink that hangs holds nobody up: what it hasn't got is sent after the next start.
    setTimeout(() => process.exit(), order.waitMs).unref();
  }
});
