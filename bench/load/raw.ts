/**
 * Raw sockets on both sides: what moving the bytes of HTTP/1.1 costs in Node without its HTTP layers. It finds where
 * requests and replies end, keeps connections to the upstream, and decides nothing. It is no proxy that anybody should
 * run: it takes well-formed messages of the load for granted.
 */
import { connect, createServer, type Socket } from 'node:net';

const [upstreamPort, port] = process.argv.slice(2).map(Number);
const connectionsMax = 4096;
const headEnd = Buffer.from('\r\n\r\n');
const lengthHeader = Buffer.from('\r\ncontent-length: ');
const endOfChunks = Buffer.from('0\r\n\r\n');
const none = Buffer.alloc(0);

/** Bytes of a message from its head on; -1: its head is incomplete; -2: it is chunked. */
function lengthOf(data: Buffer): number {
  const bodyAt = data.indexOf(headEnd);
  if (bodyAt < 0) return -1;
  const at = data.indexOf(lengthHeader);
  if (at < 0 || at > bodyAt) return -2;
  return bodyAt + 4 + Number.parseInt(data.toString('latin1', at + lengthHeader.length, bodyAt), 10);
}

/** A connection to the upstream, for one client at a time. */
class Upstream {
  readonly #socket: Socket;
  #client: Socket | null = null;
  #held: Buffer | null = null;
  /** Bytes of the reply still to come; -1: its head isn't here; -2: it is chunked. */
  #left = -1;
  #tail: Buffer = none;

  constructor() {
    this.#socket = connect({
      port: upstreamPort ?? 0,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(64 * 1024),
        callback: (count, bytes) => this.#take(Buffer.from((bytes as Buffer).subarray(0, count))),
      },
    });
    this.#socket.on('error', () => this.#client?.destroy());
    this.#socket.on('close', () => {
      const at = idle.indexOf(this);
      if (at >= 0) idle.splice(at, 1);
      this.#client?.destroy();
    });
  }

  send(request: Buffer, client: Socket): void {
    this.#client = client;
    this.#left = -1;
    this.#socket.write(request);
  }

  /** The client is gone. */
  leave(client: Socket): void {
    if (this.#client === client) this.#socket.destroy();
  }

  #take(bytes: Buffer): boolean {
    const client = this.#client;
    if (client === null) return true;
    let data = bytes;
    if (this.#left === -1) {
      data = this.#held === null ? bytes : Buffer.concat([this.#held, bytes]);
      this.#left = lengthOf(data);
      this.#held = this.#left === -1 ? data : null;
      if (this.#left === -1) return true;
      this.#tail = none;
    }
    client.write(data);
    if (this.#left >= 0) {
      this.#left -= data.length;
      if (this.#left <= 0) this.#free();
      return true;
    }
    this.#tail = data.length >= 5 ? data.subarray(-5) : Buffer.concat([this.#tail, data]).subarray(-5);
    if (this.#tail.equals(endOfChunks)) this.#free();
    return true;
  }

  #free(): void {
    this.#client = null;
    idle.push(this);
  }
}

/** Connections that are free, last used first. Never more than the clients' connections, whose number is bounded. */
const idle: Upstream[] = [];

const server = createServer({ noDelay: true }, (client) => {
  let held: Buffer | null = null;
  let total = -1;
  let upstream: Upstream | null = null;
  client.on('data', (chunk: Buffer) => {
    const data = held === null ? chunk : Buffer.concat([held, chunk]);
    if (total < 0) total = lengthOf(data);
    if (total < 0 || data.length < total) {
      held = data;
      return;
    }
    held = null;
    total = -1;
    upstream = idle.pop() ?? new Upstream();
    upstream.send(data, client);
  });
  client.on('error', () => client.destroy());
  client.on('close', () => upstream?.leave(client));
});
server.maxConnections = connectionsMax;
server.listen({ port: port ?? 0, host: '127.0.0.1', backlog: connectionsMax });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit());
