/** Answers the requests that Node's HTTP server reads: all that aren't plain, or arrive too slowly for the lane. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Refusal } from '../base/errors.ts';
import type { HttpReply } from '../exchange/reply.ts';
import { bodyMaxOf } from './body.ts';
import { dialectOf, type Head } from './endpoints.ts';
import { duplicateHeader } from './guard.ts';
import { type Incoming, noBody } from './incoming.ts';
import { type Intake, noEndpoint, type Refused, requestId } from './intake.ts';
import { readBody } from './read-body.ts';
import type { NodeOutlet } from './respond.ts';
import type { ListenSettings } from './settings.ts';
import { type Crowd, type Turn, Turns } from './turns.ts';
import { answerBrokenHttp, answerSender, isSending, sendsOn } from './unread.ts';
import { expectationFault, framingFault, targetOf } from './version.ts';

/** What the requests of Node's server need from their port. */
export interface NodePort {
  readonly intake: Intake;
  readonly config: () => ListenSettings;
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Idle connections are closed after this time if their last request was refused. */
  readonly refusedIdleMs: number;
  /** Whether the credential in a head is good, so that the body is worth waiting for. */
  readonly mayPass: (headers: IncomingHttpHeaders) => boolean | Promise<boolean>;
  /** Runs the pipeline, which answers through `answer`. */
  run(incoming: Incoming, to: NodeOutlet): void;
  respond(reply: HttpReply, to: NodeOutlet): Promise<void> | void;
  onRefused(request: Refused, refusal: Refusal): void;
}

/** The requests and connections of Node's server. */
export interface ByNode {
  /** Takes a request. @param expects its client waits for `100 Continue` */
  take(req: IncomingMessage, res: ServerResponse, expects: boolean): void;
  /** Writes the reply to a request. */
  answer(reply: HttpReply, res: ServerResponse): Promise<void> | void;
  /** Takes bytes that Node's parser refuses. */
  fail(error: Error, socket: Socket): void;
  /** Whether every request that a connection sent is answered. */
  isIdle(socket: Socket): boolean;
}

/** Connects Node's server to the pipeline. */
export function createByNode(port: NodePort): ByNode {
  const { intake } = port;
  const connections = new WeakMap<Socket, Turns>();
  const crowd: Crowd = { waiting: 0 };

  const turnsOf = (socket: Socket): Turns => {
    const found = connections.get(socket);
    if (found !== undefined) return found;
    const turns: Turns = new Turns(socket, crowd, serve, (error, last) => {
      const id = requestId();
      const dialect = turns.latest === undefined ? 'openai' : dialectOf(headOf(turns.latest));
      const refusal = answerBrokenHttp(error, socket, last, dialect, id);
      if (refusal !== null) port.onRefused({ id, endpoint: noEndpoint, startedMs: port.clock() }, refusal);
    });
    connections.set(socket, turns);
    return turns;
  };

  const serve = ({ req, res, expects }: Turn): void => {
    const arrival = intake.arrive(headOf(req));
    const refuse = (refusal: Refusal): void => {
      if (!res.headersSent && !res.destroyed) void answer(intake.refuse(arrival, refusal), res);
    };
    const incoming = intake.accept(arrival);
    if (incoming instanceof Refusal) return refuse(incoming);
    res.on('close', () => incoming.connectionDone(res.writableFinished));
    const start = (body: Buffer): void => {
      incoming.receive(body);
      port.run(incoming, res);
    };
    const read = (passes: boolean): void => {
      if (!incoming.reading) return;
      // The pipeline refuses the credential, for which it needs no body.
      if (!passes) return start(noBody);
      if (expects) res.writeContinue();
      readBody(req, incoming, bodyMaxOf(req.headers, port.config()), (body) => {
        if (!(body instanceof Refusal)) return start(body);
        refuse(body);
        incoming.receive(noBody);
        incoming.end();
      });
    };
    const passes = isSending(req) ? port.mayPass(incoming.headers) : true;
    if (passes instanceof Promise) void passes.then(read);
    else read(passes);
  };

  const answer = (reply: HttpReply, res: ServerResponse): Promise<void> | void => {
    const { req } = res;
    if (reply.kind === 'stream') return port.respond(reply, res);
    if ((isSending(req) && !sendsOn(req)) || framingFault(req) !== null) {
      // Where the request ends is unknown or far away, so nothing behind it is read.
      turnsOf(req.socket).close();
      return answerSender(reply, req, res);
    }
    if (reply.status < 400 || !res.shouldKeepAlive) return port.respond(reply, res);
    // A refused client doesn't hold a connection for long.
    const seconds = Math.ceil(port.refusedIdleMs / 1000);
    res.on('close', () => {
      if (isIdle(req.socket)) req.socket.setTimeout(port.refusedIdleMs);
    });
    const headers = [...reply.headers, 'connection', 'keep-alive', 'keep-alive', `timeout=${seconds}`];
    return port.respond({ ...reply, headers }, res);
  };

  const isIdle = (socket: Socket): boolean => connections.get(socket)?.idle ?? true;

  return {
    take: (req, res, expects) => turnsOf(req.socket).add({ req, res, expects }),
    answer,
    fail: (error, socket) => turnsOf(socket).fail(error),
    isIdle,
  };
}

const headOf = (req: IncomingMessage): Head => ({
  method: req.method ?? '',
  ...targetOf(req),
  fault: framingFault(req) ?? expectationFault(req) ?? duplicateHeader(req),
});
