/** Passes messages, pings and pongs from one WebSocket to another, at the pace at which they are taken. */
import type { WebSocket } from 'ws';

/** Bytes that wait for a slow peer before the other one is no longer read, and until it is again. */
const waitingMaxBytes = 256 * 1024;
const waitingLowBytes = 64 * 1024;
/** What a frame takes besides its data; pings have little else. */
const frameBytes = 14;

/** One way of a session. */
export interface Pipe {
  /** Passes a message on. */
  message(data: Buffer, binary: boolean): void;
  /** Whether nothing more is read for now, whoever takes it. */
  hold(held: boolean): void;
  /** The session ends: whatever waits, its closing must be read. */
  close(): void;
  /** After `close`: calls back once all that waits was taken, or nothing more of it for as long as a peer may stall. */
  emptied(then: () => void): void;
}

/**
 * Passes pings and pongs on, too.
 * @param stallMs for which a peer may take nothing while as much waits for it as may
 * @param onStall called when that is over
 */
export function createPipe(from: WebSocket, to: WebSocket, stallMs: number, onStall: () => void): Pipe {
  let waiting = 0;
  let full = false;
  let held = false;
  let paused = false;
  let stall: NodeJS.Timeout | undefined;
  let onEmpty: (() => void) | null = null;

  const read = (): void => {
    const pauses = full || held;
    if (pauses === paused) return;
    paused = pauses;
    if (paused) from.pause();
    else from.resume();
  };
  const fill = (bytes: number): void => {
    waiting += bytes;
    // It takes what it gets, if slowly.
    if (bytes < 0) stall?.refresh();
    if (onEmpty !== null) {
      if (waiting === 0) onEmpty();
      return;
    }
    if (!full && waiting > waitingMaxBytes) {
      full = true;
      stall = setTimeout(onStall, stallMs);
    } else if (full && waiting <= waitingLowBytes) {
      full = false;
      clearTimeout(stall);
    }
    read();
  };
  const sending = (data: Buffer): (() => void) => {
    const bytes = data.length + frameBytes;
    fill(bytes);
    return () => fill(-bytes);
  };
  const isOpen = (): boolean => to.readyState === to.OPEN;
  from.on('ping', (data) => {
    if (isOpen()) to.ping(data, undefined, sending(data));
  });
  from.on('pong', (data) => {
    if (isOpen()) to.pong(data, undefined, sending(data));
  });
  return {
    message(data, binary) {
      if (isOpen()) to.send(data, { binary }, sending(data));
    },
    hold(yes) {
      held = yes;
      read();
    },
    close() {
      clearTimeout(stall);
      from.resume();
    },
    emptied(then) {
      if (waiting === 0) return then();
      onEmpty = () => {
        clearTimeout(stall);
        onEmpty = null;
        then();
      };
      stall = setTimeout(onEmpty, stallMs);
    },
  };
}
