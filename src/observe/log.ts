/** The log: JSON lines on standard output, written in the background. */

import { pino } from 'pino';
import { createLineBytes } from '../base/line-bytes.ts';
import type { Log, LogStream } from '../base/log.ts';
import type { ObserveSettings } from './settings.ts';

/** Size of the buffer that lines are collected in before a write. */
const gatherMaxBytes = 64 * 1024;

/** Buffers that wait to be used again, at most. */
const freeMax = 4;

/** Interval at which a partly filled buffer is written. */
const flushEveryMs = 250;

/**
 * Most bytes that wait for a standard output that nobody reads; more are dropped, since the log must not end
 * the process.
 */
const waitingMaxBytes = 16 * 1024 * 1024;

/** How long the end may take. */
const closeMs = 3000;

/** The open log. */
export interface LogSink {
  readonly log: Log;
  setLevel(level: ObserveSettings['log']): void;
  /** Writes lines of other workers. */
  pass(lines: Buffer): void;
  /** Starts writing what is buffered, without waiting for it. */
  flush(): void;
  /** Writes what is buffered and waits for it, for at most a few seconds; for the end of the process. */
  close(): Promise<void>;
}

/** Takes lines. */
export interface LineSink {
  pass(lines: Buffer): void;
  /** Buffers that go round: only this log writes to them. */
  readonly own?: {
    pass(lines: Buffer): void;
    /** One that was passed and is written by now, to gather others in; undefined: there is none. */
    written(): Buffer | undefined;
  };
  /** Waits until they are written, for at most a few seconds. */
  close(): Promise<void>;
}

/** A file's sink. @param fd file descriptor or path to write to */
function openFile(fd: number | string): LineSink {
  let closed = false;
  const destination = pino.destination({
    dest: fd,
    sync: false,
    // A pipe that nobody reads is tried again, but not after the end.
    retryEAGAIN: () => !closed,
    maxLength: waitingMaxBytes,
    contentMode: 'buffer',
  });
  // A full disk or a closed pipe must neither end the process nor keep it from ending. What can't be written waits, is
  // dropped beyond the limit, and isn't flushed at an exit, since pino would retry for ever.
  const flushSync = destination.flushSync.bind(destination);
  destination.on('error', () => {
    destination.flushSync = () => {};
  });
  destination.on('write', () => {
    destination.flushSync = flushSync;
  });
  // In buffer mode it takes a Buffer, although its type says string.
  const pass = (lines: Buffer): void => void destination.write(lines as unknown as string);
  // Buffers are used again: V8's threads free each new one, which doubled their CPU time under load.
  let passed: ArrayBufferLike[] = [];
  let free: ArrayBufferLike[] = [];
  destination.on('drain', () => {
    free = passed;
    passed = [];
  });
  return {
    pass,
    own: {
      pass(lines) {
        // Nothing may ever be written: only so many are remembered.
        if (lines.buffer.byteLength === gatherMaxBytes && passed.length < freeMax) passed.push(lines.buffer);
        pass(lines);
      },
      written() {
        const next = free.pop();
        return next === undefined ? undefined : Buffer.from(next);
      },
    },
    async close() {
      // Not written synchronously: that would overtake a write in flight.
      await new Promise<void>((resolve) => {
        const end = (): void => {
          clearTimeout(late);
          resolve();
        };
        const late = setTimeout(end, closeMs);
        destination.once('close', end);
        destination.once('error', end);
        destination.end();
      });
      closed = true;
    },
  };
}

/** Opens the log. @param to file descriptor, path, or what takes the lines @param iso times as RFC 3339 */
export function createLog(
  level: ObserveSettings['log'],
  to: number | string | LineSink = 1,
  iso = false,
): LogSink {
  const sink = typeof to === 'object' ? to : openFile(to);
  // Lines are gathered here, since pino's destination would measure everything it holds again for each line.
  const lines = createLineBytes(gatherMaxBytes, sink.own?.pass ?? sink.pass, sink.own?.written);
  const timestamp = iso ? pino.stdTimeFunctions.isoTime : true;
  const stream: LogStream = { write: lines.text, lines };
  const log = pino({ level, base: null, timestamp }, stream);
  const timer = setInterval(lines.flush, flushEveryMs);
  timer.unref();
  return {
    log,
    setLevel: (next) => {
      log.level = next;
    },
    pass: sink.pass,
    flush: lines.flush,
    async close() {
      clearInterval(timer);
      lines.flush();
      await sink.close();
    },
  };
}
