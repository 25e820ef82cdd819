/**
 * Loaded by tests into a sidecar's process before its program (`--import`): on SIGUSR2 the event loop stands still
 * for two seconds, as it would under a long garbage collection or on a machine that was paused.
 */
import { writeSync } from 'node:fs';

/** How long the loop stands still. */
export const stallMs = 2000;

process.on('SIGUSR2', () => {
  writeSync(2, 'stall begins\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
  writeSync(2, 'stall ends\n');
});
