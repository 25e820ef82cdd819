/**
 * The simulator's server: one port, all dialects, no model behind it. Gemini's API is under /v1beta, Cohere's under
 * /v2, Bedrock's under /model, the others under /v1.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isObject, type Json } from '../base/json.ts';
import { createServer } from '../base/node-http.ts';
import { files, type Inquiry, models, type Outcome, postAt, posts, reject } from './endpoints.ts';
import { enginePage } from './engine.ts';
import { type ErrorReply, errorBody, errorHeaders, faultReply, midwayError, Rejection } from './errors.ts';
import type { Clock, Dialect } from './exchange.ts';
import { type FaultName, faults } from './faults.ts';
import { createShelf } from './files.ts';
import { formFields } from './form.ts';
import { createObjects, isObjectPath } from './objects.ts';
import { play, systemClock } from './play.ts';
import { baseScenario, faultDraw, type Scenario } from './scenario.ts';
import { isImmediate, isSteps, joined, openHead, script, type Wire, wholeHead } from './script.ts';
import { type SessionDeps, serveSessions } from './sessions.ts';
import type { SimulateSettings } from './settings.ts';

/** Largest request body accepted, in bytes. */
export const bodyMaxBytes = 64 * 1024 * 1024;
const connectionsMax = 16_384;
const keepAliveMs = 65_000;

/** A running simulator. */
export interface Simulator {
  /** Without `/v1`, `/v1beta` or `/v2`. */
  readonly url: string;
  readonly port: number;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/** One request in flight. */
interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly inquiry: Inquiry;
  readonly clock: Clock;
}

const idNames: Readonly<Partial<Record<Dialect, string>>> = {
  anthropic: 'request-id',
  bedrock: 'x-amzn-requestid',
};

function wireOf(
  call: Call,
  status: number,
  headers: readonly string[],
  body: Wire['body'],
  outputTokens: number,
  encoding: Wire['encoding'] = 'utf8',
): Wire {
  const { dialect } = call.inquiry;
  const { requestId } = call;
  const idName = idNames[dialect] ?? 'x-request-id';
  return {
    dialect,
    requestId,
    status,
    headers: [...headers, idName, requestId],
    body,
    encoding,
    outputTokens,
  };
}

function send(call: Call, wire: Wire, scenario: Scenario, fault: FaultName | null): void {
  if (!isImmediate(wire, scenario, fault)) {
    play(call.response, script(wire, scenario, fault), call.clock);
    return;
  }
  const { body } = wire;
  const head = isSteps(body) ? openHead(wire) : wholeHead(wire, body);
  call.response.writeHead(head.status, [...head.headers]);
  if (isSteps(body)) call.response.end(joined(body), wire.encoding);
  else call.response.end(body);
}

const json = ['content-type', 'application/json'];
const frames = ['content-type', 'application/vnd.amazon.eventstream'];
const sse = ['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache'];

function sendError(call: Call, error: ErrorReply, scenario: Scenario | null): void {
  const body = errorBody(call.inquiry.dialect, error, call.requestId);
  const wire = wireOf(call, error.status, [...json, ...errorHeaders(call.inquiry.dialect, error)], body, 0);
  // An error needs no generation time: only an explicit delay holds it back.
  send(call, wire, { ...call.inquiry.base, delayMs: scenario?.delayMs ?? 0 }, null);
}

function sendOutcome(
  call: Call,
  { scenario, fault, body, encoding = 'utf8', contentType, outputTokens }: Outcome,
): void {
  const kind = fault === null ? null : faults[fault].kind;
  if (fault === 'redirect') {
    send(
      call,
      wireOf(call, 302, ['location', '/v1/redirected'], '', 0),
      { ...scenario, delayMs: scenario.delayMs ?? 0 },
      null,
    );
  } else if (fault !== null && kind === 'error') {
    const { dialect } = call.inquiry;
    sendError(
      call,
      faultReply(fault, dialect, scenario, call.clock.wallMs()) ?? midwayError(dialect),
      scenario,
    );
  } else {
    const plain = contentType === undefined ? json : ['content-type', contentType];
    const stream = call.inquiry.dialect === 'bedrock' ? frames : sse;
    // Replicate creates a prediction.
    const status = call.inquiry.dialect === 'replicate' ? 201 : 200;
    const wire = wireOf(call, status, isSteps(body) ? stream : plain, body, outputTokens, encoding);
    send(call, wire, scenario, kind === 'wire' ? fault : null);
  }
}

/** Runs an endpoint; whatever it throws becomes an error reply. */
function attempt(call: Call, run: () => Outcome): void {
  try {
    sendOutcome(call, run());
  } catch (error) {
    if (error instanceof Rejection) sendError(call, error.reply, null);
    else if (call.response.headersSent) call.response.destroy();
    else {
      const message = `The simulator failed: ${error instanceof Error ? error.message : 'unknown error'}.`;
      sendError(call, { status: 500, type: 'api_error', message }, null);
    }
  }
}

function parse(dialect: Dialect, bytes: Buffer, raw: string): Json {
  const refuse = (what: string): never => {
    const message = `${what} Send one JSON object, encoded as UTF-8.`;
    return reject({ status: 400, type: 'invalid_request_error', message });
  };
  if (!isUtf8(bytes)) refuse('The request body is not valid UTF-8.');
  let body: unknown;
  try {
    body = JSON.parse(raw);
  } catch {
    const openai = 'We could not parse the JSON body of your request.';
    refuse(dialect === 'openai' || dialect === 'responses' ? openai : 'The request body is not valid JSON.');
  }
  return isObject(body) ? body : refuse('The request body is not a JSON object.');
}

function refuseSize(call: Call): void {
  const type = call.inquiry.dialect === 'anthropic' ? 'request_too_large' : 'invalid_request_error';
  const message = `The request body is larger than ${bodyMaxBytes} bytes.`;
  sendError(call, { status: 413, type, message, headers: ['connection', 'close'] }, null);
}

/** Reads the body up to the size limit, then calls `then`; never if the client leaves before. */
function readBody(call: Call, then: (bytes: Buffer) => void): void {
  const { request } = call;
  if (Number(request.headers['content-length'] ?? 0) > bodyMaxBytes) {
    refuseSize(call);
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= bodyMaxBytes) chunks.push(chunk);
    else if (!call.response.headersSent) {
      chunks.length = 0;
      refuseSize(call);
    }
  });
  request.on('end', () => {
    if (size <= bodyMaxBytes) then(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
  });
}

function refuseMethod(call: Call, allow: string): void {
  const message = `Not allowed to ${call.request.method} on ${call.inquiry.path}; use ${allow}.`;
  const error = { status: 405, type: 'invalid_request_error', message, code: 'method_not_supported' };
  sendError(call, { ...error, headers: ['allow', allow] }, null);
}

const wrongMethod: ErrorReply = {
  status: 405,
  type: 'invalid_request_error',
  message: 'Files and other objects may be listed, made, read and deleted.',
  code: 'method_not_supported',
};

function refusePath(call: Call): void {
  const { path, dialect } = call.inquiry;
  const followed = path === '/v1/redirected';
  const what = followed
    ? 'The redirect was followed, which it must not be'
    : `Invalid URL (${call.request.method} ${path})`;
  const known = [...Object.keys(posts), '/v1/models'].join(', ');
  const type = dialect === 'anthropic' ? 'not_found_error' : 'invalid_request_error';
  sendError(call, { status: 404, type, message: `${what}. The simulator serves ${known}.` }, null);
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** The fields of a body, and its text. */
function bodyOf({ request, inquiry }: Call, bytes: Buffer): readonly [Json, string] {
  const type = request.headers['content-type'] ?? '';
  if (type.startsWith('multipart/')) return [formFields(bytes, type), bytes.toString('latin1')];
  const raw = bytes.toString();
  return [parse(inquiry.dialect, bytes, raw), raw];
}

/** Answers a request about a stored object. */
function stored(call: Call, bytes: Buffer): void {
  const { inquiry, request } = call;
  const { path, dialect, base: scenario, objects, draw } = inquiry;
  attempt(call, () => {
    const [fields, raw] = bytes.length === 0 ? [{}, path] : bodyOf(call, bytes);
    const api = dialect === 'responses' ? 'openai' : dialect;
    const reply = objects.answer(api, request.method ?? '', path, fields);
    if (reply === null) return reject(wrongMethod);
    const { body, contentType } = reply;
    const written = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const done = { scenario, fault: draw(scenario, raw), body: written, outputTokens: 0 };
    return contentType === undefined ? done : { ...done, contentType };
  });
}

function handle(call: Call): void {
  const { request, inquiry } = call;
  const { path } = inquiry;
  const post = postAt(path);
  const isStored =
    isObjectPath(inquiry.dialect, path) && (post === undefined || inquiry.dialect === 'anthropic');
  if (isStored) return readBody(call, (bytes) => stored(call, bytes));
  if (post !== undefined && request.method === 'POST') {
    readBody(call, (bytes) => {
      attempt(call, () => {
        const outcome = post.run(inquiry, ...bodyOf(call, bytes));
        const { body, fault } = outcome;
        if (path === '/v1/responses' && fault === null && typeof body === 'string')
          inquiry.objects.keepResponse(body);
        return outcome;
      });
    });
    return;
  }
  request.resume();
  if (path === '/v1/files' || path.startsWith('/v1/files/')) {
    return attempt(call, () => files(inquiry, request.method ?? '') ?? reject(wrongMethod));
  }
  const isModels = path === '/v1/models' || path.startsWith('/v1/models/');
  if (post !== undefined) refuseMethod(call, 'POST');
  else if (!isModels) refusePath(call);
  else if (request.method !== 'GET') refuseMethod(call, 'GET');
  else attempt(call, () => models(inquiry));
}

/** The dialect of a path that no endpoint has. */
function dialectAt(path: string, guessed: Dialect): Dialect {
  if (path.startsWith('/v2/')) return 'cohere';
  return path.startsWith('/v1beta/') ? 'gemini' : guessed;
}

function listener(
  settings: SimulateSettings,
  asked: Pick<SessionDeps, 'models' | 'base' | 'draw'>,
  clock: Clock,
): (request: IncomingMessage, response: ServerResponse) => void {
  const shared = { ...asked, shelf: createShelf(), objects: createObjects() };
  let count = 0;
  let inFlight = 0;
  return (request, response) => {
    const path = pathOf(request);
    const page = request.method === 'GET' ? enginePage(path, settings.engine, inFlight) : null;
    if (page !== null) {
      request.resume();
      response.writeHead(page.status, { 'content-type': page.contentType }).end(page.body);
      return;
    }
    if (request.method === 'POST') {
      inFlight += 1;
      response.once('close', () => {
        inFlight -= 1;
      });
    }
    const header = request.headers['x-simulate'];
    const guessed = request.headers['anthropic-version'] === undefined ? 'openai' : 'anthropic';
    const dialect =
      guessed === 'anthropic' && isObjectPath('anthropic', path)
        ? guessed
        : (postAt(path)?.dialect ?? dialectAt(path, guessed));
    const query = (request.url ?? '').split('?', 2)[1] ?? '';
    const simulate = typeof header === 'string' ? header : null;
    const inquiry = { ...shared, dialect, path, query, simulate };
    const requestId = `req_sim_${String(++count).padStart(8, '0')}`;
    handle({ request, response, requestId, inquiry, clock });
  };
}

/**
 * Starts a simulator; rejects if it can't listen.
 * @param port 0: a free one
 * @param clock all timing depends on it; tests pass their own
 */
export function startSimulator(
  settings: SimulateSettings,
  host: string,
  port: number,
  clock: Clock = systemClock,
): Promise<Simulator> {
  const shared = { models: settings.models, base: baseScenario(settings), draw: faultDraw() };
  // Whatever else asks for an upgrade is answered without.
  const shouldUpgradeCallback = ({ headers }: IncomingMessage): boolean =>
    headers.upgrade?.toLowerCase() === 'websocket';
  const server = createServer(
    { keepAliveTimeout: keepAliveMs, shouldUpgradeCallback },
    listener(settings, shared, clock),
  );
  const closeSessions = serveSessions(server, { ...shared, clock });
  server.maxConnections = connectionsMax;
  return new Promise((resolve, rejectStart) => {
    server.once('error', rejectStart);
    server.listen(port, host, () => {
      server.off('error', rejectStart);
      const address = server.address() as AddressInfo;
      const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      const close = () =>
        new Promise<void>((closed) => {
          server.close(() => closed());
          server.closeAllConnections();
          closeSessions();
        });
      resolve({ url: `http://${name}:${address.port}`, port: address.port, close });
    });
  });
}
