/** The requests that are at work: how many, and which. */
import type { IncomingHttpHeaders } from 'node:http';
import { Cancellation } from '../base/cancellation.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { saysBatch } from '../exchange/priority.ts';

/** A request from when it is let in until its work is done and its last byte is written, or nobody is there to write to. */
export class Incoming implements Exchange {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly startedMs: number;
  readonly cancellation = new Cancellation();
  body: Buffer = noBody;
  detached = false;
  /** It waits in a queue with a bound of its own. */
  parked = false;
  /** It says that it can wait, and hasn't come as far as that queue. */
  arriving = false;
  /** Its body is being read. */
  reading = true;
  /** Of its work and its connection, what isn't over yet. */
  open = 2;
  readonly #crowd: Crowd;
  /** Its place among those at work. */
  #place: number;

  constructor(
    id: string,
    endpoint: Endpoint,
    path: string,
    headers: IncomingHttpHeaders,
    startedMs: number,
    crowd: Crowd,
  ) {
    this.id = id;
    this.endpoint = endpoint;
    this.path = path;
    this.headers = headers;
    this.startedMs = startedMs;
    this.#crowd = crowd;
    this.#place = crowd.active.push(this) - 1;
    // Thousands that can wait must not keep out those that can't, not even while they are being read.
    if (!saysBatch(headers)) return;
    this.park(true);
    this.arriving = true;
    crowd.arriving += 1;
  }

  detach(): void {
    this.detached = true;
  }

  park(parked: boolean): void {
    const crowd = this.#crowd;
    if (this.arriving) crowd.arriving -= 1;
    this.arriving = false;
    if (this.parked !== parked) crowd.parked += parked ? 1 : -1;
    this.parked = parked;
  }

  /** Its body was read. */
  receive(body: Buffer): void {
    this.reading = false;
    this.body = body;
  }

  /** Its connection is done with it. @param written the whole reply was; else nobody is there to write to */
  left(written: boolean): void {
    if (!written && !this.detached) this.cancellation.cancel('client_gone');
    this.end();
    if (!this.reading) return;
    this.reading = false;
    this.end();
  }

  /** Its work is done, or its connection; called once for each. */
  end(): void {
    this.open -= 1;
    if (this.open > 0) return;
    this.park(false);
    this.#leave();
  }

  /** The last one takes its place. */
  #leave(): void {
    const { active, onIdle } = this.#crowd;
    const last = active.pop() as Incoming;
    last.#place = this.#place;
    if (last !== this) active[this.#place] = last;
    if (active.length === 0) onIdle?.();
  }
}

export const noBody = Buffer.alloc(0);

/** All requests of the data port. */
export interface Crowd {
  /**
   * In no order. Not a set: V8 builds a set's table anew every few dozen changes, and the old one points to the new. Once
   * one of them is in the old generation, each holds the next, with the requests that were at work then, until a major
   * collection: 14 to 60 MB more after 100,000 requests, in five pairs of processes.
   */
  readonly active: Incoming[];
  parked: number;
  arriving: number;
  onIdle: (() => void) | null;
}
