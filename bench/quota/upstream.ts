/** The provider of the quota benchmark, and its oracle: it counts what was admitted, whoever let it through. */
import { createServer } from 'node:http';
import { listenLocally } from './processes.ts';

/** What the oracle has counted. */
export interface Oracle {
  readonly port: number;
  /** Requests of each pod, by its number. */
  readonly requests: readonly number[];
  /** Reply tokens of all requests. */
  readonly tokens: number;
  /** When the last request came, as `performance.now()`; 0: none has. */
  readonly lastMs: number;
  reset(): void;
  close(): void;
}

/** Reply tokens of a plain answer and of a stream, which is as long as it takes to be refunded late. */
export const plainTokens = 10;
export const streamTokens = 40;
const streamEveryMs = 100;
const bodyMaxBytes = 64 * 1024;

const usage = (tokens: number) => ({
  prompt_tokens: 0,
  completion_tokens: tokens,
  total_tokens: tokens,
});

/** Starts it. Each request says in its `user` which pod it came through. */
export async function startOracle(): Promise<Oracle> {
  let requests: number[] = [];
  let tokens = 0;
  let lastMs = 0;
  // Never the one that closes a connection first: a request could be on its way.
  const server = createServer({ keepAliveTimeout: 600_000 }, (req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => {
      if (body.length < bodyMaxBytes) body += chunk;
    });
    req.on('end', () => {
      const { user, stream } = JSON.parse(body) as { user?: string; stream?: boolean };
      const pod = Number(user);
      requests[pod] = (requests[pod] ?? 0) + 1;
      lastMs = performance.now();
      const chat = { id: 'x', created: 1, model: 'bench' };
      if (stream !== true) {
        tokens += plainTokens;
        res.setHeader('content-type', 'application/json');
        const message = { role: 'assistant', content: 'ok' };
        res.end(
          JSON.stringify({
            ...chat,
            object: 'chat.completion',
            choices: [{ index: 0, message, finish_reason: 'stop' }],
            usage: usage(plainTokens),
          }),
        );
        return;
      }
      tokens += streamTokens;
      res.setHeader('content-type', 'text/event-stream');
      const send = (event: object) =>
        res.write(`data: ${JSON.stringify({ ...chat, object: 'chat.completion.chunk', ...event })}\n\n`);
      let sent = 0;
      const timer = setInterval(() => {
        sent += 1;
        const last = sent === streamTokens;
        const delta = { content: 'word ' };
        send({ choices: [{ index: 0, delta, finish_reason: last ? 'stop' : null }] });
        if (!last) return;
        clearInterval(timer);
        send({ choices: [], usage: usage(streamTokens) });
        res.end('data: [DONE]\n\n');
      }, streamEveryMs);
      res.on('close', () => clearInterval(timer));
    });
  });
  const port = await listenLocally(server);
  return {
    port,
    get requests() {
      return requests;
    },
    get tokens() {
      return tokens;
    },
    get lastMs() {
      return lastMs;
    },
    reset() {
      requests = [];
      lastMs = 0;
      tokens = 0;
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
