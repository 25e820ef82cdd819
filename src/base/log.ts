/** The type of the log that every room writes to. */
import type { Logger } from 'pino';

export type Log = Logger;
