/** The type of the log that every room writes to, and of what its lines go to. */
import type { Logger } from 'pino';
import type { LineBytes } from './line-bytes.ts';

export type Log = Logger;

/** Where pino writes its lines to. */
export interface LogStream {
  write(line: string): void;
  /** Takes lines as bytes, too. */
  readonly lines?: LineBytes;
}
