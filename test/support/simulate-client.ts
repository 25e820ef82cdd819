/** Helpers of the simulator's tests: a bare HTTP client that sees every chunk and reset, and a manual clock. */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { Clock } from '../../src/simulate/exchange.ts';
import { type Simulator, startSimulator } from '../../src/simulate/server.ts';
import { simulateSchema } from '../../src/simulate/settings.ts';

/** A complete reply. `status` is 0 if the connection was reset before the headers. */
export interface Seen {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly chunks: readonly Buffer[];
  readonly text: string;
  readonly end: 'clean' | 'reset';
}

/** Starts a simulator on a free loopback port. */
export function simulator(settings: object = {}, clock?: Clock): Promise<Simulator> {
  return startSimulator(simulateSchema.parse(settings), '127.0.0.1', 0, clock);
}

/** Sends a request; resolves with the response once its headers have arrived. */
export function open(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ response: IncomingMessage; leave(): void }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      agent: false,
    });
    sent.on('response', (response) => resolve({ response, leave: () => sent.destroy() }));
    sent.on('error', reject);
    sent.end(
      typeof body === 'string' || Buffer.isBuffer(body) || body === undefined ? body : JSON.stringify(body),
    );
  });
}

/** Sends a request; resolves when the reply ends, however it ends. */
export async function call(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Seen> {
  let response: IncomingMessage;
  try {
    ({ response } = await open(url, body, headers));
  } catch {
    return { status: 0, headers: {}, chunks: [], text: '', end: 'reset' };
  }
  const chunks: Buffer[] = [];
  const end = await new Promise<Seen['end']>((resolve) => {
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => resolve('clean'));
    response.on('error', () => resolve('reset'));
  });
  const text = Buffer.concat(chunks).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, chunks, text, end };
}

/** Messages of the default request. */
export const hello = [{ role: 'user', content: 'Hello' }];

/** Calls of both chat APIs with a default request. @param sim the simulator called unless `to` is given */
export const callsTo = (sim: () => Simulator) => ({
  chat: (body: object, headers?: Record<string, string>, to = sim()) =>
    call(`${to.url}/v1/chat/completions`, { model: 'm', messages: hello, ...body }, headers),
  message: (body: object, headers?: Record<string, string>, to = sim()) =>
    call(`${to.url}/v1/messages`, { model: 'm', max_tokens: 1000, messages: hello, ...body }, headers),
});

/** An event of a stream; `data` is parsed if it is JSON. */
export interface Sse {
  readonly event: string | null;
  readonly data: unknown;
}

/** The events of a stream, which must consist of events only. */
export function events(text: string): Sse[] {
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const match = /^(?:event: (\w+)\n)?data: (.*)$/.exec(block);
      if (match === null) throw new Error(`not an event: ${block}`);
      const raw = match[2] ?? '';
      return { event: match[1] ?? null, data: raw.startsWith('{') ? JSON.parse(raw) : raw };
    });
}

/** A clock that only advances by hand. `next` waits for the next timer to be set; `fire` runs it. */
export interface HandClock extends Clock {
  next(): Promise<number>;
  fire(): void;
  /** Resolves when a timer is cancelled. */
  cancelled(): Promise<void>;
}

/** A manual clock at time 0. */
export function handClock(): HandClock {
  let nowMs = 0;
  let pending: { delayMs: number; then: () => void } | null = null;
  let onSet: ((delayMs: number) => void) | null = null;
  let onCancel: (() => void) | null = null;
  let wasCancelled = false;
  return {
    nowMs: () => nowMs,
    wallMs: () => Date.UTC(2026, 0, 1) + nowMs,
    after(delayMs, then) {
      const timer = { delayMs, then };
      pending = timer;
      onSet?.(delayMs);
      return () => {
        if (pending === timer) pending = null;
        wasCancelled = true;
        onCancel?.();
      };
    },
    next() {
      if (pending !== null) return Promise.resolve(pending.delayMs);
      return new Promise((resolve) => {
        onSet = (delayMs) => {
          onSet = null;
          resolve(delayMs);
        };
      });
    },
    fire() {
      const timer = pending;
      if (timer === null) throw new Error('no timer is set');
      pending = null;
      nowMs += timer.delayMs;
      timer.then();
    },
    cancelled: () =>
      wasCancelled
        ? Promise.resolve()
        : new Promise((resolve) => {
            onCancel = resolve;
          }),
  };
}
