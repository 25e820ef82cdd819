/**
 * Opens WebSockets at providers, over the provider's own way of opening sockets. Frames are read and written by `ws`, on
 * the client's side too: it has no dependencies, bounds what it holds, checks masks, UTF-8 and fragments, and is what
 * most clients are tested against.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ClientOptions, WebSocket } from 'ws';
import { malformedCode } from './sending.ts';
import type { Provider } from './target.ts';

/** How a WebSocket is opened. */
export interface WebSocketOptions {
  /** Path and query. */
  readonly path: string;
  /** Flat. */
  readonly headers: readonly string[];
  readonly protocols: readonly string[];
  /** Largest message that is taken. */
  readonly messageMaxBytes: number;
}

/** What came of it. */
export type WebSocketOpened =
  /** It is paused, so that no message is lost before somebody listens. */
  | { readonly kind: 'open'; readonly headers: IncomingHttpHeaders; readonly socket: WebSocket }
  | {
      readonly kind: 'refused';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Buffer;
    }
  | { readonly kind: 'failed'; readonly error: Error };

/** Of a refusal, so much is passed on. */
const bodyMaxBytes = 64 * 1024;
/** A peer that says it closes has this time to do so. */
export const closeTimeoutMs = 3000;

/** Either side's: what is sent is neither packed nor answered by ourselves. */
export const sharedOptions = {
  perMessageDeflate: false,
  autoPong: false,
  closeTimeout: closeTimeoutMs,
  // One message in a turn of the event loop: a single read may hold thousands of short ones.
  allowSynchronousEvents: false,
};

/**
 * Opens a WebSocket. It waits as long as the provider does.
 * @param done called once, unless it is given up before
 * @returns gives it up
 */
export function openWebSocket(
  { pool, baseUrl }: Pick<Provider, 'pool' | 'baseUrl'>,
  options: WebSocketOptions,
  done: (opened: WebSocketOpened) => void,
): () => void {
  let socket: WebSocket | null = null;
  let ended = false;
  const end = (opened: WebSocketOpened): void => {
    if (ended) return;
    ended = true;
    done(opened);
  };
  const open = async (): Promise<void> => {
    // Loaded with the first session.
    const { WebSocket: Client } = await import('ws');
    if (ended) return;
    const { origin } = new URL(baseUrl);
    const client = new Client(`${origin}${options.path}`, [...options.protocols], {
      ...sharedOptions,
      headers: headersOf(options.headers),
      maxPayload: options.messageMaxBytes,
      createConnection: ((_: unknown, ready: (error: Error | null, socket?: Duplex) => void) => {
        pool.open((error, opened) => ready(error, opened ?? undefined));
        return undefined;
      }) as unknown as NonNullable<ClientOptions['createConnection']>,
    });
    socket = client;
    listen(client, end);
  };
  open().catch((error: Error) => end({ kind: 'failed', error }));
  return () => {
    ended = true;
    socket?.terminate();
  };
}

function listen(socket: WebSocket, end: (opened: WebSocketOpened) => void): void {
  let headers: IncomingHttpHeaders | null = null;
  socket.on('upgrade', (reply) => {
    headers = reply.headers;
  });
  socket.on('open', () => {
    socket.pause();
    end({ kind: 'open', headers: headers ?? {}, socket });
  });
  socket.on('unexpected-response', (request, reply) => {
    readRefusal(reply, (body) => {
      end({ kind: 'refused', status: reply.statusCode ?? 0, headers: reply.headers, body });
      request.destroy();
    });
  });
  socket.on('error', (error) => {
    // It agreed to what was never offered, or can't do the sum that proves it speaks the protocol.
    const fault = headers === null ? error : Object.assign(error, { code: malformedCode });
    end({ kind: 'failed', error: fault });
  });
}

/** Reads a refusal's body, as far as it is passed on; what breaks off is taken as it is. */
function readRefusal(reply: IncomingMessage, done: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    done(Buffer.concat(chunks).subarray(0, bodyMaxBytes));
  };
  reply.on('data', (chunk: Buffer) => {
    length += chunk.length;
    chunks.push(chunk);
    if (length >= bodyMaxBytes) end();
  });
  reply.on('end', end);
  reply.on('error', end);
  reply.on('close', end);
}

function headersOf(flat: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) headers[flat[i] as string] = flat[i + 1] as string;
  return headers;
}
