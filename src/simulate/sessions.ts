/** The simulator's WebSockets: opens those of Realtime and Live, and plays what their sessions say. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import {
  type ErrorReply,
  errorBody,
  errorHeaders,
  faultReply,
  invalid,
  modelNotFound,
  Rejection,
} from './errors.ts';
import type { Clock } from './exchange.ts';
import type { FaultName } from './faults.ts';
import { serves } from './models.ts';
import { createSession, type Said } from './realtime.ts';
import { type FaultDraw, override, type Scenario } from './scenario.ts';

/** What sessions share with the other endpoints. */
export interface SessionDeps {
  readonly models: readonly string[];
  readonly base: Scenario;
  readonly draw: FaultDraw;
  readonly clock: Clock;
}

const messageMaxBytes = 32 * 1024 * 1024;
/** Messages to a client that wait for their time; a client that asks for more is cut off. */
const waitingMax = 100_000;

const realtimePath = /^\/(?:openai\/)?(?:v1\/)?realtime(?:\/translations)?$/;
const livePath = /^\/ws\/google\.ai\.generativelanguage\.v1\w*\.GenerativeService\.BidiGenerateContent$/;

/** A handshake that was accepted. */
interface Asked {
  readonly dialect: 'openai' | 'gemini';
  readonly model: string;
  readonly scenario: Scenario;
  readonly fault: FaultName | null;
}

/** Serves sessions on a server. @returns closes them all */
export function serveSessions(server: Server, deps: SessionDeps): () => void {
  const open = new Set<Duplex>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, early: Buffer) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    try {
      const asked = read(request, deps);
      void accept(request, socket, early, asked, deps.clock).catch(() => socket.destroy());
    } catch (error) {
      if (error instanceof Rejection) refuse(socket, error.reply);
      else socket.destroy();
    }
  });
  return () => {
    for (const socket of open) socket.destroy();
  };
}

/** Reads a handshake. @throws Rejection */
function read({ url = '/', headers }: IncomingMessage, { models, base, draw, clock }: SessionDeps): Asked {
  const { pathname, searchParams } = new URL(url, 'http://simulator');
  const dialect = livePath.test(pathname) ? 'gemini' : 'openai';
  if (dialect === 'openai' && !realtimePath.test(pathname))
    throw new Rejection({
      status: 404,
      type: 'invalid_request_error',
      message: `Invalid URL (GET ${pathname})`,
    });
  const asked = headers['x-simulate'];
  const scenario = typeof asked === 'string' ? override(base, asked) : base;
  if (typeof scenario === 'string') return invalid(`x-simulate: ${scenario}`);
  const model = searchParams.get('model') ?? searchParams.get('deployment') ?? '';
  if (model !== '' && !serves(models, model)) throw new Rejection(modelNotFound(dialect, model));
  const fault = draw(scenario, url);
  const error = fault === null ? null : faultReply(fault, dialect, scenario, clock.wallMs());
  if (error !== null) throw new Rejection(error);
  return { dialect, model, scenario, fault };
}

function refuse(socket: Duplex, error: ErrorReply): void {
  const body = errorBody('openai', error, 'req_sim_session');
  const headers = errorHeaders('openai', error);
  let head = `HTTP/1.1 ${error.status} Refused\r\nconnection: close\r\ncontent-type: application/json\r\n`;
  head += `content-length: ${Buffer.byteLength(body)}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.end(`${head}\r\n${body}`);
}

async function accept(
  request: IncomingMessage,
  socket: Duplex,
  early: Buffer,
  asked: Asked,
  clock: Clock,
): Promise<void> {
  const { WebSocketServer } = await import('ws');
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: messageMaxBytes,
    handleProtocols: (offered) => (offered.has('realtime') ? 'realtime' : false),
  });
  sockets.handleUpgrade(request, socket, early, (client) => play(client, asked, clock));
}

/** Plays a session: one message after the other, each when it is due. */
function play(client: WebSocket, { dialect, model, scenario, fault }: Asked, clock: Clock): void {
  const session = createSession(dialect, model, scenario, fault);
  const waiting: Said[] = [];
  let cancel: (() => void) | null = null;
  const next = (): void => {
    cancel = null;
    for (let said = waiting.shift(); said !== undefined; said = waiting.shift()) {
      if (said.delayMs > 0) {
        waiting.unshift({ ...said, delayMs: 0 });
        cancel = clock.after(said.delayMs, next);
        return;
      }
      if (said.event === null) return client.terminate();
      if (client.readyState === client.OPEN) client.send(JSON.stringify(said.event));
    }
  };
  const say = (all: readonly Said[]): void => {
    for (const said of all) waiting.push(said);
    if (waiting.length > waitingMax) client.terminate();
    if (cancel === null) next();
  };
  client.on('error', () => {});
  client.on('message', (data) => say(session.answer(String(data))));
  client.on('close', () => {
    waiting.length = 0;
    cancel?.();
  });
  say(session.opened());
}
