/**
 * Connections that carry one request at a time, as those of HTTP/1.1 do. The one used last is used first, so those that
 * a quiet time doesn't need are closed when their time is over.
 */
import { Connection, type ConnectionOwner, type Sent } from './connection.ts';
import type { Opened } from './open-socket.ts';

/** How often idle connections are looked at. */
const sweepMs = 1000;

/** Sends each request on a connection that carries no other. Whoever sends them bounds how many there are at once. */
export class Stack {
  readonly #open: (done: Opened) => void;
  readonly #owner: ConnectionOwner;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  #sweep: NodeJS.Timeout | null = null;
  readonly #whenEmpty: (() => void)[] = [];

  /** @param open a socket of one more @param others what becomes of requests that HTTP/1.1 isn't for */
  constructor(open: (done: Opened) => void, others: Pick<ConnectionOwner, 'onHttp2' | 'onUnusual'>) {
    this.#open = open;
    this.#owner = {
      ...others,
      onFree: (connection) => this.#free(connection),
      onGone: (connection) => this.#forget(connection),
      onUnsent: (sent) => this.send(sent),
    };
  }

  send(sent: Sent): void {
    (this.#take() ?? this.#add()).send(sent);
  }

  /** Sends it on a connection of its own, which is closed afterwards. */
  sendFresh(sent: Sent): void {
    const connection = this.#add();
    connection.send(sent);
    connection.close();
  }

  /** How many there are, those under way included. */
  get size(): number {
    return this.#all.size;
  }

  /** Resolves when the requests under way have ended. */
  async close(): Promise<void> {
    for (const connection of [...this.#all]) connection.close();
    if (this.#all.size > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }

  #take(): Connection | undefined {
    const nowMs = performance.now();
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || connection.idleUntilMs > nowMs) return connection;
      connection.close();
    }
  }

  #add(): Connection {
    const connection = new Connection(this.#open, this.#owner);
    this.#all.add(connection);
    return connection;
  }

  #free(connection: Connection): void {
    connection.idleUntilMs = performance.now() + connection.keptMs;
    this.#idle.push(connection);
    this.#sweep ??= setTimeout(() => this.#closeOld(), sweepMs).unref();
  }

  #closeOld(): void {
    this.#sweep = null;
    const nowMs = performance.now();
    for (const each of this.#idle.filter(({ idleUntilMs }) => idleUntilMs <= nowMs)) each.close();
    if (this.#idle.length > 0) this.#sweep = setTimeout(() => this.#closeOld(), sweepMs).unref();
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    // Those that wait longest, and so are closed first, come first.
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#all.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }
}
