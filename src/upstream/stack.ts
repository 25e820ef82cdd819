/**
 * Connections that carry one request at a time, as those of HTTP/1.1 do. The one used last is used first: those that a
 * quiet time doesn't need are closed by their own timeout.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type Client from 'undici/lib/dispatcher/client.js';

/** Sends each request on a connection that carries no other. Whoever sends them bounds how many there are at once. */
export class Stack {
  readonly #open: () => Client;
  readonly #idle: Client[] = [];
  readonly #all = new Set<Client>();
  #closed = false;

  /** @param open makes one more, which connects when it is first used */
  constructor(open: () => Client) {
    this.#open = open;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const client = this.#idle.pop() ?? this.#add();
    client.dispatch(options, new Lent(handler, client, this));
  }

  #add(): Client {
    const client = this.#open();
    this.#all.add(client);
    // A closed one fails its request.
    if (this.#closed) void client.close();
    return client;
  }

  /** Takes a connection back whose reply has ended. */
  giveBack(client: Client): void {
    this.#idle.push(client);
  }

  /** How many there are, those under way included. */
  get size(): number {
    return this.#all.size;
  }

  /** Gives a connection up that was closed while it carried nothing. */
  forget(client: Client): void {
    // Those that wait longest, and so are closed first, come first.
    const at = this.#idle.indexOf(client);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    this.drop(client);
  }

  /** Gives a connection up that failed. */
  drop(client: Client): void {
    this.#all.delete(client);
    if (!client.closed) void client.close().catch(() => {});
  }

  /** Resolves when the requests under way have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#all].map((client) => client.close()));
  }
}

/** Passes the events of one request on, the last of which frees its connection. */
class Lent implements Dispatcher.DispatchHandler {
  readonly #to: Dispatcher.DispatchHandler;
  readonly #client: Client;
  readonly #stack: Stack;

  constructor(to: Dispatcher.DispatchHandler, client: Client, stack: Stack) {
    this.#to = to;
    this.#client = client;
    this.#stack = stack;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#to.onRequestStart?.(controller, context);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    this.#to.onResponseStart?.(controller, status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#to.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#stack.giveBack(this.#client);
    this.#to.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#stack.drop(this.#client);
    this.#to.onResponseError?.(controller, error);
  }
}
