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
}

/** What became of them. */
export interface Sent {
  /** Requests sent. */
  sent: number;
  admitted: number;
  refused: number;
  failed: number;
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

/** Starts to send. */
export function startDemand({ port, pod, perSecond, streaming, maxTokens }: Stream): Demand {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlightMax });
  const sent: Sent = { sent: 0, admitted: 0, refused: 0, failed: 0, latencies: [] };
  const body = JSON.stringify({
    model: 'bench',
    user: String(pod),
    messages: [{ role: 'user', content: 'hi' }],
    max_tokens: maxTokens,
    ...(streaming && { stream: true, stream_options: { include_usage: true } }),
  });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  let inFlight = 0;
  const send = (): void => {
    sent.sent += 1;
    inFlight += 1;
    const startMs = performance.now();
    const req = request({
      host: '127.0.0.1',
      port,
      path: '/v1/chat/completions',
      method: 'POST',
      headers,
      agent,
    });
    req.on('response', (res) => {
      if (res.statusCode === 200) sent.admitted += 1;
      else if (res.statusCode === 429) sent.refused += 1;
      else sent.failed += 1;
      res.resume();
      res.on('close', () => {
        inFlight -= 1;
        sent.latencies.push(performance.now() - startMs);
      });
    });
    req.on('error', () => {
      sent.failed += 1;
      inFlight -= 1;
    });
    req.end(body);
  };
  const begunMs = performance.now();
  let due = 0;
  const timer = setInterval(() => {
    due = Math.floor(((performance.now() - begunMs) / 1000) * perSecond);
    while (sent.sent < due && inFlight < inFlightMax) send();
    // What could not be sent in time is no demand any more.
    if (inFlight >= inFlightMax) sent.sent = Math.max(sent.sent, due);
  }, tickMs);
  return {
    sent,
    async stop() {
      clearInterval(timer);
      const endMs = performance.now() + 15_000;
      while (inFlight > 0 && performance.now() < endMs) await new Promise((done) => setTimeout(done, 20));
      agent.destroy();
    },
  };
}
