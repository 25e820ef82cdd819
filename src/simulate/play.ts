/** Plays a script on a response: writes as fast as the client reads, waits by the clock, stops if the client leaves. */
import type { ServerResponse } from 'node:http';
import type { Clock } from './exchange.ts';
import type { Action } from './script.ts';

/** The system's clocks and timers. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, then) {
    const timer = setTimeout(then, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Shorter waits are added to the next one, as timers are no finer. */
const timerLeastMs = 1;

/** Plays the whole script, or until the client leaves. */
export function play(response: ServerResponse, actions: Iterator<Action>, clock: Clock): void {
  let cancel: (() => void) | null = null;
  let dueMs = clock.nowMs();
  response.once('close', () => {
    cancel?.();
    actions.return?.();
  });
  const run = (): void => {
    cancel = null;
    while (!response.destroyed) {
      const next = actions.next();
      if (next.done) return;
      const action = next.value;
      switch (action.do) {
        case 'head':
          response.writeHead(action.status, [...action.headers]);
          response.flushHeaders();
          break;
        case 'write':
          if (!response.write(action.bytes)) {
            response.once('drain', run);
            return;
          }
          break;
        case 'wait': {
          // Counted from when it was due, so that late timers don't add up.
          dueMs += action.ms;
          const leftMs = dueMs - clock.nowMs();
          if (leftMs < timerLeastMs) break;
          cancel = clock.after(leftMs, run);
          return;
        }
        case 'settle':
          // If this process stalled, the timer fires before a client in the same process has read:
          // two more turns of the event loop give it time.
          cancel = clock.after(action.ms, () => setImmediate(() => setImmediate(run)));
          return;
        case 'end':
          response.end();
          return;
        case 'reset':
          response.socket?.resetAndDestroy();
          return;
      }
    }
  };
  run();
}
