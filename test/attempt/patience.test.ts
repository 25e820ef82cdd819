/** The timeout that gives back what the process itself lost. Stalls are real: the loop is blocked. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Patience } from '../../src/attempt/patience.ts';

const clock = (): number => performance.now();

/** Blocks the event loop. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

interface Watched {
  refresh(): void;
  cancel(): void;
  readonly late: Promise<number>;
  fired(): boolean;
}

function watched(waitMs: number): Watched {
  const { promise, resolve } = Promise.withResolvers<number>();
  let fired = false;
  const sinceMs = clock();
  const patience = new Patience(
    waitMs,
    () => {
      fired = true;
      resolve(clock() - sinceMs);
    },
    clock,
  );
  onTestFinished(() => patience.cancel());
  return {
    refresh: () => patience.refresh(),
    cancel: () => patience.cancel(),
    late: promise,
    fired: () => fired,
  };
}

test('silence for the whole time is late', async () => {
  const lateMs = await watched(20).late;
  expect(lateMs).toBeGreaterThanOrEqual(19);
  expect(lateMs).toBeLessThan(70);
});

test('refreshed in time it never is', async () => {
  const patience = watched(40);
  for (let i = 0; i < 6; i++) {
    await sleep(15);
    patience.refresh();
  }
  expect(patience.fired()).toBe(false);
});

test('the time of a stall is given back', async () => {
  const patience = watched(100);
  stall(250);
  await sleep(50);
  expect(patience.fired()).toBe(false);
  // Late by 150 ms, of which no more than the whole time is given back.
  expect(await patience.late).toBeGreaterThanOrEqual(340);
});

test('what was there when a stall ended counts, though timers run before sockets are read', async () => {
  const patience = watched(30);
  stall(60);
  setImmediate(() => patience.refresh());
  await sleep(10);
  expect(patience.fired()).toBe(false);
});

test('after a stall a refresh gives the whole time again, not only what was given back', async () => {
  const patience = watched(200);
  stall(260);
  await sleep(10);
  patience.refresh();
  await sleep(120);
  expect(patience.fired()).toBe(false);
});

test('cancelled it is silent, also between lateness and its verdict', async () => {
  const patience = watched(10);
  stall(15);
  setImmediate(() => patience.cancel());
  await sleep(30);
  expect(patience.fired()).toBe(false);
});
