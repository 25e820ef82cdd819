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
import { asksForEvents, type GeminiMethod, keyInQuery, readPath } from './providers/gemini/path.ts';
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
]);

/** Of a model in the path; what follows it names the method. */
const ofModel = (name: EndpointName, method: string, stream = false, list = false): Endpoint => ({
  ...post(name, 'gemini', `:${method}`, 4),
  inPath: { stream, list },
});
const streamGenerate = ofModel('stream_generate', 'streamGenerateContent', true);
const streamList = ofModel('stream_generate', 'streamGenerateContent', true, true);
const byMethod: Readonly<Record<GeminiMethod, Endpoint>> = {
  generateContent: ofModel('generate', 'generateContent'),
  streamGenerateContent: streamList,
  countTokens: ofModel('gemini_count_tokens', 'countTokens'),
  embedContent: ofModel('embed_content', 'embedContent'),
  batchEmbedContents: ofModel('batch_embed_contents', 'batchEmbedContents'),
};

/** The endpoints whose path holds the model. */
export const modelEndpoints: readonly (readonly [path: string, endpoint: Endpoint])[] = Object.values(
  byMethod,
).map((endpoint) => [`/v1beta/models/{model}${endpoint.upstreamPath}`, endpoint]);

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

/** A request from when it is let in until its work is done and its last byte is written, or nobody is there to write to. */
class Incoming implements Exchange {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly startedMs: number;
  readonly cancellation = new Cancellation();
  body: Buffer = noBody;
  detached = false;
  /** It waits in a queue with a bound of its own. */
  parked = false;
  /** It says that it can wait, and hasn't come as far as that queue. */
  arriving = false;
  /** Its body is being read. */
  reading = true;
  /** Of its work and its connection, what isn't over yet. */
  open = 2;
  readonly #crowd: Crowd;

  constructor(
    id: string,
    endpoint: Endpoint,
    path: string,
    headers: IncomingHttpHeaders,
    startedMs: number,
    crowd: Crowd,
  ) {
    this.id = id;
    this.endpoint = endpoint;
    this.path = path;
    this.headers = headers;
    this.startedMs = startedMs;
    this.#crowd = crowd;
    crowd.active.add(this);
    // Thousands that can wait must not keep out those that can't, not even while they are being read.
    if (!saysBatch(headers)) return;
    this.park(true);
    this.arriving = true;
    crowd.arriving += 1;
  }

  detach(): void {
    this.detached = true;
  }

  park(parked: boolean): void {
    const crowd = this.#crowd;
    if (this.arriving) crowd.arriving -= 1;
    this.arriving = false;
    if (this.parked !== parked) crowd.parked += parked ? 1 : -1;
    this.parked = parked;
  }

  /** Its work is done, or its connection; called once for each. */
  end(): void {
    this.open -= 1;
    if (this.open > 0) return;
    this.park(false);
    const { active } = this.#crowd;
    active.delete(this);
    if (active.size === 0) this.#crowd.onIdle?.();
  }
}

const noBody = Buffer.alloc(0);

/** All requests of the data port. */
interface Crowd {
  readonly active: Set<Incoming>;
  parked: number;
  arriving: number;
  onIdle: (() => void) | null;
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
  const crowd: Crowd = { active: new Set(), parked: 0, arriving: 0, onIdle: null };
  const { active } = crowd;
  // The last request of each connection, for what goes wrong below HTTP.
  const atWork = new WeakMap<Socket, ServerResponse>();

  const serve = (req: IncomingMessage, res: ServerResponse): void => {
    const startedMs = clock();
    const id = requestId();
    const dialect = dialectOf(req);
    const { headers: sent, url = '/' } = req;
    atWork.set(req.socket, res);
    const inFlight = saysBatch(sent) ? crowd.arriving : active.size - crowd.parked;
    const admitted = closedTo ?? admit(req, dialect, guard, inFlight, current);
    if (admitted instanceof Refusal) return refuse(admitted, id, dialect, startedMs, req, res);
    const headers = dialect === 'gemini' ? withQueryKey(sent, url) : sent;
    const incoming = new Incoming(id, admitted, pathOf(url), headers, startedMs, crowd);
    res.on('close', () => {
      if (!res.writableFinished && !incoming.detached) incoming.cancellation.cancel('client_gone');
      incoming.end();
      if (!incoming.reading) return;
      incoming.reading = false;
      incoming.end();
    });
    readBody(req, current.bodyMaxBytes, (body) => {
      if (!incoming.reading) return;
      incoming.reading = false;
      if (body instanceof Refusal) {
        refuse(body, id, dialect, startedMs, req, res);
        return incoming.end();
      }
      incoming.body = body;
      run(incoming, res);
    });
  };

  /** Answers what comes to no pipeline. */
  const refuse = (
    refusal: Refusal,
    id: string,
    dialect: DialectName,
    startedMs: number,
    req: IncomingMessage,
    res: ServerResponse,
  ): void => {
    if (res.headersSent || res.destroyed) return;
    onRefused({ id, endpoint: endpointAt(req.url ?? '/', dialect) ?? noEndpoint, startedMs }, refusal);
    const reply = refusalReply(refusal, dialect, id);
    if (isSending(req)) answerSender(reply, req, res);
    else void respond(reply, res, current);
  };

  const run = (incoming: Incoming, res: ServerResponse): void => {
    try {
      const reply = handle(incoming);
      const sent =
        reply instanceof Promise
          ? reply.then((late) => respond(late, res, current))
          : respond(reply, res, current);
      if (!(sent instanceof Promise)) return incoming.end();
      sent.then(
        () => incoming.end(),
        () => giveUp(incoming, res),
      );
    } catch {
      giveUp(incoming, res);
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
      if (active.size > 0) await new Promise<void>((resolve) => (crowd.onIdle = resolve));
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

/** A reply that Node refuses to write: this client goes without, the process lives. */
function giveUp(incoming: Incoming, res: ServerResponse): void {
  res.destroy();
  incoming.end();
}

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
  const endpoint = byMethod[asked.method];
  return endpoint === streamList && asksForEvents(url) ? streamGenerate : endpoint;
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

/** Which SDK asks, where the path doesn't say it: Anthropic's always sends its version. */
function dialectOf(req: IncomingMessage): DialectName {
  const url = req.url ?? '';
  // Only Gemini's paths have a colon.
  if (url.startsWith('/v1beta/') || (url.includes(':') && readPath(pathOf(url)) !== null)) return 'gemini';
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
