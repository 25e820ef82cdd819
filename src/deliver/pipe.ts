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
  /** Reads on, whatever waits: the session ends, and its closing must be read. */
  open(): void;
  close(): void;
}

/**
 * Passes pings and pongs on, too.
 * @param stallMs for which a peer may take nothing while as much waits for it as may
 * @param onStall called when that is over
 */
export function createPipe(from: WebSocket, to: WebSocket, stallMs: number, onStall: () => void): Pipe {
  let waiting = 0;
  let paused = false;
  let ended = false;
  let stall: NodeJS.Timeout | null = null;

  const resume = (): void => {
    if (!paused) return;
    paused = false;
    if (stall !== null) clearTimeout(stall);
    from.resume();
  };
  const sending = (data: Buffer): (() => void) => {
    const bytes = data.length + frameBytes;
    waiting += bytes;
    if (waiting > waitingMaxBytes && !paused && !ended) {
      paused = true;
      from.pause();
      stall = setTimeout(onStall, stallMs);
    }
    return () => {
      waiting -= bytes;
      // It takes what it gets, if slowly.
      stall?.refresh();
      if (waiting <= waitingLowBytes) resume();
    };
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
    open: resume,
    close() {
      ended = true;
      resume();
      if (stall !== null) clearTimeout(stall);
    },
  };
}
