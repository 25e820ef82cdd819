/** The log, as the rooms see it. */
import type { Logger } from 'pino';

export type Log = Logger;
