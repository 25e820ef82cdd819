/** The log: JSON lines on standard output, written in the background. */

import { pino } from 'pino';
import type { Log } from '../base/log.ts';
import type { ObserveSettings } from './settings.ts';

/** Bytes gathered before a write; less when the timer below comes first. */
const gatherMaxBytes = 64 * 1024;

const flushEveryMs = 250;

/** What may wait for a standard output that nobody reads; more is dropped, since the log must not end the process. */
const waitingMaxBytes = 16 * 1024 * 1024;

export interface LogSink {
  readonly log: Log;
  setLevel(level: ObserveSettings['log']): void;
  /** Writes what is gathered, without waiting. */
  flush(): void;
  /** Writes what is gathered, and waits for it; for the way out. */
  close(): void;
}

/** @param fd file descriptor or path written to */
export function createLog(level: ObserveSettings['log'], fd: number | string = 1): LogSink {
  const destination = pino.destination({
    dest: fd,
    sync: false,
    maxLength: waitingMaxBytes,
    contentMode: 'buffer',
  });
  // A full disk or a closed pipe must not end the process, nor keep it from ending: what can't be written waits, beyond
  // the bound it is dropped, and the last words are left unsaid, as writing them would be tried for ever.
  const flushSync = destination.flushSync.bind(destination);
  destination.on('error', () => {
    destination.flushSync = () => {};
  });
  destination.on('write', () => {
    destination.flushSync = flushSync;
  });
  // In a buffer destination's mode this is what it takes, whatever its type says.
  const pass = (bytes: Buffer): unknown => destination.write(bytes as unknown as string);
  // Gathered here, since pino's destination measures all it holds again for each line, and as bytes, since a string
  // of joined lines would be copied twice more on its way out.
  let gathered = Buffer.allocUnsafeSlow(gatherMaxBytes);
  let length = 0;
  const flush = (): void => {
    if (length === 0) return;
    pass(gathered.subarray(0, length));
    gathered = Buffer.allocUnsafeSlow(gatherMaxBytes);
    length = 0;
  };
  const write = (line: string): void => {
    // No character takes more than three bytes for each of its units.
    const mostBytes = line.length * 3;
    if (length + mostBytes > gatherMaxBytes) flush();
    if (mostBytes > gatherMaxBytes) pass(Buffer.from(line));
    else length += gathered.write(line, length);
  };
  const log = pino({ level, base: null }, { write });
  const timer = setInterval(flush, flushEveryMs);
  timer.unref();
  return {
    log,
    setLevel: (next) => {
      log.level = next;
    },
    flush,
    close() {
      clearInterval(timer);
      try {
        flush();
        destination.flushSync();
      } catch {
        // A closed pipe: nobody reads the rest.
      }
    },
  };
}
