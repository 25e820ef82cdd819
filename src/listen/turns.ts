/**
 * The requests of one connection of Node's server, answered one at a time and in order, as in the lane. That server
 * reads ahead: without this, a later request would run beside an earlier one, write into its reply, or be served after
 * a reply that ended the connection (RFC 9112, section 9.6).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request that has its turn. */
export interface Turn {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The client waits for `100 Continue` before it sends the body. */
  readonly expects: boolean;
}

/**
 * Requests that may wait on one connection before it is paused, and the bytes of their bodies. What was read by then waits
 * too: up to 64 KiB, which may be thousands of short requests.
 */
const waitingMax = 16;
const waitingMaxBytes = 64 * 1024;
/** Requests that may wait on all connections together, of which each takes some KiB. */
export const crowdMax = 4096;

/** All requests of a port that wait for an earlier one of their connection. */
export interface Crowd {
  waiting: number;
}

/** The turns of one connection. */
export class Turns {
  readonly #socket: Socket;
  readonly #serve: (turn: Turn, turns: Turns) => void;
  readonly #onFault: (error: Error, last: ServerResponse | undefined) => void;
  readonly #crowd: Crowd;
  readonly #waiting: Turn[] = [];
  /** Bytes of the bodies of those that wait. */
  #waitingBytes = 0;
  #paused = false;
  #current: Turn | null = null;
  /** The latest request, for the dialect of an error below the level of requests. */
  #last: Turn | null = null;
  #closing = false;
  /** What stands behind the requests received so far can't be read. */
  #fault: Error | null = null;

  /**
   * @param crowd counts those that wait, of all connections
   * @param serve answers a request whose turn it is
   * @param onFault answers bytes that are no request, in place of the reply `last`, or behind all (undefined)
   */
  constructor(
    socket: Socket,
    crowd: Crowd,
    serve: (turn: Turn, turns: Turns) => void,
    onFault: (error: Error, last: ServerResponse | undefined) => void,
  ) {
    this.#socket = socket;
    this.#crowd = crowd;
    this.#serve = serve;
    this.#onFault = onFault;
  }

  /** Every request received so far is answered. */
  get idle(): boolean {
    return this.#current === null;
  }

  /** The latest request, answered or not; undefined: there was none. */
  get latest(): IncomingMessage | undefined {
    return this.#last?.req;
  }

  /** Takes the next request of the connection. */
  add(turn: Turn): void {
    if (this.#closing) return;
    this.#last = turn;
    // Node drops what stands behind such a request, so the bytes that follow may begin anywhere.
    if (turn.req.headers.upgrade !== undefined) this.#closing = true;
    if (this.#current === null) return this.#start(turn);
    // Whoever sends so much ahead of its replies gets none of them.
    if (this.#crowd.waiting >= crowdMax) return void this.#socket.destroy();
    this.#waiting.push(turn);
    this.#count(1, turn);
  }

  /** Ends the connection after the current reply: nothing further is read. */
  close(): void {
    this.#closing = true;
    this.#leave();
    const res = this.#current?.res;
    if (res !== undefined && !res.headersSent) res.shouldKeepAlive = false;
  }

  /**
   * Bytes that Node's parser refuses, or a request that takes too long. It is answered behind earlier replies, and once:
   * Node says it again of whatever else the client is sending, which is discarded.
   */
  fail(error: Error & { code?: string }): void {
    if (this.#fault !== null) return;
    this.#fault = error;
    const [current, last] = [this.#current, this.#waiting.at(-1) ?? this.#current];
    if (current === null || last === null || error.code === 'ECONNRESET')
      return this.#onFault(error, undefined);
    this.#closing = true;
    // The fault is in the request that is being read, or behind all of them.
    if (last === current && !last.req.complete) return this.#onFault(error, last.res);
    const torn = last.req.complete ? undefined : this.#waiting.pop();
    if (torn !== undefined) this.#count(-1, torn);
  }

  #start(turn: Turn): void {
    this.#current = turn;
    if (this.#closing && this.#waiting.length === 0 && this.#fault === null) turn.res.shouldKeepAlive = false;
    turn.res.on('close', this.#next);
    this.#serve(turn, this);
  }

  readonly #next = (): void => {
    this.#current = null;
    if (this.#socket.destroyed || this.#socket.writableEnded) {
      return this.#leave();
    }
    const next = this.#waiting.shift();
    if (next !== undefined) {
      this.#count(-1, next);
      this.#start(next);
    } else if (this.#fault !== null) this.#onFault(this.#fault, undefined);
  };

  /** Nobody waits any more. */
  #leave(): void {
    this.#crowd.waiting -= this.#waiting.length;
    this.#waiting.length = 0;
  }

  /** One more waits, or one less, and the connection is read or not. */
  #count(change: 1 | -1, { req }: Turn): void {
    this.#crowd.waiting += change;
    this.#waitingBytes += change * bodyBytes(req);
    const full = this.#waiting.length >= waitingMax || this.#waitingBytes >= waitingMaxBytes;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }
}

/** Length of a body; one in chunks may be any. */
const bodyBytes = ({ headers }: IncomingMessage): number =>
  headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : waitingMaxBytes;
