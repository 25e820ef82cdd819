/**
 * Shares the event loop between streams. In each of its turns, only so much time is spent on them; then everything else
 * has its turn. A stream whose bytes have to wait is paused at its provider, and those that wait go on in their order.
 */

/** The turns of one process's streams. */
export interface StreamTurns {
  /** Whether a stream may be read now: there is time left, and none waits. */
  mayRead(): boolean;
  /** Calls back when the stream may be read, in this turn or a later one. */
  wait(read: () => void): void;
}

/** Time for streams in one turn of the event loop. */
const turnMs = 4;

/** Creates them. @param clock monotonic ms */
export function createStreamTurns(clock: () => number): StreamTurns {
  let waiting: (() => void)[] = [];
  let sinceMs = 0;
  /** The next turn will be noticed. */
  let scheduled = false;

  const schedule = (): void => {
    scheduled = true;
    setImmediate(turn);
  };

  const turn = async (): Promise<void> => {
    sinceMs = clock();
    const now = waiting;
    // One at least goes on in each turn.
    let read = 0;
    for (; read < now.length && (read === 0 || clock() - sinceMs < turnMs); read++) {
      now[read]?.();
      // What is done with the bytes takes its time too.
      await null;
    }
    // Others may have begun to wait meanwhile: they are behind these.
    waiting = now.slice(read);
    if (waiting.length > 0) schedule();
    else scheduled = false;
  };

  return {
    mayRead() {
      if (waiting.length > 0) return false;
      if (scheduled) return clock() - sinceMs < turnMs;
      sinceMs = clock();
      schedule();
      return true;
    },
    wait(read) {
      waiting.push(read);
      if (!scheduled) schedule();
    },
  };
}

/** Stops and starts the provider of a stream. */
export interface Flow {
  pause(): void;
  resume(): void;
}

/** The place of one stream among the others. */
export class StreamPlace {
  readonly #turns: StreamTurns;
  readonly #read: (chunk: Buffer) => void;
  readonly #flow: Flow;
  #unread: Buffer[] = [];

  /** @param read called for each chunk, in order */
  constructor(turns: StreamTurns, read: (chunk: Buffer) => void, flow: Flow) {
    this.#turns = turns;
    this.#read = read;
    this.#flow = flow;
  }

  /** Whether there are bytes whose turn has not come. */
  get waits(): boolean {
    return this.#unread.length > 0;
  }

  /** Takes bytes, to be read when it is their turn. */
  arrive(chunk: Buffer): void {
    if (!this.waits && this.#turns.mayRead()) return this.#read(chunk);
    this.#unread.push(chunk);
    if (this.#unread.length > 1) return;
    this.#flow.pause();
    this.#turns.wait(() => {
      this.readAll();
      this.#flow.resume();
    });
  }

  /** Reads at once what waits. */
  readAll(): void {
    const chunks = this.#unread;
    this.#unread = [];
    for (const chunk of chunks) this.#read(chunk);
  }
}
