/** Turns connections into WebSockets: checks what asks for one, and runs the pipeline before it is accepted. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { Refusal } from '../base/errors.ts';
import { presentedKey } from '../exchange/credential.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { saysBatch } from '../exchange/priority.ts';
import type { Reply, SessionReply, WholeReply } from '../exchange/reply.ts';
import { sharedOptions } from '../upstream/web-socket.ts';
import type { Head } from './endpoints.ts';
import { duplicateHeader } from './guard.ts';
import { noBody } from './incoming.ts';
import type { Intake } from './intake.ts';
import { headText } from './reply-head.ts';
import { createRunner } from './run.ts';
import type { ListenSettings } from './settings.ts';
import { framingFault, targetOf } from './version.ts';

/** A refused client has this time to read why, ms. */
const lingerMs = 1000;

/** What upgrades need from their port. */
export interface UpgradePort {
  readonly intake: Intake;
  readonly config: () => ListenSettings;
  /** The pipeline. */
  handle(exchange: Exchange): Reply | Promise<Reply>;
  /** Whether the credential in a head that has passed is still good. */
  mayStay(headers: IncomingHttpHeaders): boolean;
}

/** The connections that are WebSockets, or about to be. */
export interface Upgrades {
  /** Takes a connection of Node's server. @param early what was read behind its request */
  take(req: IncomingMessage, socket: Socket, early: Buffer): void;
  has(socket: Socket): boolean;
  /** Ends each session with this as soon as no reply is in progress. */
  leave(refusal: Refusal): void;
  /** Closes all at once. */
  close(): void;
}

/** A connection that asks to become a WebSocket. */
interface Upgrading {
  readonly req: IncomingMessage;
  /** As the pipeline reads them. */
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;
  readonly early: Buffer;
  /** Its session has begun, and sees for itself when it is gone. */
  begun: boolean;
  destroy(): void;
}

/** Whether a request asks for a WebSocket, and has nothing that would be in its way. */
export const asksForWebSocket = ({ method, headers, httpVersion }: IncomingMessage): boolean =>
  method === 'GET' &&
  httpVersion === '1.1' &&
  headers.upgrade?.toLowerCase() === 'websocket' &&
  headers['transfer-encoding'] === undefined &&
  (headers['content-length'] ?? '0') === '0';

/** Creates the upgrades of a port. */
export function createUpgrades({ intake, config, handle, mayStay }: UpgradePort): Upgrades {
  const sockets = new Set<Socket>();
  const sessions = new Set<SessionReply>();
  let leaving: Refusal | null = null;

  const send = (reply: Reply, upgrading: Upgrading): Promise<void> | void => {
    if (reply.kind === 'whole') {
      // Whoever is refused doesn't count among the sessions.
      sockets.delete(upgrading.socket);
      return refuse(reply, upgrading.socket);
    }
    if (reply.kind === 'session') return open(reply, upgrading);
    throw new Error('a stream is no answer to an upgrade');
  };
  const run = createRunner(handle, send);

  const open = async (reply: SessionReply, upgrading: Upgrading): Promise<void> => {
    sessions.add(reply);
    if (leaving !== null) reply.leave(leaving);
    const { messageMaxBytes } = config().sessions;
    try {
      await accept(reply, upgrading, messageMaxBytes, () => mayStay(upgrading.headers));
    } finally {
      sessions.delete(reply);
    }
  };

  return {
    take(req, socket, early) {
      // Without a listener, an error would end the process; a broken connection also emits `close`.
      socket.on('error', ignore);
      const head = headOf(req);
      const arrival = intake.arrive(head);
      const { max } = config().sessions;
      const crowded =
        sockets.size >= max
          ? new Refusal('overloaded', `${max} sessions are open already.`, { retryAfterMs: 1000 })
          : null;
      const incoming = crowded ?? intake.accept(arrival);
      if (incoming instanceof Refusal) return refuse(intake.refuse(arrival, incoming), socket);
      incoming.receive(noBody);
      sockets.add(socket);
      socket.setTimeout(0);
      const { headers } = incoming;
      const upgrading = { req, headers, socket, early, begun: false, destroy: () => socket.destroy() };
      socket.once('close', () => {
        sockets.delete(socket);
        incoming.connectionDone(upgrading.begun || socket.writableFinished);
      });
      // Node reads on, but closes nothing any more: a client that hangs up closes only its own side.
      socket.once('end', () => {
        if (!upgrading.begun && !socket.writableEnded) socket.destroy();
      });
      run(incoming, upgrading);
    },
    has: (socket) => sockets.has(socket),
    leave(refusal) {
      leaving = refusal;
      for (const session of sessions) session.leave(refusal);
    },
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The head of a request that may become a WebSocket. */
function headOf(req: IncomingMessage): Head {
  const { url, headers } = targetOf(req);
  const given = withProtocolKey(headers);
  const fault = framingFault(req) ?? duplicateHeader(req);
  return given instanceof Refusal
    ? { method: 'GET', url, headers, fault: fault ?? given, upgrades: true }
    : { method: 'GET', url, headers: given, fault: fault ?? faultOf(headers), upgrades: true };
}

/** What is wrong with a handshake (RFC 6455, section 4.2.1); null: nothing. */
function faultOf(headers: IncomingHttpHeaders): Refusal | null {
  if (headers['sec-websocket-version'] !== '13')
    return new Refusal('invalid_header', 'Only version 13 of WebSockets is spoken here.', {
      param: 'sec-websocket-version',
      headers: ['sec-websocket-version', '13'],
    });
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? ''))
    return new Refusal('invalid_header', 'The header sec-websocket-key is no key.', {
      param: 'sec-websocket-key',
    });
  if (!isProtocolList(headers['sec-websocket-protocol'] ?? 'none'))
    return new Refusal(
      'invalid_header',
      'The header sec-websocket-protocol is no list of names, each once.',
      {
        param: 'sec-websocket-protocol',
      },
    );
  if (saysBatch(headers))
    return new Refusal('invalid_header', 'A session can not wait as a batch request does.', {
      param: 'x-sidegate-priority',
    });
  return null;
}

const protocolList = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/;
const isProtocolList = (list: string): boolean => {
  const names = list.split(',').map((each) => each.trim());
  return protocolList.test(list) && new Set(names).size === names.length;
};
const keyProtocol = 'openai-insecure-api-key.';

/** Browsers can't send headers with a WebSocket, so OpenAI's SDK sends the key as a protocol. Makes it a header. */
function withProtocolKey(headers: IncomingHttpHeaders): IncomingHttpHeaders | Refusal {
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim());
  const [key, second] = offered.filter((each) => each.startsWith(keyProtocol));
  if (key === undefined) return headers;
  const given = key.slice(keyProtocol.length);
  const other = presentedKey(headers);
  if (second !== undefined || (other !== null && other !== given))
    return new Refusal('invalid_header', 'The handshake carries several keys.', {
      param: 'sec-websocket-protocol',
    });
  const { 'sec-websocket-protocol': _, ...others } = headers;
  const rest = offered.filter((each) => !each.startsWith(keyProtocol)).join(', ');
  const named = rest === '' ? others : { ...others, 'sec-websocket-protocol': rest };
  return { ...named, authorization: `Bearer ${given}` };
}

/** Answers a handshake with a plain reply, and closes once the client has read it. */
function refuse({ status, headers, body }: WholeReply, socket: Socket): void {
  const head = headText(status, headers, `content-length: ${body.length}\r\n`, closingAfter);
  socket.write(head, 'latin1');
  socket.end(body);
  // What it sends meanwhile is discarded: closing with it unread would take the answer from the client.
  socket.resume();
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

const closingAfter = { closing: true, idleMs: 0 };

/** Completes the handshake, and resolves when the session is over. */
async function accept(
  reply: SessionReply,
  upgrading: Upgrading,
  maxPayload: number,
  mayStay: () => boolean,
): Promise<void> {
  const { req, socket, early } = upgrading;
  const { WebSocketServer } = await import('ws');
  const { protocol, headers } = reply;
  const server = new WebSocketServer({
    ...sharedOptions,
    noServer: true,
    clientTracking: false,
    maxPayload,
    handleProtocols: () => (protocol === '' ? false : protocol),
  });
  server.on('headers', (lines) => {
    for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  });
  await new Promise<void>((resolve) => {
    const begin = (client: WebSocket | null): void => {
      upgrading.begun = true;
      resolve(reply.begin(client, mayStay));
    };
    if (!socket.destroyed) server.handleUpgrade(req, socket, early, begin);
    // The client has left meanwhile.
    if (!upgrading.begun) begin(null);
  });
}

const ignore = (): void => {};
