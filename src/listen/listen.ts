/**
 * Stage listen: from sockets to exchanges. No later stage sees Node's request objects, and errors at the level of HTTP
 * are answered here.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Refusal } from '../base/errors.ts';
import { createServer, ServerResponse as NodeReply, urlOf } from '../base/node-http.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Reply } from '../exchange/reply.ts';
import { bodyMaxOf } from './body.ts';
import { tooLarge } from './check-head.ts';
import { dialectOf, type Head } from './endpoints.ts';
import { duplicateHeader } from './guard.ts';
import type { PlainHead } from './head.ts';
import { type ActiveRequests, noBody } from './incoming.ts';
import { createIntake, noEndpoint, type Refused, requestId } from './intake.ts';
import { Connection, type LanePort, type LaneReply } from './lane.ts';
import { respond } from './respond.ts';
import { createRunner, type Send } from './run.ts';
import type { ListenSettings } from './settings.ts';
import { answerBrokenHttp, answerSender, headersMaxBytes, isSending } from './unread.ts';

const headersTimeoutMs = 10_000;

/** Longer than common clients keep idle connections, so that none is closed while its client sends a request. */
const idleConnectionMs = 120_000;

/** A request that is incomplete at two of these checks is handed over to Node's server. */
const slowCheckEveryMs = 500;

/** The open data port. */
export interface Listener {
  readonly url: string;
  readonly inFlight: number;
  /** Cancels every request in flight; streams get the refusal as an error event. */
  abortAll(refusal: Refusal): void;
  /** From now on refuses new requests with this; null: serves them. */
  refuseNew(refusal: Refusal | null): void;
  /** Accepts no more connections; resolves when the last request is answered. */
  drained(): Promise<void>;
  /** Closes the port and every connection at once. */
  close(): void;
  /** Adopts new settings, except those that need a restart. */
  update(config: ListenSettings): void;
}

/**
 * Opens the data port. Rejects when the address can't be listened on.
 * @param handle the pipeline; if it throws or rejects, the connection is closed without a reply
 * @param clock monotonic ms
 * @param onRefused called for each request that is refused here, before the pipeline
 */
export async function listen(
  config: ListenSettings,
  handle: (exchange: Exchange) => Reply | Promise<Reply>,
  clock: () => number,
  onRefused: (request: Refused, refusal: Refusal) => void,
): Promise<Listener> {
  let current = config;
  const requests: ActiveRequests = { active: [], parked: 0, arriving: 0, onIdle: null };
  const { active } = requests;
  const intake = createIntake(config, requests, clock, onRefused);
  // The latest reply on each connection of Node's server, for errors below the level of a request.
  const lastReply = new WeakMap<Socket, ServerResponse>();

  const send: Send = (reply, to) => {
    // Connections of the lane send `Connection: close` by themselves.
    if (lane.closing && to instanceof NodeReply) to.shouldKeepAlive = false;
    return respond(reply, to, current);
  };
  const run = createRunner(handle, send);

  const servePlain = (head: PlainHead, body: Buffer, reply: LaneReply): void => {
    const arrival = intake.arrive(head);
    const incoming = intake.accept(arrival);
    if (incoming instanceof Refusal) return void send(intake.refuse(arrival, incoming), reply);
    reply.request = incoming;
    incoming.receive(body);
    run(incoming, reply);
  };

  const serve = (req: IncomingMessage, res: ServerResponse): void => {
    lastReply.set(req.socket, res);
    const arrival = intake.arrive(headOf(req));
    const refuse = (refusal: Refusal): void => {
      if (res.headersSent || res.destroyed) return;
      const reply = intake.refuse(arrival, refusal);
      if (isSending(req)) answerSender(reply, req, res);
      else void send(reply, res);
    };
    const incoming = intake.accept(arrival);
    if (incoming instanceof Refusal) return refuse(incoming);
    res.on('close', () => incoming.connectionDone(res.writableFinished));
    readBody(req, bodyMaxOf(req.headers, current), (body) => {
      if (!incoming.reading) return;
      if (body instanceof Refusal) {
        refuse(body);
        incoming.receive(noBody);
        return incoming.end();
      }
      incoming.receive(body);
      run(incoming, res);
    });
  };

  const server = createServer(
    {
      maxHeaderSize: headersMaxBytes,
      headersTimeout: Math.min(headersTimeoutMs, config.bodyTimeoutMs),
      requestTimeout: config.bodyTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, config.bodyTimeoutMs),
      keepAliveTimeout: idleConnectionMs,
      noDelay: true,
    },
    serve,
  );
  server.maxConnections = config.connectionsMax;
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    if (Number(req.headers['content-length'] ?? 0) <= bodyMaxOf(req.headers, current)) res.writeContinue();
    serve(req, res);
  });
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    const id = requestId();
    const last = lastReply.get(socket);
    const dialect = last === undefined ? 'openai' : dialectOf(headOf(last.req));
    const refusal = answerBrokenHttp(error, socket, last, dialect, id);
    if (refusal !== null) onRefused({ id, endpoint: noEndpoint, startedMs: clock() }, refusal);
  });
  const lane = createLane(server, { serve: servePlain, accepts: intake.accepts });
  await opened(server, config);

  return {
    url: urlOf(server, config),
    get inFlight() {
      return active.length;
    },
    abortAll(refusal) {
      for (const { cancellation } of [...active]) cancellation.cancel(refusal);
    },
    refuseNew: intake.refuseNew,
    async drained() {
      server.close();
      server.closeIdleConnections();
      lane.closing = true;
      for (const { idle, socket } of lane.connections) if (idle) socket.destroy();
      if (active.length > 0) await new Promise<void>((resolve) => (requests.onIdle = resolve));
    },
    close() {
      server.close();
      server.closeAllConnections();
      for (const { socket } of lane.connections) socket.destroy();
    },
    update(next) {
      current = next;
      intake.update(next);
      server.maxConnections = next.connectionsMax;
    },
  };
}

const headOf = (req: IncomingMessage): Head => ({
  method: req.method ?? '',
  url: req.url ?? '/',
  headers: req.headers,
  fault: duplicateHeader(req),
});

/** Starts each connection in the lane of plain requests. Node's server still owns the port, its limits and timeouts. */
function createLane(server: Server, port: Pick<LanePort, 'serve' | 'accepts'>): LanePort {
  const node = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  const lane: LanePort = {
    connections: new Set(),
    idleMs: idleConnectionMs,
    firstMs: headersTimeoutMs,
    closing: false,
    ...port,
    handOver(socket) {
      for (const listener of node) listener.call(server, socket);
    },
  };
  server.on('connection', (socket: Socket) => new Connection(socket, lane));
  const slowChecks = setInterval(() => {
    for (const connection of lane.connections) connection.checkSlow();
  }, slowCheckEveryMs);
  slowChecks.unref();
  server.on('close', () => clearInterval(slowChecks));
  return lane;
}

/** Reads a body of at most `maxBytes`. Calls `done` once, or never if the client disconnects first. */
function readBody(req: IncomingMessage, maxBytes: number, done: (body: Buffer | Refusal) => void): void {
  // Most bodies come in one piece.
  let first: Buffer | null = null;
  let chunks: Buffer[] | null = null;
  let bytes = 0;
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      req.removeAllListeners('data');
      first = null;
      chunks = null;
      done(tooLarge(maxBytes));
    } else if (first === null) first = chunk;
    else if (chunks === null) chunks = [first, chunk];
    else chunks.push(chunk);
  });
  req.on('end', () => done(chunks === null ? (first ?? noBody) : Buffer.concat(chunks)));
  // A broken connection also emits `close`; without a listener the error would end the process.
  req.on('error', ignore);
}

const ignore = (): void => {};

function opened(server: Server, { host, port, socket }: ListenSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket === undefined ? { host, port } : { path: socket }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
