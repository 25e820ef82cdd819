/** The log: JSON lines on standard output, written in the background. */
import { type Logger, pino } from 'pino';
import type { Config } from '../config/schema.ts';

export type Log = Logger;

/** Bytes gathered before a write; less when the timer below comes first. */
const gatherBytes = 4096;
const flushEveryMs = 250;

export interface LogSink {
  readonly log: Log;
  setLevel(level: Config['observe']['log']): void;
  /** Writes what is gathered, without waiting. */
  flush(): void;
  /** Writes what is gathered, and waits for it; for the way out. */
  close(): void;
}

/** @param fd file descriptor or path written to */
export function createLog(level: Config['observe']['log'], fd: number | string = 1): LogSink {
  const destination = pino.destination({ dest: fd, sync: false, minLength: gatherBytes });
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  const timer = setInterval(() => destination.flush(), flushEveryMs);
  timer.unref();
  return {
    log,
    setLevel: (next) => {
      log.level = next;
    },
    flush: () => destination.flush(),
    close() {
      clearInterval(timer);
      try {
        destination.flushSync();
      } catch {
        // A closed pipe: nobody reads the rest.
      }
    },
  };
}
