/** What a sidecar takes from the world around it: clocks, randomness, threads and the environment, replaceable in tests. */
import { EventEmitter } from 'node:events';
import { type ResourceLimits, Worker } from 'node:worker_threads';

import type { Variables } from './proxy.ts';

/** A worker thread, as far as it is used here. */
export type Thread = Pick<Worker, 'postMessage' | 'terminate' | 'unref'> & EventEmitter;

/** Clocks, randomness, threads and the environment. */
export interface World {
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Unix time in ms. */
  readonly wallClock: () => number;
  /** A number from 0 up to, but not including, 1. */
  readonly random: () => number;
  /**
   * Starts a worker thread. Never throws: one that can't be started, for example at a limit of processes, emits `error`.
   * @param limits of its memory; undefined: those of the process
   */
  readonly startThread: (script: URL, limits?: ResourceLimits) => Thread;
  /** Variables of the environment. */
  readonly env: Variables;
  /** Called when a provider refuses a key of the gateway: the file that holds it may hold another by now. */
  readonly onKeyRefused: () => void;
  /** Whether people read the log at a terminal. */
  readonly terminal: boolean;
}

/** A thread that could not be started. */
function noThread(cause: unknown): Thread {
  const thread = new EventEmitter();
  setImmediate(() => thread.emit('error', cause));
  return Object.assign(thread, { postMessage: () => {}, unref: () => {}, terminate: async () => 0 });
}

function startThread(script: URL, limits?: ResourceLimits): Thread {
  try {
    return new Worker(script, limits === undefined ? {} : { resourceLimits: limits });
  } catch (cause) {
    return noThread(cause);
  }
}

/** The world as it is. */
export const realWorld: World = {
  clock: () => performance.now(),
  wallClock: Date.now,
  random: Math.random,
  startThread,
  env: process.env,
  onKeyRefused: () => {},
  terminal: false,
};
