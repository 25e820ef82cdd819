/** A client that controls its socket: it can wait for a piece of text, stop reading, or hang up. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';

/** A reply being received. */
export interface Incoming {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** What has arrived so far. */
  readonly text: string;
  readonly bytes: number;
  /** Resolves once this piece has arrived; rejects if the reply ends without it. */
  sees(piece: string): Promise<void>;
  /** The whole reply; rejects if the connection breaks. */
  all(): Promise<string>;
  /** Stops reading. */
  pause(): void;
  resume(): void;
  /** Closes the connection; returns the monotonic time in ms. */
  hangUp(): number;
}

/** A request that has been sent. */
export interface Sent {
  readonly reply: Promise<Incoming>;
  /** Closes the connection, whether a reply has started or not; returns the monotonic time in ms. */
  hangUp(): number;
}

/** Options of a request. */
export interface Sending {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Sent unchanged if it is text or bytes, otherwise as JSON. */
  readonly body?: unknown;
  /** Only count the received bytes, don't keep them. */
  readonly discard?: boolean;
}

/** Makes every request unusual, so that Node's HTTP server handles it instead of the lane. */
const unusual = process.env.SIDEGATE_TEST_UNUSUAL === '1' ? { te: 'trailers' } : {};

/** Sends a request on its own connection. */
export function send(
  url: string,
  path: string,
  { method = 'POST', headers = {}, body, discard = false }: Sending = {},
): Sent {
  const bytes =
    typeof body === 'string' || Buffer.isBuffer(body) ? body : body === undefined ? '' : JSON.stringify(body);
  const req = request(new URL(path, url), {
    method,
    agent: false,
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(bytes),
      ...unusual,
      ...headers,
    },
  });
  const reply = once(req, 'response').then(([res]: IncomingMessage[]) =>
    incoming(res as IncomingMessage, req, discard),
  );
  // A test that hangs up first never looks at the reply.
  reply.catch(() => {});
  req.on('error', () => {});
  req.end(bytes);
  return { reply, hangUp: () => hangUp(req) };
}

/** Sends a request; resolves with the whole reply. */
export async function ask(
  url: string,
  path: string,
  sending: Sending = {},
): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string }> {
  const reply = await send(url, path, sending).reply;
  return { status: reply.status, headers: reply.headers, text: await reply.all() };
}

function hangUp(req: ClientRequest): number {
  const nowMs = performance.now();
  req.destroy();
  return nowMs;
}

function incoming(res: IncomingMessage, req: ClientRequest, discard: boolean): Incoming {
  let text = '';
  let bytes = 0;
  let ended: 'open' | 'whole' | 'broken' = 'open';
  const waiting = new Set<() => void>();
  const decoder = new TextDecoder();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  res.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (!discard) text += decoder.decode(chunk, { stream: true });
    wake();
  });
  const over = (how: 'whole' | 'broken') => (): void => {
    if (ended === 'open') ended = how;
    wake();
  };
  res.on('end', over('whole'));
  res.on('error', over('broken'));
  res.on('close', over('broken'));

  const until = (done: () => boolean, why: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (done()) resolve();
        else if (ended !== 'open')
          reject(new Error(`the reply was over (${ended}) before ${why}: ${text.slice(-500)}`));
        else return;
        waiting.delete(look);
      };
      waiting.add(look);
      look();
    });

  return {
    status: res.statusCode ?? 0,
    headers: res.headers,
    get text() {
      return text;
    },
    get bytes() {
      return bytes;
    },
    sees: (piece) => until(() => text.includes(piece), `it held ${JSON.stringify(piece)}`),
    async all() {
      await until(() => ended === 'whole', 'its end');
      return text;
    },
    pause: () => void res.pause(),
    resume: () => void res.resume(),
    hangUp: () => hangUp(req),
  };
}

/** Writes raw bytes to a connection; resolves with everything received until the peer closes it. */
export async function rawExchange(url: string, ...pieces: (string | Buffer)[]): Promise<string> {
  const socket = await openSocket(url);
  for (const piece of pieces) socket.write(piece);
  return readAll(socket);
}

/** Opens a plain TCP connection to a base URL. */
export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  // A peer may close while more is written: whoever reads sees it, and no other test fails for it.
  socket.on('error', () => {});
  return socket;
}

/** Resolves when the socket accepts bytes again, or is closed. */
export function writable(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

/** Everything received from a socket until it closes; a reset counts as a close. */
export async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return text;
}
