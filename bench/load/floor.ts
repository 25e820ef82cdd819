/**
 * The floor: the leanest proxy this runtime allows with `node:http` and undici's `dispatch`. It buffers the body and
 * passes the reply through, streams too; it parses no JSON and decides nothing. Sidegate is measured against it.
 *
 * It must stay as fast as possible, since a slow floor flatters. What was tried, as CPU time per request compared with
 * this file at 32 connections (rounds in pairs; two copies of one file differ by ±4% on a shared machine):
 * - head and body of a reply in one string, hence one plain write instead of a gathered one: 2–10% less. Kept.
 * - undici Clients on a stack instead of a Pool: 4–6% less. Kept. A queue instead of a stack: 6% more.
 * - no idle timer on the client's sockets (`keepAliveTimeout: 0`): 3% less. Kept. undici's timers off: within the
 * noise.
 *   Kept.
 * - undici's Agent, `sendDate: false`, no header filter at all, headers as an object, reading with `readable`, no
 *   request timeouts, a larger `highWaterMark`: all within the noise.
 * - undici's other HTTP parser (`useMilo`): 5–12% more.
 * - undici's Client imported by itself, as Sidegate imports its Pool: the same CPU, 10 MB less memory. Kept.
 * - `node:http` not imported as a module, which would load Node's own fetch: the same CPU, 4 MB less memory. Kept.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import Client from 'undici/lib/dispatcher/client.js';

const { createServer } = process.getBuiltinModule('node:http');
const [upstreamPort, port] = process.argv.slice(2);
const origin = `http://127.0.0.1:${upstreamPort}`;
/** Idle upstream connections, last used first. Never more than the clients' connections, whose number is bounded. */
const idle: InstanceType<typeof Client>[] = [];
const connectionsMax = 4096;

/** Passes one reply on to the client. A class, since three closures per request cost more. */
class Passage implements Dispatcher.DispatchHandler {
  readonly #client: InstanceType<typeof Client>;
  readonly #response: ServerResponse;
  #contentLength = -1;
  #ended = false;

  constructor(client: InstanceType<typeof Client>, response: ServerResponse) {
    this.#client = client;
    this.#response = response;
  }

  onRequestStart(): void {}

  onResponseStart({ rawHeaders }: Dispatcher.DispatchController, status: number): void {
    const raw = rawHeaders as Buffer[];
    const headers: string[] = [];
    for (let i = 1; i < raw.length; i += 2) {
      const name = raw[i - 1]?.toString('latin1') ?? '';
      const value = raw[i]?.toString('latin1') ?? '';
      if (name.length === 10 && (name === 'connection' || name === 'keep-alive')) continue;
      if (name.length === 17 && name === 'transfer-encoding') continue;
      if (name.length === 14 && name === 'content-length') this.#contentLength = Number(value);
      headers.push(name, value);
    }
    this.#response.writeHead(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (chunk.length === this.#contentLength) {
      // As a string it is written together with the head.
      this.#response.end(chunk.toString('latin1'), 'latin1');
      this.#ended = true;
    } else if (!this.#response.write(chunk)) {
      controller.pause();
      this.#response.once('drain', () => controller.resume());
    }
  }

  onResponseEnd(): void {
    if (!this.#ended) this.#response.end();
    idle.push(this.#client);
  }

  onResponseError(): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502).end();
    idle.push(this.#client);
  }
}

function forward(request: IncomingMessage, response: ServerResponse, body: Buffer | null): void {
  const raw = request.rawHeaders;
  const headers: string[] = [];
  for (let i = 1; i < raw.length; i += 2) {
    const name = raw[i - 1] ?? '';
    const { length } = name;
    if (length === 4 || length === 10 || length === 14) {
      const lower = name.toLowerCase();
      if (lower === 'host' || lower === 'connection' || lower === 'keep-alive' || lower === 'content-length')
        continue;
    }
    headers.push(name, raw[i] ?? '');
  }
  const client =
    idle.pop() ?? new Client(origin, { headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 60_000 });
  const { url: path = '/', method = 'GET' } = request;
  client.dispatch(
    { path, method: method as Dispatcher.HttpMethod, headers, body },
    new Passage(client, response),
  );
}

const server = createServer({ noDelay: true, keepAliveTimeout: 0 }, (request, response) => {
  let first: Buffer | null = null;
  let chunks: Buffer[] | null = null;
  request.on('data', (chunk: Buffer) => {
    if (first === null) first = chunk;
    else if (chunks === null) chunks = [first, chunk];
    else chunks.push(chunk);
  });
  request.on('end', () => forward(request, response, chunks === null ? first : Buffer.concat(chunks)));
});
server.maxConnections = connectionsMax;
server.listen(Number(port), '127.0.0.1');
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit());
