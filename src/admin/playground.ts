/** The playground: sends one request of the dashboard's page to the data port, and its reply back as it comes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { request } from '../base/node-http.ts';

const bodyMaxBytes = 1024 * 1024;
/** Endpoints that the playground may send to. */
const paths = /^\/v1\/(?:chat\/completions|messages|responses|embeddings)$/;
/** Headers of the reply that the page shows. */
const shown =
  /^(?:content-type|x-request-id|request-id|x-sidegate-.*|server-timing|cache-status|retry-after)$/;

/**
 * Sends what the page wrote: `{"path", "key", "body"}`. Never rejects.
 * @param dataUrl URL of the data port
 * @param headers headers of every reply to the page
 * @param more headers of the request to the data port
 */
export async function play(
  req: IncomingMessage,
  res: ServerResponse,
  dataUrl: string,
  headers: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const refuse = (status: number, detail: string): void => {
    // The rest of a body that is too large is not read.
    if (!req.complete) res.setHeader('connection', 'close');
    res.writeHead(status, { ...headers, 'content-type': 'application/json' });
    res.end(JSON.stringify({ detail }));
  };
  const order = await readOrder(req);
  if (typeof order === 'string') return refuse(400, order);
  if (!URL.canParse(dataUrl))
    return refuse(409, 'The data port is a Unix socket, which the playground cannot use.');
  const sent = request(placeOf(order.path, dataUrl), {
    method: 'POST',
    headers: {
      ...more,
      'content-type': 'application/json',
      ...(order.key === '' ? {} : { authorization: `Bearer ${order.key}` }),
    },
  });
  await new Promise<void>((resolve) => {
    sent.once('response', (reply) => {
      const passed = Object.entries(reply.headers).filter(([name]) => shown.test(name));
      res.writeHead(reply.statusCode ?? 502, {
        ...headers,
        ...Object.fromEntries(passed.map(([name, value]) => [name, String(value)])),
      });
      // One that breaks off never ends the page's.
      pipeline(reply, res, () => {});
    });
    sent.once('error', () => {
      if (res.headersSent) res.destroy();
      else refuse(502, 'The data port did not answer.');
    });
    // When the page leaves, the request to the data port ends too.
    res.once('close', () => {
      sent.destroy();
      resolve();
    });
    sent.end(order.body);
  });
}

/** Where a path of the data port is called. One that listens on all addresses is called as this machine. */
function placeOf(path: string, dataUrl: string): URL {
  const url = new URL(path, dataUrl);
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return url;
}

interface Order {
  readonly path: string;
  readonly key: string;
  readonly body: string;
}

/** What the page wrote, or what is wrong with it. */
async function readOrder(req: IncomingMessage): Promise<Order | string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req) {
    bytes += (chunk as Buffer).length;
    if (bytes > bodyMaxBytes) return `Send at most ${bodyMaxBytes} bytes.`;
    chunks.push(chunk as Buffer);
  }
  try {
    const { path, key, body } = JSON.parse(Buffer.concat(chunks).toString()) as Partial<
      Record<keyof Order, unknown>
    >;
    if (typeof path !== 'string' || !paths.test(path)) return 'This endpoint is not in the playground.';
    if (typeof body !== 'string') return 'The request has no body.';
    if (typeof key !== 'string' || !/^[\x21-\x7e]*$/.test(key)) return 'This is not a valid key.';
    return { path, key, body };
  } catch {
    return 'Send JSON with path, key and body.';
  }
}
