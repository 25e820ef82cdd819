/** Demand of the quota benchmark: requests to each pod at its own steady rate, whether they are refused or not. */
import { Agent, request } from 'node:http';

/** Requests to one pod. */
export interface Stream {
  readonly port: number;
  readonly pod: number;
  readonly perSecond: number;
  /** A stream of `maxTokens`, or a plain request. */
  readonly streaming: boolean;
  readonly maxTokens: number;
  /** Key of the requests; undefined: they have none. */
  readonly key?: string;
}

/** What became of them. */
export interface Sent {
  /** Requests that were answered by the limit: let through, or refused. */
  admitted: number;
  refused: number;
  /** Requests that ended otherwise, by status and code, or by the error of the connection. */
  readonly failed: Map<string, number>;
  /** Requests that were never sent, since too many were in flight: no demand. */
  unsent: number;
  /** Latency of each reply, ms. */
  readonly latencies: number[];
}

/** Demand that goes on until it is stopped. */
export interface Demand {
  readonly sent: Sent;
  stop(): Promise<void>;
}

/** Requests of one pod that wait for their answer at most. */
const inFlightMax = 500;
const tickMs = 10;
const bodyMaxLength = 4096;

/** Starts to send, each request when it is due, however long others take. */
export function startDemand({ port, pod, perSecond, streaming, maxTokens, key }: Stream): Demand {
  // Sidecars close idle connections after a while; one that was idle for less is surely open.
  const agent = new Agent({ keepAlive: true, maxSockets: inFlightMax, timeout: idleMs });
  const sent: Sent = { admitted: 0, refused: 0, failed: new Map(), unsent: 0, latencies: [] };
  const body = JSON.stringify({
    model: 'bench',
    user: String(pod),
    messages: [{ role: 'user', content: 'hi' }],
    max_tokens: maxTokens,
    ...(streaming && { stream: true, stream_options: { include_usage: true } }),
  });
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
  };
  let inFlight = 0;
  const fail = (why: string): void => {
    sent.failed.set(why, (sent.failed.get(why) ?? 0) + 1);
  };
  const send = (): void => {
    inFlight += 1;
    const startMs = performance.now();
    let ended = false;
    const end = (): void => {
      if (!ended) inFlight -= 1;
      ended = true;
    };
    const req = request({
      host: '127.0.0.1',
      port,
      path: '/v1/chat/completions',
      method: 'POST',
      headers,
      agent,
    });
    req.on('response', (res) => {
      const { statusCode = 0 } = res;
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => {
        if (text.length < bodyMaxLength) text += chunk;
      });
      res.on('close', () => {
        if (statusCode === 200) sent.admitted += 1;
        else if (statusCode === 429) sent.refused += 1;
        else fail(`${statusCode} ${/"code": ?"(\w+)"/.exec(text)?.[1] ?? ''}`);
        sent.latencies.push(performance.now() - startMs);
        end();
      });
    });
    req.on('error', (cause: NodeJS.ErrnoException) => {
      fail(cause.code ?? cause.message);
      end();
    });
    req.end(body);
  };
  const begunMs = performance.now();
  let done = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - begunMs) / 1000) * perSecond);
    for (; done < due; done++) {
      if (inFlight < inFlightMax) send();
      else sent.unsent += 1;
    }
  }, tickMs);
  return {
    sent,
    async stop() {
      clearInterval(timer);
      const endMs = performance.now() + 15_000;
      while (inFlight > 0 && performance.now() < endMs) await new Promise((next) => setTimeout(next, 20));
      agent.destroy();
    },
  };
}

/** Connections that were idle for this long are not used again. */
const idleMs = 3000;
