/**
 * Stage listen: from sockets to exchanges. No later stage sees Node's request objects, and errors at the level of HTTP
 * are answered here.
 */
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Refusal } from '../base/errors.ts';
import { headMaxBytes } from '../base/http-head.ts';
import { createServer, ServerResponse as NodeReply, urlOf } from '../base/node-http.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Reply } from '../exchange/reply.ts';
import { createByNode } from './by-node.ts';
import type { PlainHead } from './head.ts';
import type { ActiveRequests } from './incoming.ts';
import { createIntake, type Refused } from './intake.ts';
import { Connection, type LanePort, LaneReply } from './lane.ts';
import { openPort } from './open-port.ts';
import { type NodeOutlet, respond, type WholeOutlet } from './respond.ts';
import { createRunner, type Send } from './run.ts';
import type { ListenSettings } from './settings.ts';
import { asksForWebSocket, createUpgrades } from './upgrade.ts';

const headersTimeoutMs = 10_000;

/** Longer than common clients keep idle connections, so that none is closed while its client sends a request. */
const idleConnectionMs = 120_000;

/** A request that is incomplete at two of these checks is handed over to Node's server. */
const slowCheckEveryMs = 500;

/** Which connections are accepted, and served, here. */
export interface Door {
  /** Another worker has the port, and hands over connections. */
  readonly closed?: true;
  /** Passes a connection on to another worker; false: it is served here. */
  readonly passOn?: (socket: Socket) => boolean;
}

/** Whose credentials are good. */
export interface Credentials {
  /** Whether the one in a head is good: otherwise the pipeline refuses the request, and gets no body. */
  mayPass(headers: IncomingHttpHeaders): boolean | Promise<boolean>;
  /** Whether the one in a head that has passed is still good. */
  mayStay(headers: IncomingHttpHeaders): boolean;
}

/** The open data port. */
export interface Listener {
  /** Empty: another worker has the port. */
  readonly url: string;
  readonly inFlight: number;
  /** Open connections. */
  readonly connections: number;
  /** Serves a connection that another worker has accepted. */
  take(socket: Socket): void;
  /** Cancels every request in flight; streams get the refusal as an error event. */
  abortAll(refusal: Refusal): void;
  /** From now on refuses new requests with this; null: serves them. */
  refuseNew(refusal: Refusal | null): void;
  /** Lets bodies take this share of `bodiesMaxBytes`, from 0 to 1; small requests always have room. */
  squeeze(share: number): void;
  /** Accepts no more connections, and ends sessions with this; resolves when the last request is answered. */
  drained(refusal: Refusal): Promise<void>;
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
 * @param adminUrl URL of the admin port, for browsers; empty: unknown
 * @param door undefined: all connections are accepted and served here
 */
export async function listen(
  config: ListenSettings,
  handle: (exchange: Exchange) => Reply | Promise<Reply>,
  { mayPass, mayStay }: Credentials,
  clock: () => number,
  onRefused: (request: Refused, refusal: Refusal) => void,
  adminUrl = '',
  door: Door = {},
): Promise<Listener> {
  let current = config;
  let bodiesShare = 1;
  const requests: ActiveRequests = {
    active: [],
    parked: 0,
    arriving: 0,
    bodyBytes: 0,
    bodyMaxBytes: config.bodiesMaxBytes,
    replyBytes: 0,
    replyMaxBytes: config.repliesMaxBytes,
    onIdle: null,
  };
  const { active } = requests;
  const intake = createIntake(config, requests, clock, onRefused, adminUrl);

  const send: Send<NodeOutlet | WholeOutlet> = (reply, to) => {
    if (reply.kind === 'session') throw new Error('only an upgrade opens a session');
    // The lane's class is asked for first: for Node's, V8 walks through its prototypes, which takes 0.4 µs.
    if (to instanceof LaneReply || !(to instanceof NodeReply)) return respond(reply, to, current);
    // Connections of the lane send `Connection: close` by themselves.
    if (lane.closing) to.shouldKeepAlive = false;
    return byNode.answer(reply, to);
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

  const byNode = createByNode({
    intake,
    config: () => current,
    clock,
    refusedIdleMs: headersTimeoutMs,
    mayPass,
    run,
    respond: (reply, to) => respond(reply, to, current),
    onRefused,
  });
  const upgrades = createUpgrades({ intake, config: () => current, handle, mayStay });
  const isIdle = (socket: Socket): boolean => !upgrades.has(socket) && byNode.isIdle(socket);
  const server = createServer(
    {
      // Whatever else asks for an upgrade is served without. Bytes behind an earlier request aren't for a WebSocket.
      shouldUpgradeCallback: (req) => asksForWebSocket(req) && isIdle(req.socket),
      maxHeaderSize: headMaxBytes,
      // Node would answer in our place, and go on with the requests behind.
      requireHostHeader: false,
      headersTimeout: Math.min(headersTimeoutMs, config.bodyTimeoutMs),
      requestTimeout: config.bodyTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, config.bodyTimeoutMs),
      keepAliveTimeout: idleConnectionMs,
      noDelay: true,
    },
    (req, res) => byNode.take(req, res, false),
  );
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => byNode.take(req, res, true));
  // Without a listener, Node answers whatever else is expected with a bare 417.
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => byNode.take(req, res, false));
  server.on('clientError', (error: Error, socket: Socket) => byNode.fail(error, socket));
  // Without a listener, Node closes the connection without a word. With one, it takes its own off the socket.
  server.on('connect', (_: IncomingMessage, socket: Socket) => {
    socket.on('error', ignore);
    byNode.fail(new Error('CONNECT'), socket);
  });
  // Node before 24.9 would take every upgrade, and can't go on without.
  if ('shouldUpgradeCallback' in server)
    server.on('upgrade', (req: IncomingMessage, socket: Socket, early: Buffer) =>
      upgrades.take(req, socket, early),
    );
  const { lane, count } = createLane(server, isIdle, () => current.connectionsMax, door, {
    serve: servePlain,
    accepts: (head) => {
      // A body that nobody will read isn't gathered. A token that has to be verified first takes the other way.
      const room = active.length === 0 || requests.bodyBytes + head.bodyEnd <= requests.bodyMaxBytes;
      return room && intake.accepts(head) && mayPass(head.headers) === true;
    },
  });
  // What it does when it begins to listen: it checks its connections for slow requests.
  if (door.closed) server.emit('listening');
  else await openPort(server, config);

  return {
    url: door.closed ? '' : urlOf(server, config),
    get inFlight() {
      return active.length;
    },
    get connections() {
      return count();
    },
    take: (socket) => void server.emit('connection', socket),
    abortAll(refusal) {
      for (const { cancellation } of [...active]) cancellation.cancel(refusal);
    },
    refuseNew: intake.refuseNew,
    async drained(refusal) {
      server.close();
      upgrades.leave(refusal);
      server.closeIdleConnections();
      lane.closing = true;
      for (const { idle, socket } of lane.connections) if (idle) socket.destroy();
      if (active.length > 0) await new Promise<void>((resolve) => (requests.onIdle = resolve));
    },
    close() {
      server.close();
      server.closeAllConnections();
      for (const { socket } of lane.connections) socket.destroy();
      upgrades.close();
    },
    squeeze(share) {
      bodiesShare = share;
      requests.bodyMaxBytes = bodiesBound(current, share);
    },
    update(next) {
      current = next;
      requests.bodyMaxBytes = bodiesBound(next, bodiesShare);
      requests.replyMaxBytes = next.repliesMaxBytes;
      intake.update(next);
    },
  };
}

/** Small requests fit into this, however little memory there is. */
const bodiesLeastBytes = 1024 * 1024;

const bodiesBound = ({ bodiesMaxBytes }: ListenSettings, share: number): number =>
  Math.max(Math.min(bodiesLeastBytes, bodiesMaxBytes), bodiesMaxBytes * share);

/**
 * Starts each connection in the lane of plain requests. Node's server still owns the port and its timeouts.
 * @param isIdle whether a connection of Node's server waits for nothing
 */
function createLane(
  server: Server,
  isIdle: (socket: Socket) => boolean,
  connectionsMax: () => number,
  door: Door,
  port: Pick<LanePort, 'serve' | 'accepts'>,
): { readonly lane: LanePort; count(): number } {
  const node = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  /** Connections that left the lane. */
  const others = new Set<Socket>();
  const lane: LanePort = {
    connections: new Set(),
    idleMs: idleConnectionMs,
    firstMs: headersTimeoutMs,
    closing: false,
    gatheringBytes: 0,
    ...port,
    handOver(socket) {
      others.add(socket);
      socket.on('close', () => others.delete(socket));
      for (const listener of node) listener.call(server, socket);
    },
  };
  /** Clients that ask nothing don't keep others out: the one that has been here longest leaves. */
  const makeRoom = (): boolean => {
    // Taken from the lists now: their `close` comes later than the next client.
    for (const connection of lane.connections) {
      if (!connection.idle) continue;
      lane.connections.delete(connection);
      connection.socket.destroy();
      return true;
    }
    for (const socket of others) {
      if (!isIdle(socket)) continue;
      others.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  };
  const count = (): number => lane.connections.size + others.size;
  server.on('connection', (socket: Socket) => {
    if (door.passOn?.(socket) === true) return;
    if (count() >= connectionsMax() && !makeRoom()) return void socket.destroy();
    new Connection(socket, lane);
  });
  const slowChecks = setInterval(() => {
    for (const connection of lane.connections) connection.checkSlow();
  }, slowCheckEveryMs);
  slowChecks.unref();
  server.on('close', () => clearInterval(slowChecks));
  return { lane, count };
}

const ignore = (): void => {};
