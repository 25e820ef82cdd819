/**
 * A provider controlled by a test, on real sockets: it sends what the test tells it, when told, and records what it
 * receives. It never waits for time to pass.
 */
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { type ErrorReply, type ProviderWire, streamHeaders } from './replies.ts';

/** One request that reached the provider, with control over its reply. */
export interface Call {
  /** From 0, in order of arrival at this provider. */
  readonly index: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The body parsed as JSON. */
  readonly json: Record<string, unknown>;
  /** Number of the connection it came on, from 0. */
  readonly connection: number;
  /** Monotonic ms at which the peer closed the connection before the reply ended; never settles otherwise. */
  readonly aborted: Promise<number>;
  /** Settles when the connection is gone, whoever closed it. */
  readonly closed: Promise<void>;
  /** Bytes of the reply accepted by the network so far. */
  readonly sentBytes: number;
  /** Sends status and headers. */
  head(status: number, headers?: Readonly<Record<string, string | readonly string[]>>): void;
  /** Sends the head of an event stream. */
  streamHead(headers?: Readonly<Record<string, string>>): void;
  /** Sends bytes as one chunk of the transfer coding; false if the network accepts no more for now. */
  write(bytes: string | Buffer): boolean;
  /** Sends bytes cut at these offsets, each piece as its own chunk and packet. */
  writeSplit(bytes: Buffer, at: readonly number[]): Promise<void>;
  /** Sends chunks for as long as the network accepts them; returns the number sent. */
  flood(chunk: Buffer, chunksMax: number): Promise<number>;
  /** Writes raw bytes to the socket, without HTTP framing. */
  raw(bytes: string | Buffer): void;
  /** Ends the reply properly. */
  end(bytes?: string | Buffer): void;
  /** Sends a whole reply with its length. */
  whole(status: number, headers: Readonly<Record<string, string>>, body: string | Buffer): void;
  /** Closes the connection with a TCP reset. */
  reset(): void;
  /** Closes the connection with a FIN in the middle of the reply. */
  cut(): void;
}

/** What a provider does with a request. */
export type Script = (call: Call) => unknown;

/** A running provider. */
export interface Upstream {
  /** Base URL for the configuration. */
  readonly baseUrl: string;
  /** Every request so far. */
  readonly calls: readonly Call[];
  /** Connections so far. */
  readonly connections: number;
  /** The request with this number, past or future; its body has been read. */
  call(index: number): Promise<Call>;
  /** Answers requests from now on: the n-th with the n-th script, later ones with the last. */
  answer(...scripts: Script[]): void;
  close(): Promise<void>;
}

/** Starts a provider. @param scripts how it answers; without any, tests answer each `call` themselves */
export async function startUpstream(...scripts: Script[]): Promise<Upstream> {
  const calls: Call[] = [];
  const waiting = new Set<() => void>();
  const connections = new Map<Socket, number>();
  let plan = scripts;
  let planned = 0;
  let seen = 0;

  const server = createServer({ requestTimeout: 0 }, async (req, res) => {
    res.on('error', () => {});
    const body = await bodyOf(req);
    // A peer that leaves before its body has arrived never becomes a call.
    if (body === null) return;
    const call = createCall(calls.length, connections.get(req.socket) ?? -1, body, req, res);
    calls.push(call);
    for (const look of waiting) look();
    const script = plan[Math.min(planned++, plan.length - 1)];
    await script?.(call);
  });
  server.on('connection', (socket: Socket) => {
    connections.set(socket, seen++);
    socket.on('close', () => connections.delete(socket));
    socket.on('error', () => {});
  });
  await listening(server);
  const { port } = server.address() as AddressInfo;

  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    calls,
    get connections() {
      return seen;
    },
    call: (index) =>
      new Promise((resolve) => {
        const look = (): void => {
          const call = calls[index];
          if (call === undefined) return;
          waiting.delete(look);
          resolve(call);
        };
        waiting.add(look);
        look();
      }),
    answer(...next) {
      plan = next;
      planned = 0;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** All bytes of a request's body; null if the peer left before sending them. */
function bodyOf(req: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => resolve(Buffer.concat(chunks)));
    req.on('error', () => resolve(null));
    req.on('close', () => resolve(null));
  });
}

async function listening(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

function createCall(
  index: number,
  connection: number,
  body: Buffer,
  req: IncomingMessage,
  res: ServerResponse,
): Call {
  const { socket } = req;
  let over = false;
  const aborted = new Promise<number>((resolve) => {
    res.once('close', () => {
      if (!over) resolve(performance.now());
    });
  });
  let closing: Promise<void> | null = null;
  // Listens only if asked for, as a persistent connection carries many calls.
  const closed = (): Promise<void> => {
    closing ??= new Promise((resolve) => {
      socket.once('close', () => resolve());
      if (socket.destroyed) resolve();
    });
    return closing;
  };

  return {
    index,
    connection,
    method: req.method ?? '',
    path: req.url ?? '',
    headers: req.headers,
    body,
    get json() {
      return JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    },
    aborted,
    get closed() {
      return closed();
    },
    get sentBytes() {
      return socket.bytesWritten - socket.writableLength;
    },
    head(status, headers = {}) {
      res.writeHead(status, headers as Record<string, string | string[]>);
      res.flushHeaders();
    },
    streamHead(headers = {}) {
      this.head(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache',
        ...headers,
      });
    },
    write: (bytes) => res.write(bytes),
    async writeSplit(bytes, at) {
      let from = 0;
      for (const to of [...at, bytes.length]) {
        if (to > from) res.write(bytes.subarray(from, to));
        // Wait one turn of the event loop, so that this piece is sent before the next is written.
        await turn();
        from = to;
      }
    },
    async flood(chunk, chunksMax) {
      let sent = 0;
      for (; sent < chunksMax && !res.destroyed; sent++) {
        if (!res.write(chunk)) await Promise.race([once(res, 'drain'), closed()]);
      }
      return sent;
    },
    raw: (bytes) => void socket.write(bytes),
    end(bytes) {
      over = true;
      res.end(bytes);
    },
    whole(status, headers, content) {
      over = true;
      res.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(content)) });
      res.end(content);
    },
    reset() {
      over = true;
      socket.resetAndDestroy();
    },
    cut() {
      over = true;
      socket.end();
    },
  };
}

// Scripts for whole conversations.

/** Answers correctly, as a stream if one was requested. */
export function answers(wire: ProviderWire, ...texts: string[]): Script {
  return (call) => {
    if (call.json.stream !== true && !/:streamGenerateContent|\/converse-stream$/.test(call.path))
      return call.whole(200, { 'content-type': 'application/json' }, wire.whole(texts.join('')));
    call.streamHead(streamHeaders(wire));
    for (const event of wire.stream(...texts)) call.write(event);
    call.end();
  };
}

/** Refuses with an error reply. */
export function refuses(
  { status, headers, body }: ErrorReply,
  more: Readonly<Record<string, string>> = {},
): Script {
  return (call) => call.whole(status, { ...headers, ...more }, body);
}

/** Resets the connection before sending anything. */
export const resets: Script = (call) => call.reset();

/** Never answers. */
export const hangs: Script = () => {};

/** Every placeholder has this form. */
export const placeholders = /\[[A-Z][A-Z0-9_]*_[0-9A-Z]{6}\]/g;

/** Answers with the first placeholder of the request. @param pieces of the text that is said */
export const echoes =
  (wire: ProviderWire, pieces: (token: string) => readonly string[]): Script =>
  (call) =>
    answers(wire, ...pieces(call.body.toString().match(placeholders)?.[0] ?? ''))(call);
