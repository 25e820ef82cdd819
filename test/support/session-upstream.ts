/** A provider of sessions for tests: a real WebSocket server that is told what to do with each connection. */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { World } from '../../src/base/world.ts';
import { key, keys } from './passing.ts';
import { type ConfigInput, startTestSidecar } from './sidecar.ts';

/** What a provider does with a handshake: refuses it with this, or goes on with the WebSocket. */
export type OnHandshake = (
  request: IncomingMessage,
) => { status: number; headers?: string[]; body?: string } | null;

/** A provider's side of a session. */
export interface ProviderSide {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  /** Each message, as it came. */
  readonly messages: { readonly data: Buffer; readonly binary: boolean }[];
  /** Code and reason, once it is closed. */
  readonly closed: Promise<readonly [number, string]>;
  /** The next message that fits. */
  next(fits?: (text: string) => boolean): Promise<string>;
}

/** A running provider. */
export interface SessionUpstream {
  readonly url: string;
  readonly handshakes: IncomingMessage[];
  /** The sides that are open or were. */
  readonly sides: ProviderSide[];
  /** Sockets, below WebSockets. */
  readonly raw: Duplex[];
  /** The next session that opened or will. */
  opened(): Promise<ProviderSide>;
}

/** Starts a provider. @param onOpen what it does with each session @param tls null: without */
export async function startSessionUpstream(
  onOpen: (side: ProviderSide) => void = () => {},
  onHandshake: OnHandshake = () => null,
  tls: { readonly cert: string; readonly key: string } | null = null,
): Promise<SessionUpstream> {
  const plain: RequestListener = ({ method }, response) => {
    response.setHeader('content-type', 'application/json');
    if (method === 'POST') response.end('{"id":"file-b1","object":"file"}');
    else response.writeHead(404).end('{}');
  };
  const server = tls === null ? createServer(plain) : createTlsServer({ ...tls }, plain);
  const sockets = new WebSocketServer({
    noServer: true,
    autoPong: false,
    maxPayload: 0,
    handleProtocols: (offered) => [...offered][0] ?? false,
  });
  const handshakes: IncomingMessage[] = [];
  const sides: ProviderSide[] = [];
  const raw: Duplex[] = [];
  const waiting: ((side: ProviderSide) => void)[] = [];
  const unseen: ProviderSide[] = [];
  sockets.on('headers', (lines) => lines.push('openai-processing-ms: 7', 'set-cookie: a=b'));
  server.on('upgrade', (request, socket, head) => {
    handshakes.push(request);
    raw.push(socket);
    socket.on('error', () => {});
    const refused = onHandshake(request);
    if (refused !== null) {
      const {
        status,
        headers = [],
        body = '{"error":{"message":"no","type":"invalid_request_error"}}',
      } = refused;
      const lines = [
        `HTTP/1.1 ${status} Refused`,
        ...headers,
        `content-length: ${body.length}`,
        'connection: close',
      ];
      return void socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      const side = sideOf(client, request);
      sides.push(side);
      onOpen(side);
      const next = waiting.shift();
      if (next === undefined) unseen.push(side);
      else next(side);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of raw) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === null ? 'http://127.0.0.1' : 'https://localhost'}:${port}/v1`,
    handshakes,
    sides,
    raw,
    opened() {
      const side = unseen.shift();
      return side === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(side);
    },
  };
}

function sideOf(socket: WebSocket, request: IncomingMessage): ProviderSide {
  const messages: { data: Buffer; binary: boolean }[] = [];
  let look = (): void => {};
  socket.on('error', () => {});
  socket.on('message', (data: Buffer, binary) => {
    messages.push({ data, binary });
    look();
  });
  return {
    socket,
    request,
    messages,
    closed: new Promise((resolve) =>
      socket.on('close', (code, reason) => resolve([code, reason.toString()])),
    ),
    next: (fits = () => true) =>
      new Promise((resolve) => {
        look = () => {
          const found = messages.findIndex(({ data }) => fits(data.toString()));
          if (found < 0) return;
          look = () => {};
          resolve(messages.splice(found, 1)[0]?.data.toString() ?? '');
        };
        look();
      }),
  };
}

/** A client's side of a session, with what it has received. */
export interface ClientSide extends Omit<ProviderSide, 'request'> {
  /** Status and body of the refusal; pending if the session opens. */
  readonly refused: Promise<{ status: number; headers: Record<string, unknown>; body: string }>;
  /** Rejects if it is refused. */
  readonly open: Promise<void>;
  /** `open`, or the code of the refusal. */
  readonly outcome: Promise<string>;
  /** The headers that the session was accepted with. */
  readonly accepted: Promise<Record<string, unknown>>;
}

/** Connects to a sidecar. */
export function connect(
  url: string,
  path: string,
  headers: Record<string, string> = {},
  protocols: string[] = [],
  options: object = {},
): ClientSide {
  const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, protocols, { headers, ...options });
  onTestFinished(() => socket.terminate());
  const { request: _, ...side } = sideOf(socket, null as never);
  const refused = new Promise<{ status: number; headers: Record<string, unknown>; body: string }>(
    (resolve) => {
      socket.on('unexpected-response', (_request, reply) => {
        let body = '';
        reply.on('data', (chunk) => {
          body += chunk;
        });
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body }));
      });
    },
  );
  const open = new Promise<void>((resolve, reject) => {
    socket.on('open', () => resolve());
    void refused.then(({ status, body }) => reject(new Error(`refused with ${status}: ${body}`)));
  });
  open.catch(() => {});
  const outcome = open.then(
    () => 'open',
    async () => JSON.parse((await refused).body).error.code as string,
  );
  const accepted = new Promise<Record<string, unknown>>((resolve) =>
    socket.on('upgrade', (reply) => resolve(reply.headers)),
  );
  return { ...side, refused, open, outcome, accepted };
}

/** A sidecar before one provider of sessions. */
export async function startSessions(
  upstream: Pick<SessionUpstream, 'url'>,
  more: ConfigInput = {},
  provider: object = {},
  world: Partial<World> = {},
) {
  const input: ConfigInput = {
    providers: {
      first: {
        dialect: 'openai',
        baseUrl: upstream.url,
        apiKey: 'provider-key',
        passthrough: 'unscrubbed',
        ...provider,
      } as never,
    },
    attempt: { backoffBaseMs: 0, retriesMax: 0 },
    ...more,
  };
  const sidecar = await startTestSidecar(input, world);
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopped ??= sidecar.stop();
    return stopped;
  };
  onTestFinished(stop);
  return { ...sidecar, stop };
}

/** `response.created` and `response.done` as OpenAI writes them. */
export const created = JSON.stringify({
  type: 'response.created',
  event_id: 'event_1',
  response: { id: 'resp_1', status: 'in_progress', usage: null },
});
export const done = (usage: object | null): string =>
  JSON.stringify({
    type: 'response.done',
    event_id: 'event_2',
    response: { id: 'resp_1', status: 'completed', output: [], usage },
  });
/** Usage of text. */
export const usage = (input: number, output: number, more: object = {}) => ({
  total_tokens: input + output,
  input_tokens: input,
  output_tokens: output,
  ...more,
});

export { key, keys };
