/** Calls a recogniser over HTTP: so many at once, the others wait in a queue. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as requestSecure, Agent as SecureAgent } from 'node:https';
import { Agent as PlainAgent, request as requestPlain } from '../../base/node-http.ts';
import { agentProxy, proxyOf, type Variables } from '../../base/proxy.ts';

/** Why there is no answer; it quotes nothing that was sent or received. */
export interface Problem {
  readonly why: string;
  /** Nothing was sent, since others were before it. */
  readonly isBusy: boolean;
}

/** An answer's body, or why there is none. */
export type Answer = { readonly body: string } | { readonly problem: Problem };

/** Calls to one address. */
export interface Calls {
  /** Posts JSON, at once or when it is its turn. Never rejects; ends when `signal` is aborted. */
  post(body: string, signal: AbortSignal): Promise<Answer>;
  /** Ends the connections. */
  close(): void;
}

/** Bytes read of an answer: 4,000 values, as Presidio writes them. */
const answerMaxBytes = 1024 * 1024;
/** Calls that may wait for others. */
const waitingMax = 1000;
/** A connection that nothing was sent on for so long is closed, before the recogniser's server does that. */
const idleMs = 1500;

const failed = (why: string): Answer => ({ problem: { why, isBusy: false } });
const busy: Answer = { problem: { why: 'too many texts wait for the recogniser', isBusy: true } };
const brokenOff = failed('its answer broke off');

/** Connects when first needed. @param atOnce calls at once */
export function createCalls(url: string, atOnce: number, env: Variables): Calls {
  const secure = url.startsWith('https:');
  const Agent = secure ? SecureAgent : PlainAgent;
  const request = secure ? requestSecure : requestPlain;
  const proxy = proxyOf(url, env);
  const agent = new Agent({ ...agentProxy(proxy), keepAlive: true, maxSockets: atOnce, timeout: idleMs });
  const waiting = new Set<() => void>();
  let running = 0;

  const send = (body: string, signal: AbortSignal): Promise<Answer> =>
    new Promise((resolve) => {
      const headers = {
        'content-type': 'application/json',
        accept: 'application/json',
        'content-length': Buffer.byteLength(body),
      };
      const sent: ClientRequest = request(url, { method: 'POST', agent, headers, signal }, (answer) =>
        read(answer, (result) => {
          if ('problem' in result) sent.destroy();
          resolve(result);
        }),
      );
      sent.on('error', (cause: NodeJS.ErrnoException) => {
        // The server closed an idle connection just then.
        const isStale = sent.reusedSocket && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE');
        if (isStale && !signal.aborted) resolve(send(body, signal));
        else resolve(failed(`it can't be reached (${cause.code ?? cause.name})`));
      });
      sent.end(body);
    });

  const done = (): void => {
    running--;
    const [next] = waiting;
    next?.();
  };

  return {
    post: (body, signal) =>
      new Promise((resolve) => {
        const leave = (): void => {
          waiting.delete(begin);
          resolve(busy);
        };
        const begin = (): void => {
          waiting.delete(begin);
          signal.removeEventListener('abort', leave);
          running++;
          resolve(send(body, signal).finally(done));
        };
        if (running < atOnce) return begin();
        if (waiting.size >= waitingMax || signal.aborted) return resolve(busy);
        waiting.add(begin);
        signal.addEventListener('abort', leave, { once: true });
      }),
    close: () => agent.destroy(),
  };
}

/** Reads an answer of limited size. */
function read(answer: IncomingMessage, resolve: (result: Answer) => void): void {
  if (answer.statusCode !== 200) return resolve(failed(`it answered with status ${answer.statusCode}`));
  const chunks: Buffer[] = [];
  let bytes = 0;
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > answerMaxBytes) resolve(failed(`its answer is larger than ${answerMaxBytes} bytes`));
    else chunks.push(chunk);
  });
  answer.on('end', () => resolve({ body: Buffer.concat(chunks).toString() }));
  answer.on('error', () => resolve(brokenOff));
  answer.on('close', () => resolve(brokenOff));
}
