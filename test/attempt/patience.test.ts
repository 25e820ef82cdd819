/**
 * The timeout that gives back what the process itself lost. The event loop is turned by hand, so that nothing depends on
 * how busy the machine is; `test/faults/stall.test.ts` has real stalls.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Patience } from '../../src/attempt/patience.ts';

interface Timer {
  dueMs: number;
  refresh(): void;
}

/** Node's event loop: timers that are due, then what has arrived, then immediates. Time passes only where a test says so. */
function createLoop() {
  let nowMs = 1000;
  const timers = new Map<Timer, () => void>();
  const immediates = new Map<object, () => void>();
  const runAll = (due: Map<object, () => void>): void => {
    for (const [key, run] of [...due]) if (due.delete(key)) run();
  };

  /** One turn; all timers that are due fire, however late. */
  const turn = (arrives: () => void = () => {}): void => {
    for (const [timer, run] of [...timers]) if (timer.dueMs <= nowMs && timers.delete(timer)) run();
    arrives();
    runAll(immediates);
  };

  return {
    clock: () => nowMs,
    setTimeout(run: (argument: unknown) => void, ms: number, argument: unknown): Timer {
      const timer: Timer = {
        dueMs: nowMs + ms,
        refresh() {
          timer.dueMs = nowMs + ms;
          timers.set(timer, call);
        },
      };
      const call = (): void => run(argument);
      timers.set(timer, call);
      return timer;
    },
    clearTimeout: (timer: Timer) => void timers.delete(timer),
    setImmediate(run: () => void): object {
      const key = {};
      immediates.set(key, run);
      return key;
    },
    clearImmediate: (key: object) => void immediates.delete(key),
    /** Time passes while the loop turns freely. */
    pass(ms: number): void {
      for (let i = 0; i < ms; i++) {
        nowMs++;
        turn();
      }
    },
    /** The loop stands still, then turns once. @param arrives what had come meanwhile */
    stall(ms: number, arrives?: () => void): void {
      nowMs += ms;
      turn(arrives);
    },
  };
}

let loop: ReturnType<typeof createLoop>;
beforeEach(() => {
  loop = createLoop();
  for (const name of ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] as const)
    vi.stubGlobal(name, loop[name]);
});
afterEach(() => {
  vi.unstubAllGlobals();
});

interface Watched {
  readonly patience: Patience;
  fired(): boolean;
}

function watched(waitMs: number): Watched {
  let times = 0;
  const patience = new Patience(waitMs, () => times++, loop.clock);
  return {
    patience,
    fired() {
      expect(times).toBeLessThanOrEqual(1);
      return times === 1;
    },
  };
}

test('silence for the whole time is late', () => {
  const { fired } = watched(20);
  loop.pass(19);
  expect(fired()).toBe(false);
  loop.pass(1);
  expect(fired()).toBe(true);
  loop.pass(100);
  expect(fired()).toBe(true);
});

test('refreshed in time it never is', () => {
  const { patience, fired } = watched(40);
  for (let i = 0; i < 6; i++) {
    loop.pass(39);
    patience.refresh();
  }
  loop.pass(39);
  expect(fired()).toBe(false);
});

test('the time of a stall is given back', () => {
  const { fired } = watched(100);
  loop.stall(250);
  // Late by 150 ms, of which no more than the whole time is given back.
  loop.pass(99);
  expect(fired()).toBe(false);
  loop.pass(1);
  expect(fired()).toBe(true);
});

test('one stall after the other ends the wait all the same, after twice its time', () => {
  const { patience, fired } = watched(100);
  for (let i = 0; i < 3; i++) loop.stall(160);
  expect([fired(), loop.clock()]).toEqual([true, 1480]);
  const refreshed = watched(100);
  for (let i = 0; i < 8; i++) loop.stall(160, i === 1 ? () => refreshed.patience.refresh() : undefined);
  expect(refreshed.fired()).toBe(true);
  patience.cancel();
});

test('what was there when a stall ended counts, though timers run before sockets are read', () => {
  const { patience, fired } = watched(30);
  loop.stall(60, () => patience.refresh());
  loop.pass(29);
  expect(fired()).toBe(false);
  loop.pass(1);
  expect(fired()).toBe(true);
});

test('after a stall a refresh gives the whole time again, not only what was given back', () => {
  const { patience, fired } = watched(200);
  loop.stall(260);
  loop.pass(10);
  patience.refresh();
  loop.pass(199);
  expect(fired()).toBe(false);
  loop.pass(1);
  expect(fired()).toBe(true);
});

test('cancelled it is silent, also between lateness and its verdict', () => {
  const { patience, fired } = watched(10);
  loop.stall(15, () => patience.cancel());
  loop.pass(30);
  expect(fired()).toBe(false);
  const waiting = watched(10);
  waiting.patience.cancel();
  loop.pass(30);
  expect(waiting.fired()).toBe(false);
});

test('cancelled it stays silent, whatever arrives afterwards in the same turn', () => {
  const { patience, fired } = watched(10);
  loop.stall(15, () => {
    patience.cancel();
    patience.refresh();
  });
  loop.pass(30);
  expect(fired()).toBe(false);
});
