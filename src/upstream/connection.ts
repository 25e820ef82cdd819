/**
 * One HTTP/1.1 connection to a provider, on the socket itself, which carries one request at a time. A miss takes a fifth
 * less CPU time than with undici's client, to which unusual replies are left.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Opened } from './open-socket.ts';
import { Replayed } from './replayed.ts';
import { ReplyReader, type ReplySink } from './reply-reader.ts';
import type { UpstreamSend } from './request-head.ts';
import {
  closedCode,
  faultOf,
  malformedCode,
  markReused,
  type ReplyHandler,
  type Sending,
} from './sending.ts';
import { flowBytes } from './shares.ts';
import { awaitTurn, isTurnFull, takeTurn, turnBytes, type Waiter } from './turns.ts';

/** Whoever keeps a connection. */
export interface ConnectionOwner {
  /** Its reply has ended: it can carry another request for `keptMs`. */
  onFree(connection: Connection): void;
  /** It carries no more. */
  onGone(connection: Connection): void;
  /** It carries no more, and this request wasn't sent on it. */
  onUnsent(sent: Sent): void;
  /** Its provider speaks HTTP/2 on this socket; the request wasn't sent. */
  onHttp2(socket: Socket, sent: Sent): void;
  /** Its reply is unusual; `replayed` gives it from its beginning, and takes the request without sending it again. */
  onUnusual(replayed: Duplex, sent: Sent): void;
}

/** All sockets read into this buffer, one after the other, so it stays in the CPU's cache. */
const shared = Buffer.allocUnsafeSlow(64 * 1024);
/** Where many streams share their memory: translated, a read of 64 KiB becomes twice as much. */
const half = shared.subarray(0, 32 * 1024);
const owners = new WeakMap<object, Connection>();

/** Option of a socket whose connection takes what it reads from the shared buffer. */
export const readShared = {
  /** Called when a socket is opened, and after each read. */
  buffer: (): Buffer => (flowBytes() < half.length ? half : shared),
  callback(this: unknown, count: number): boolean {
    const bytes = shared.subarray(0, count);
    const owner = owners.get(this as object);
    if (owner !== undefined) return owner.read(bytes);
    // A provider of HTTP/2 may speak before its socket is handed on: TLS gives what it read even to a paused socket.
    (this as Socket).push(Buffer.from(bytes));
    return true;
  },
};

/**
 * Most requests are put together in this buffer. A write is either finished when the call returns, or its bytes count in
 * `writableLength`, and then the next request gets a new buffer.
 */
const scratchBytes = 16 * 1024;
let scratch = Buffer.allocUnsafeSlow(scratchBytes);

/** A request on its connection. */
export class Sent implements Sending, ReplySink {
  readonly request: UpstreamSend;
  readonly head: string;
  readonly handler: ReplyHandler;
  aborted = false;
  paused = false;
  /** Null: it isn't sent yet, or not under way any more. */
  connection: Connection | null = null;

  constructor(request: UpstreamSend, head: string, handler: ReplyHandler) {
    this.request = request;
    this.head = head;
    this.handler = handler;
  }

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.connection?.abort();
  }

  pause(): void {
    this.paused = true;
    this.connection?.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.connection?.resume();
  }

  onHead(status: number, headers: IncomingHttpHeaders): void {
    this.handler.onResponseStart(this, status, headers);
  }

  onBody(bytes: Buffer): void {
    if (!this.aborted) this.handler.onResponseData(this, bytes);
  }
}

/** Reads of a stream that are shorter, such as single tokens, wait for nothing. */
const largeBytes = 4096;

/** A connection, which opens with its first request. */
export class Connection implements Waiter {
  /** When it is closed if it stays idle, on the owner's clock, ms. */
  idleUntilMs = 0;
  readonly #open: (done: Opened) => void;
  readonly #owner: ConnectionOwner;
  readonly #reader = new ReplyReader();
  #socket: Socket | null = null;
  #sent: Sent | null = null;
  #requests = 0;
  /** Nothing came since the last request was sent. */
  #silent = true;
  /** Its last reply ended in this turn of the event loop: a request waits for the next one. */
  #resting = false;
  #closing = false;
  #gone = false;
  /** Takes the bytes of an unusual reply. */
  #replayed: Replayed | null = null;
  /** It waits for its turn, and isn't read. */
  #waits = false;
  /** What was read when the turn was full. */
  #held: Buffer | null = null;
  /** It has its turn, and what is read next is taken. */
  #hasTurn = false;

  constructor(open: (done: Opened) => void, owner: ConnectionOwner) {
    this.#open = open;
    this.#owner = owner;
  }

  /** How long it may be kept idle, ms. */
  get keptMs(): number {
    return this.#reader.keptMs;
  }

  /** Sends a request; there must be none under way. */
  send(sent: Sent): void {
    this.#sent = sent;
    if (this.#socket === null) this.#open((error, socket) => this.#opened(error, socket));
    else if (!this.#resting) this.#write(this.#socket, sent);
  }

  /** Closes it, after the reply under way. */
  close(): void {
    this.#closing = true;
    if (this.#sent === null && this.#replayed === null) this.#leave();
  }

  /** Takes what was read, which may be overwritten afterwards, or holds it until its turn. False: it isn't read on. */
  read(bytes: Buffer): boolean {
    // TLS gives on all of what it has read.
    if (this.#waits || this.#held !== null) return this.#hold(bytes);
    const isLarge = bytes.length >= largeBytes && this.#streams;
    if (isLarge && !this.#hasTurn && !takeTurn(bytes.length)) return this.#hold(bytes);
    this.#hasTurn = false;
    this.take(bytes);
    // A socket that was paused before it began to read would read on.
    if (this.paused) return false;
    if (!isLarge || !isTurnFull() || !this.#streams) return true;
    this.#wait();
    return false;
  }

  get #streams(): boolean {
    return this.#sent?.handler.streams === true;
  }

  #hold(bytes: Buffer): false {
    this.#held = this.#held === null ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
    this.#wait();
    return false;
  }

  #wait(): void {
    if (!this.#waits) awaitTurn(this);
    this.#waits = true;
  }

  goOn(): number {
    this.#waits = false;
    if (this.#gone || this.paused) return 0;
    const bytes = this.#takeHeld();
    if (bytes > 0 && this.#streams) {
      // What else its provider has sent waits for another turn.
      if (!this.paused) this.#wait();
      return bytes;
    }
    this.#hasTurn = bytes === 0;
    this.#socket?.resume();
    return bytes || turnBytes;
  }

  /** Takes what is held, and gives its length. */
  #takeHeld(): number {
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.take(held);
    return held?.length ?? 0;
  }

  /** Takes what was read; it may be overwritten afterwards. */
  take(bytes: Buffer): void {
    if (this.#replayed !== null) return this.#replayed.give(bytes);
    const sent = this.#sent;
    // Nobody asked for it.
    if (sent === null || this.#resting) return this.#drop();
    this.#silent = false;
    try {
      const outcome = this.#reader.read(bytes, sent);
      if (this.#sent !== sent || outcome === 'more') return;
      if (outcome === 'ended') this.#end(sent);
      else if (outcome === 'unusual') this.#replay(sent);
      else this.#fail(faultOf(malformedCode, 'the reply is not HTTP/1.1'));
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Gives the request up that was sent. */
  abort(): void {
    this.#sent = null;
    this.#leave();
  }

  /** The request under way takes no more for now. */
  get paused(): boolean {
    return this.#sent?.paused === true;
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    if (this.#held !== null) this.#wait();
    else if (!this.#waits) this.#socket?.resume();
  }

  #opened(error: Error | null, socket: Socket | null): void {
    const sent = this.#sent;
    if (error !== null || socket === null || sent === null)
      return this.#fail(error ?? faultOf(closedCode, 'no socket'));
    this.#socket = socket;
    if ((socket as { alpnProtocol?: unknown }).alpnProtocol === 'h2') {
      this.#sent = null;
      this.#socket = null;
      this.#leave();
      // What it says stays with it until somebody reads it.
      socket.pause();
      return this.#owner.onHttp2(socket, sent);
    }
    owners.set(socket, this);
    socket.on('error', (fault) => this.#broken(fault));
    socket.on('end', () => this.#closedByPeer());
    socket.on('close', () => this.#closedByPeer());
    // A socket through a proxy comes paused.
    socket.on('data', (bytes: Buffer) => this.take(bytes)).resume();
    this.#write(socket, sent);
  }

  #write(socket: Socket, sent: Sent): void {
    this.#reader.begin();
    this.#requests += 1;
    this.#silent = true;
    sent.handler.onRequestStart(sent);
    if (sent.aborted) {
      this.#sent = null;
      return this.#free();
    }
    sent.connection = this;
    socket.ref();
    const { head } = sent;
    const body = sent.request.body ?? noBody;
    const length = head.length + body.length;
    if (length > scratchBytes) {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body);
      return socket.uncork();
    }
    // TLS takes its bytes later, always.
    const bytes = socket instanceof TLSSocket ? Buffer.allocUnsafe(length) : scratch.subarray(0, length);
    bytes.write(head, 'latin1');
    body.copy(bytes, head.length);
    socket.write(bytes);
    if (bytes.buffer === scratch.buffer && socket.writableLength > 0)
      scratch = Buffer.allocUnsafeSlow(scratchBytes);
  }

  #end(sent: Sent): void {
    this.#sent = null;
    sent.connection = null;
    if (sent.paused) this.#socket?.resume();
    // Of a request that wasn't read to its end, the rest would be taken for the next one's.
    if (this.#reader.keptMs > 0 && this.#socket?.writableLength === 0) this.#rest();
    else this.#leave();
    sent.handler.onResponseEnd();
  }

  /**
   * Free, but it sends nothing in this turn of the event loop: TLS gives on each record by itself, so what else came
   * with the reply would be taken for that of a request sent meanwhile.
   */
  #rest(): void {
    this.#resting = true;
    setImmediate(() => {
      this.#resting = false;
      if (this.#socket !== null && this.#sent !== null) this.#write(this.#socket, this.#sent);
    });
    this.#free();
  }

  /** Closes it. A request that waits here goes to another one. */
  #drop(): void {
    const sent = this.#sent;
    this.#sent = null;
    if (sent !== null) this.#owner.onUnsent(sent);
    this.#leave();
  }

  #free(): void {
    if (this.#closing || this.#gone) return this.#leave();
    this.#socket?.unref();
    this.#owner.onFree(this);
  }

  #broken(fault: Error): void {
    this.#takeHeld();
    this.#fail(fault);
  }

  #closedByPeer(): void {
    this.#takeHeld();
    if (this.#replayed !== null) return this.#replayed.close();
    const sent = this.#sent;
    if (sent !== null && this.#reader.endsByClosing) return this.#end(sent);
    this.#fail(faultOf(closedCode, 'the provider closed the connection before the end of its reply'));
  }

  #fail(error: Error): void {
    if (this.#replayed !== null) return void this.#replayed.destroy(error);
    if (this.#resting) return this.#drop();
    const sent = this.#sent;
    this.#sent = null;
    this.#leave();
    if (sent === null) return;
    sent.connection = null;
    sent.aborted = true;
    if (this.#requests > 1 && this.#silent) markReused(error);
    sent.handler.onResponseError(sent, error);
  }

  #leave(): void {
    this.#held = null;
    this.#socket?.destroy();
    if (this.#gone) return;
    this.#gone = true;
    this.#owner.onGone(this);
  }

  #replay(sent: Sent): void {
    const socket = this.#socket;
    if (socket === null) return;
    this.#sent = null;
    sent.connection = null;
    this.#replayed = new Replayed(socket, () => this.#leave());
    this.#replayed.give(this.#reader.held);
    this.#owner.onUnusual(this.#replayed, sent);
  }
}

const noBody = Buffer.alloc(0);
