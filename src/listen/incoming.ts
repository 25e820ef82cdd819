/** The requests in flight: which ones, and how many. */
import type { IncomingHttpHeaders } from 'node:http';
import { Cancellation } from '../base/cancellation.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { saysBatch } from '../exchange/priority.ts';

/** A request, from its acceptance until its work is done and its reply is written or the client is gone. */
export class Incoming implements Exchange {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly startedMs: number;
  readonly cancellation = new Cancellation();
  body: Buffer = noBody;
  detached = false;
  /** It waits in the batch queue, which has its own limit. */
  parked = false;
  /** A batch request that hasn't reached the queue yet. */
  arriving = false;
  /** Its body is being read. */
  reading = true;
  /** How many of its work and its connection aren't done yet: 0–2. */
  open = 2;
  /** Bytes of its body and of its reply that are held. */
  bodyBytes = 0;
  replyBytes = 0;
  readonly #requests: ActiveRequests;
  /** Index in `ActiveRequests.active`. */
  #index: number;

  constructor(
    id: string,
    endpoint: Endpoint,
    path: string,
    query: string,
    headers: IncomingHttpHeaders,
    startedMs: number,
    requests: ActiveRequests,
  ) {
    this.id = id;
    this.endpoint = endpoint;
    this.path = path;
    this.query = query;
    this.headers = headers;
    this.startedMs = startedMs;
    this.#requests = requests;
    this.#index = requests.active.push(this) - 1;
    // Thousands of batch requests must not keep out interactive ones, not even while they are being read.
    if (!saysBatch(headers)) return;
    this.park(true);
    this.arriving = true;
    requests.arriving += 1;
  }

  detach(): void {
    this.detached = true;
  }

  park(parked: boolean): void {
    const requests = this.#requests;
    const counted = this.#counts;
    if (this.arriving) requests.arriving -= 1;
    this.arriving = false;
    if (this.parked !== parked) requests.parked += parked ? 1 : -1;
    this.parked = parked;
    if (this.#counts !== counted) requests.bodyBytes += counted ? -this.bodyBytes : this.bodyBytes;
  }

  /** Its body counts with those of others: the batch queue has its own bound, and those on the way there have not. */
  get #counts(): boolean {
    return !this.parked || this.arriving;
  }

  /**
   * Counts bytes of the body that arrive; false: there is no room for them. A single body always has room. Batch requests
   * on their way to the queue leave half of it to others.
   */
  hold(bytes: number): boolean {
    const requests = this.#requests;
    const counts = this.#counts;
    const others = requests.bodyBytes - (counts ? this.bodyBytes : 0);
    const mostBytes = requests.bodyMaxBytes / (this.arriving ? 2 : 1);
    if (others > 0 && requests.bodyBytes + bytes > mostBytes) return false;
    this.bodyBytes += bytes;
    if (counts) requests.bodyBytes += bytes;
    return true;
  }

  /** A single reply always has room, and so has a small one. Fewer bytes than none: they are given back. */
  holdReply(bytes: number): boolean {
    const requests = this.#requests;
    const own = this.replyBytes + bytes;
    const all = requests.replyBytes + bytes;
    if (bytes > 0 && all > requests.replyMaxBytes && own > smallReplyBytes && all > own) return false;
    this.replyBytes = own;
    requests.replyBytes = all;
    return true;
  }

  /** Takes the body once it is read. */
  receive(body: Buffer): void {
    this.reading = false;
    this.body = body;
    const more = body.length - this.bodyBytes;
    if (more === 0) return;
    this.bodyBytes += more;
    if (this.#counts) this.#requests.bodyBytes += more;
  }

  /**
   * Called when its connection is done with it.
   * @param written the whole reply was sent; otherwise the client is gone
   */
  connectionDone(written: boolean): void {
    if (!written && !this.detached) this.cancellation.cancel('client_gone');
    this.end();
    if (!this.reading) return;
    this.reading = false;
    this.end();
  }

  /** Called once when its work is done, and once when its connection is done. */
  end(): void {
    this.open -= 1;
    if (this.open > 0) return;
    this.park(false);
    this.#requests.bodyBytes -= this.bodyBytes;
    this.#requests.replyBytes -= this.replyBytes;
    this.#remove();
  }

  /** Moves the last request of the list to the index of this one. */
  #remove(): void {
    const { active, onIdle } = this.#requests;
    const last = active.pop() as Incoming;
    last.#index = this.#index;
    if (last !== this) active[this.#index] = last;
    if (active.length === 0) onIdle?.();
  }
}

/** Replies up to this size are never refused for the memory that others take: `inFlightMax` bounds them. */
const smallReplyBytes = 64 * 1024;

/** The body of a request that has none. */
export const noBody = Buffer.alloc(0);

/** All requests in flight on the data port. */
export interface ActiveRequests {
  /**
   * In no order. Not a `Set`: V8 rebuilds a set's table every few dozen changes, and the old table points to the new
   * one. Once one of them is in the old generation, each keeps the next alive, with the requests in flight at the time,
   * until a major collection: 14 to 60 MB more after 100,000 requests, measured in five pairs of processes.
   */
  readonly active: Incoming[];
  /** Requests in the batch queue, or on the way there. */
  parked: number;
  /** Batch requests on the way to the queue. */
  arriving: number;
  /** Bytes of all bodies, but for those in the batch queue, which has its own limit. */
  bodyBytes: number;
  /** Most bytes of all bodies together. */
  bodyMaxBytes: number;
  /** Bytes of all whole replies that are held, and the most of them. */
  replyBytes: number;
  replyMaxBytes: number;
  /** Called when the last request is done. */
  onIdle: (() => void) | null;
}
