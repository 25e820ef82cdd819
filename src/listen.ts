/** Stage listen: sockets → exchanges. Node's request objects end here; what is wrong with HTTP is answered here. */
import { randomBytes } from 'node:crypto';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { saysBatch } from './batch/priority.ts';
import { Cancellation } from './cancellation.ts';
import type { Config } from './config/schema.ts';
import { Refusal } from './errors.ts';
import type { Endpoint, EndpointName, Exchange, Reply } from './exchange.ts';
import { createGuard, duplicateHeader, type Guard } from './guard.ts';
import { asksForEvents, keyInQuery, readPath } from './providers/gemini/path.ts';
import type { DialectName } from './providers/provider.ts';
import { refusalReply, respond } from './respond.ts';
import { answerBrokenHttp, answerSender, headersMaxBytes, isSending } from './unread.ts';

const post = (
  name: Endpoint['name'],
  dialect: DialectName,
  upstreamPath: string,
  inspectId: number,
): Endpoint => ({
  name,
  dialect,
  method: 'POST',
  upstreamPath,
  inspectId,
  inPath: null,
});

/** The endpoints of the data port that have one path; Gemini's hold the model in theirs. */
export const endpoints: ReadonlyMap<string, Endpoint> = new Map([
  ['/v1/chat/completions', post('chat', 'openai', '/chat/completions', 0)],
  ['/v1/responses', post('responses', 'responses', '/responses', 5)],
  ['/v1/embeddings', post('embeddings', 'openai', '/embeddings', 1)],
  ['/v1/messages', post('messages', 'anthropic', '/messages', 2)],
  ['/v1/messages/count_tokens', post('count_tokens', 'anthropic', '/messages/count_tokens', 3)],
  ['/v2/rerank', post('rerank', 'cohere', '/rerank', 6)],
  ['/v2/embed', post('embed', 'cohere', '/embed', 7)],
]);

const generates = (name: EndpointName, stream: boolean, list: boolean): Endpoint => ({
  ...post(name, 'gemini', '', 4),
  inPath: { stream, list },
});
const generate = generates('generate', false, false);
const streamGenerate = generates('stream_generate', true, false);
const streamList = generates('stream_generate', true, true);

/** The endpoints whose path holds the model. */
export const modelEndpoints: readonly (readonly [path: string, endpoint: Endpoint])[] = [
  ['/v1beta/models/{model}:generateContent', generate],
  ['/v1beta/models/{model}:streamGenerateContent', streamGenerate],
];

const modelsPath = '/v1/models';
const geminiModelsPath = '/v1beta/models';
const modelsEndpoint = (dialect: DialectName): Endpoint => ({
  name: 'models',
  dialect,
  method: 'GET',
  upstreamPath: '/models',
  inspectId: -1,
  inPath: null,
});

const headersTimeoutMs = 10_000;
/** Idle connections are kept longer than usual clients keep theirs, so that none is closed under a request. */
const idleConnectionMs = 120_000;

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
  update(config: Config['listen']): void;
}

/** Tells the processes of a fleet apart; the rest of an id is a count. */
const idPrefix = `req_${randomBytes(9).toString('hex')}`;
let idsGiven = 0;

/** A name for a request, unique over processes and restarts; it need not be a secret. */
function requestId(): string {
  idsGiven += 1;
  return idPrefix + idsGiven.toString(16).padStart(10, '0');
}

interface Active {
  readonly cancellation: Cancellation;
  detached: boolean;
  /** It waits in a queue with a bound of its own. */
  parked: boolean;
  /** It says that it can wait, and hasn't come as far as that queue. */
  arriving: boolean;
}

/** A request that was refused before there was an exchange. */
export interface Refused {
  readonly id: string;
  /** `none` where the path is no endpoint's. */
  readonly endpoint: { readonly name: EndpointName | 'none' };
  readonly startedMs: number;
}

/**
 * Opens the data port.
 * @param handle the pipeline; never rejects
 * @param onRefused told of what is answered here
 */
export async function listen(
  config: Config['listen'],
  handle: (exchange: Exchange) => Reply | Promise<Reply>,
  clock: () => number,
  onRefused: (request: Refused, refusal: Refusal) => void,
): Promise<Listener> {
  let current = config;
  let guard = createGuard(config);
  let closedTo: Refusal | null = null;
  const active = new Set<Active>();
  let parked = 0;
  let arriving = 0;
  // The last request of each connection, for what goes wrong below HTTP.
  const atWork = new WeakMap<Socket, ServerResponse>();
  let onIdle: (() => void) | null = null;

  const serve = (req: IncomingMessage, res: ServerResponse): void => {
    const startedMs = clock();
    const id = requestId();
    const dialect = dialectOf(req);
    const refuse = (refusal: Refusal): void => {
      if (res.headersSent || res.destroyed) return;
      onRefused({ id, endpoint: endpointAt(req.url ?? '/', dialect) ?? noEndpoint, startedMs }, refusal);
      const reply = refusalReply(refusal, dialect, id);
      if (isSending(req)) answerSender(reply, req, res);
      else void respond(reply, res, current);
    };
    atWork.set(req.socket, res);
    const admitted =
      closedTo ??
      admit(req, dialect, guard, saysBatch(req.headers) ? arriving : active.size - parked, current);
    if (admitted instanceof Refusal) return refuse(admitted);
    const entry = { cancellation: new Cancellation(), detached: false, parked: false, arriving: false };
    active.add(entry);
    const park = (next: boolean): void => {
      if (entry.arriving) arriving -= 1;
      entry.arriving = false;
      if (entry.parked !== next) parked += next ? 1 : -1;
      entry.parked = next;
    };
    // Thousands that can wait must not keep out those that can't, not even while they are being read.
    if (saysBatch(req.headers)) {
      park(true);
      entry.arriving = true;
      arriving += 1;
    }
    // A request is over when its work is done and its last byte is written, or nobody is there to write to.
    let open = 2;
    const done = (): void => {
      open -= 1;
      if (open > 0) return;
      park(false);
      active.delete(entry);
      if (active.size === 0) onIdle?.();
    };
    res.once('close', () => {
      if (!res.writableFinished && !entry.detached) entry.cancellation.cancel('client_gone');
      done();
    });
    readBody(req, current.bodyMaxBytes, (body) => {
      if (body === null || body instanceof Refusal) {
        if (body !== null) refuse(body);
        return done();
      }
      const detach = (): void => {
        entry.detached = true;
      };
      const { url = '/' } = req;
      const headers = dialect === 'gemini' ? withQueryKey(req.headers, url) : req.headers;
      const exchange = {
        id,
        endpoint: admitted,
        path: pathOf(url),
        headers,
        body,
        cancellation: entry.cancellation,
        startedMs,
        detach,
        park,
      };
      void run(exchange, res).finally(done);
    });
  };

  const run = async (exchange: Exchange, res: ServerResponse): Promise<void> => {
    try {
      await respond(await handle(exchange), res, current);
    } catch {
      // A reply that Node refuses to write: this client goes without, the process lives.
      res.destroy();
    }
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
    if (Number(req.headers['content-length'] ?? 0) <= current.bodyMaxBytes) res.writeContinue();
    serve(req, res);
  });
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    const id = requestId();
    const last = atWork.get(socket);
    const dialect = last === undefined ? 'openai' : dialectOf(last.req);
    const refusal = answerBrokenHttp(error, socket, last, dialect, id);
    if (refusal !== null) onRefused({ id, endpoint: noEndpoint, startedMs: clock() }, refusal);
  });
  await opened(server, config);

  return {
    url: urlOf(server, config),
    get inFlight() {
      return active.size;
    },
    abortAll(refusal) {
      for (const { cancellation } of active) cancellation.cancel(refusal);
    },
    refuseNew(refusal) {
      closedTo = refusal;
    },
    async drained() {
      server.close();
      server.closeIdleConnections();
      if (active.size > 0) await new Promise<void>((resolve) => (onIdle = resolve));
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
    update(next) {
      current = next;
      guard = createGuard(next);
      server.maxConnections = next.connectionsMax;
    },
  };
}

const noEndpoint = { name: 'none' } as const;

function endpointAt(url: string, dialect: DialectName): Endpoint | undefined {
  const path = pathOf(url);
  if (dialect === 'gemini') return geminiEndpoint(path, url);
  if (path === modelsPath || path.startsWith(`${modelsPath}/`)) return modelsEndpoint(dialect);
  return endpoints.get(path);
}

/** A Gemini endpoint: what is asked for, and of which model, stands in its path. */
export function geminiEndpoint(path: string, url: string): Endpoint | undefined {
  const asked = readPath(path);
  if (asked === null)
    return path === geminiModelsPath || path.startsWith(`${geminiModelsPath}/`)
      ? modelsEndpoint('gemini')
      : undefined;
  if (asked.method === 'generateContent') return generate;
  return asksForEvents(url) ? streamGenerate : streamList;
}

/** Google's API takes its key from the query too; from here on it is a header, as the path goes into records. */
function withQueryKey(headers: IncomingHttpHeaders, url: string): IncomingHttpHeaders {
  if (headers['x-goog-api-key'] !== undefined) return headers;
  const key = keyInQuery(url);
  return key === null ? headers : { ...headers, 'x-goog-api-key': key };
}

/** The endpoint a request is for, or why it isn't served. */
function admit(
  req: IncomingMessage,
  dialect: DialectName,
  guard: Guard,
  inFlight: number,
  config: Config['listen'],
): Endpoint | Refusal {
  const denied = guard(req.headers) ?? duplicateHeader(req);
  if (denied !== null) return denied;
  const path = pathOf(req.url ?? '/');
  const endpoint = endpointAt(req.url ?? '/', dialect);
  if (endpoint === undefined)
    return new Refusal('not_found', `There is no endpoint ${JSON.stringify(path.slice(0, 128))}.`);
  if (req.method !== endpoint.method && !(endpoint.name === 'models' && req.method === 'HEAD')) {
    const method = String(req.method).slice(0, 16);
    return new Refusal('method_not_allowed', `${method} is not served here.`, {
      headers: ['allow', endpoint.method],
    });
  }
  if (inFlight >= config.inFlightMax) {
    return new Refusal('overloaded', `${inFlight} requests are at work already.`, { retryAfterMs: 1000 });
  }
  if (Number(req.headers['content-length'] ?? 0) > config.bodyMaxBytes) return tooLarge(config.bodyMaxBytes);
  const type = req.headers['content-type'];
  if (
    endpoint.method === 'POST' &&
    type !== undefined &&
    !/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(type)
  ) {
    return new Refusal('unsupported_media_type', 'The body is not declared as JSON.', {
      param: 'content-type',
    });
  }
  return endpoint;
}

const tooLarge = (maxBytes: number): Refusal =>
  new Refusal('body_too_large', `The body is larger than ${maxBytes} bytes.`);

/** Reads a body up to the bound. Gives the bytes, a refusal, or null when the client left. Calls back once. */
function readBody(
  req: IncomingMessage,
  maxBytes: number,
  done: (body: Buffer | Refusal | null) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let finished = false;
  const finish = (result: Buffer | Refusal | null): void => {
    if (finished) return;
    finished = true;
    done(result);
  };
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
    else {
      req.removeAllListeners('data');
      chunks.length = 0;
      finish(tooLarge(maxBytes));
    }
  });
  req.on('end', () => {
    const [first] = chunks;
    finish(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks));
  });
  req.on('close', () => finish(null));
  // A broken connection closes as well; without a listener it would end the process.
  req.on('error', () => {});
}

/** Which SDK asks, where the path doesn't say it: Anthropic's always sends its version. */
function dialectOf(req: IncomingMessage): DialectName {
  const url = req.url ?? '';
  // Only Gemini's paths have a colon.
  if (url.startsWith('/v1beta/') || (url.includes(':') && readPath(pathOf(url)) !== null)) return 'gemini';
  if (url.startsWith('/v2/')) return 'cohere';
  if (req.headers['anthropic-version'] !== undefined) return 'anthropic';
  if (url.startsWith('/v1/messages')) return 'anthropic';
  return url.startsWith('/v1/responses') ? 'responses' : 'openai';
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function opened(server: Server, { host, port, socket }: Config['listen']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket === undefined ? { host, port } : { path: socket }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** The address as a base URL. */
export function urlOf(
  server: Server,
  { host, socket }: { readonly host: string; readonly socket?: string | undefined },
): string {
  const address = server.address();
  if (socket !== undefined || address === null || typeof address === 'string') return `unix:${socket ?? ''}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}
