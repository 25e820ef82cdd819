/** Stage listen: sockets → exchanges. Node's request objects end here; what is wrong with HTTP is answered here. */

import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Refusal } from '../base/errors.ts';
import { createServer, ServerResponse as NodeReply, urlOf } from '../base/node-http.ts';
import { keyInQuery } from '../dialects/gemini/path.ts';
import { refusalReply } from '../dialects/refusal.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint, EndpointName } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { saysBatch } from '../exchange/priority.ts';
import type { Reply, WholeReply } from '../exchange/reply.ts';
import { admit, tooLarge } from './admit.ts';
import { bodyMaxOf } from './body.ts';
import { dialectOf, endpointAt, type Head, pathOf } from './endpoints.ts';
import { createGuard, duplicateHeader } from './guard.ts';
import type { PlainHead } from './head.ts';
import { type Crowd, Incoming, noBody } from './incoming.ts';
import { Connection, type LanePort, type LaneReply } from './lane.ts';
import { type NodeOutlet, type Outlet, respond, type WholeOutlet } from './respond.ts';
import type { ListenSettings } from './settings.ts';
import { answerBrokenHttp, answerSender, headersMaxBytes, isSending } from './unread.ts';

const headersTimeoutMs = 10_000;

/** Idle connections are kept longer than usual clients keep theirs, so that none is closed under a request. */
const idleConnectionMs = 120_000;

/** Requests that take one to two of these to arrive are left to Node's server. */
const lookEveryMs = 500;

/** The open data port. */
export interface Listener {
  readonly url: string;
  readonly inFlight: number;
  /** Lets go of every request at work; streams get the refusal as an error event. */
  abortAll(refusal: Refusal): void;
  /** New requests are refused with this from now on; null: served. */
  refuseNew(refusal: Refusal | null): void;
  /** Takes no more connections; resolves when the last request is answered. */
  drained(): Promise<void>;
  close(): void;
  update(config: ListenSettings): void;
}

/** Tells the processes of a fleet apart; the rest of an id is a count. */
const idPrefix = `req_${randomBytes(9).toString('hex')}`;

let idsGiven = 0;

/** A name for a request, unique over processes and restarts; it need not be a secret. */
function requestId(): string {
  idsGiven += 1;
  return idPrefix + idsGiven.toString(16).padStart(10, '0');
}

/** A request that was refused before there was an exchange. */
export interface Refused {
  readonly id: string;
  /** `none` where the path is no endpoint's. */
  readonly endpoint: { readonly name: EndpointName | 'none' };
  readonly startedMs: number;
}

/** A request whose head was read. */
interface Arrival {
  readonly head: Head;
  readonly dialect: DialectName;
  readonly id: string;
  /** Monotonic ms. */
  readonly startedMs: number;
}

/**
 * Opens the data port.
 * @param handle the pipeline; where it throws or rejects, the connection ends without a reply
 * @param onRefused told of what is answered here
 */
export async function listen(
  config: ListenSettings,
  handle: (exchange: Exchange) => Reply | Promise<Reply>,
  clock: () => number,
  onRefused: (request: Refused, refusal: Refusal) => void,
): Promise<Listener> {
  let current = config;
  let guard = createGuard(config);
  let closedTo: Refusal | null = null;
  const crowd: Crowd = { active: [], parked: 0, arriving: 0, onIdle: null };
  const { active } = crowd;
  // The last request of each connection of Node's server, for what goes wrong below HTTP.
  const atWork = new WeakMap<Socket, ServerResponse>();

  const arrive = (head: Head): Arrival => {
    const startedMs = clock();
    return { head, dialect: dialectOf(head), id: requestId(), startedMs };
  };

  const judge = (head: Head, dialect: DialectName): Endpoint | Refusal => {
    const inFlight = saysBatch(head.headers) ? crowd.arriving : active.length - crowd.parked;
    return closedTo ?? admit(head, dialect, guard, inFlight, current);
  };

  const letIn = ({ head, dialect, id, startedMs }: Arrival): Incoming | Refusal => {
    const admitted = judge(head, dialect);
    if (admitted instanceof Refusal) return admitted;
    const headers = dialect === 'gemini' ? withQueryKey(head) : head.headers;
    return new Incoming(id, admitted, pathOf(head.url), headers, startedMs, crowd);
  };

  /** What is answered to one that comes to no pipeline. */
  const refused = ({ head, dialect, id, startedMs }: Arrival, refusal: Refusal): WholeReply => {
    onRefused({ id, endpoint: endpointAt(head, dialect) ?? noEndpoint, startedMs }, refusal);
    return refusalReply(refusal, dialect, id);
  };

  const send = (reply: Reply, to: NodeOutlet | WholeOutlet): Promise<void> | void => {
    // The lane says by itself that a connection ends.
    if (lane.closing && to instanceof NodeReply) to.shouldKeepAlive = false;
    return respond(reply, to, current);
  };

  const answer = (reply: Reply, incoming: Incoming, to: NodeOutlet | WholeOutlet): void => {
    try {
      const sent = send(reply, to);
      if (!(sent instanceof Promise)) return incoming.end();
      sent.then(
        () => incoming.end(),
        () => giveUp(incoming, to),
      );
    } catch {
      giveUp(incoming, to);
    }
  };

  const run = (incoming: Incoming, to: NodeOutlet | WholeOutlet): void => {
    try {
      const reply = handle(incoming);
      if (!(reply instanceof Promise)) return answer(reply, incoming, to);
      reply.then(
        (late) => answer(late, incoming, to),
        () => giveUp(incoming, to),
      );
    } catch {
      giveUp(incoming, to);
    }
  };

  const admits = (head: Head): boolean => !(judge(head, dialectOf(head)) instanceof Refusal);

  const servePlain = (head: PlainHead, body: Buffer, reply: LaneReply): void => {
    const arrival = arrive(head);
    const incoming = letIn(arrival);
    if (incoming instanceof Refusal) return void send(refused(arrival, incoming), reply);
    reply.request = incoming;
    incoming.receive(body);
    run(incoming, reply);
  };

  const serve = (req: IncomingMessage, res: ServerResponse): void => {
    atWork.set(req.socket, res);
    const arrival = arrive(headOf(req));
    const refuse = (refusal: Refusal): void => {
      if (res.headersSent || res.destroyed) return;
      const reply = refused(arrival, refusal);
      if (isSending(req)) answerSender(reply, req, res);
      else void send(reply, res);
    };
    const incoming = letIn(arrival);
    if (incoming instanceof Refusal) return refuse(incoming);
    res.on('close', () => incoming.left(res.writableFinished));
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
    const last = atWork.get(socket);
    const dialect = last === undefined ? 'openai' : dialectOf(headOf(last.req));
    const refusal = answerBrokenHttp(error, socket, last, dialect, id);
    if (refusal !== null) onRefused({ id, endpoint: noEndpoint, startedMs: clock() }, refusal);
  });
  const lane = createLane(server, { serve: servePlain, admits });
  await opened(server, config);

  return {
    url: urlOf(server, config),
    get inFlight() {
      return active.length;
    },
    abortAll(refusal) {
      for (const { cancellation } of [...active]) cancellation.cancel(refusal);
    },
    refuseNew(refusal) {
      closedTo = refusal;
    },
    async drained() {
      server.close();
      server.closeIdleConnections();
      lane.closing = true;
      for (const { idle, socket } of lane.connections) if (idle) socket.destroy();
      if (active.length > 0) await new Promise<void>((resolve) => (crowd.onIdle = resolve));
    },
    close() {
      server.close();
      server.closeAllConnections();
      for (const { socket } of lane.connections) socket.destroy();
    },
    update(next) {
      current = next;
      guard = createGuard(next);
      server.maxConnections = next.connectionsMax;
    },
  };
}

const noEndpoint = { name: 'none' } as const;

const headOf = (req: IncomingMessage): Head => ({
  method: req.method ?? '',
  url: req.url ?? '/',
  headers: req.headers,
  fault: duplicateHeader(req),
});

/** Each connection begins in the lane of plain requests. Node's server still owns the port, its bounds and its times. */
function createLane(server: Server, port: Pick<LanePort, 'serve' | 'admits'>): LanePort {
  const node = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  const lane: LanePort = {
    connections: new Set(),
    idleMs: idleConnectionMs,
    firstMs: headersTimeoutMs,
    closing: false,
    ...port,
    leave(socket) {
      for (const listener of node) listener.call(server, socket);
    },
  };
  server.on('connection', (socket: Socket) => new Connection(socket, lane));
  const looks = setInterval(() => {
    for (const connection of lane.connections) connection.look();
  }, lookEveryMs);
  looks.unref();
  server.on('close', () => clearInterval(looks));
  return lane;
}

/** A reply that can't be made or written: this client goes without, the process lives. */
function giveUp(incoming: Incoming, to: Outlet): void {
  to.destroy();
  incoming.end();
}

/** Google's API takes its key from the query too; from here on it is a header, as the path goes into records. */
function withQueryKey({ headers, url }: Head): IncomingHttpHeaders {
  if (headers['x-goog-api-key'] !== undefined) return headers;
  const key = keyInQuery(url);
  return key === null ? headers : { ...headers, 'x-goog-api-key': key };
}

/** Reads a body up to the bound. Gives the bytes or a refusal, once; nothing when the client leaves before. */
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
  // A broken connection closes as well; without a listener it would end the process.
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
