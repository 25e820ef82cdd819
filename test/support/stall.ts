/**
 * Loaded by tests into a sidecar's process before its program (`--import`): on SIGUSR2 it blocks the event loop for
 * two seconds, like a long garbage collection or a paused machine.
 */
import { writeSync } from 'node:fs';

/** How long the loop is blocked, in ms. */
export const stallMs = 2000;

process.on('SIGUSR2', () => {
  writeSync(2, 'stall begins\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
  writeSync(2, 'stall ends\n');
});
