/** A sidecar with two workers, and a client for each: connections of its own, which that worker serves. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { onTestFinished } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { chainConfig } from './chain.ts';
import { openaiWire, testModel } from './replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from './sidecar.ts';
import { type Script, startUpstream, type Upstream } from './upstream.ts';

/** A reply. */
export interface Told {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Which worker answered: request ids of one begin alike. */
  readonly worker: string;
}

/** Sends requests over one connection. */
export type Client = (asked?: {
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly method?: string;
  /** Sent instead of a chat. */
  readonly path?: string;
  readonly body?: object;
}) => Promise<Told>;

/** Two workers and what is around them. */
export interface Pair extends TestSidecar {
  readonly upstream: Upstream;
  /** Served by the first worker, and by the second one. */
  readonly first: Client;
  readonly second: Client;
  /** Sends requests over so many connections, which both serve. */
  many(connections: number): Client;
}

/** Sends a chat over connections of an agent; resolves with the whole reply. */
const clientOf =
  (url: string, agent: Agent): Client =>
  ({ text = 'Say hello.', headers = {}, fields = {}, method = 'POST', path = openaiWire.path, body } = {}) =>
    new Promise((resolve, reject) => {
      const sent = request(
        url + path,
        { method, agent, headers: { 'content-type': 'application/json', ...headers } },
        (res) => {
          const chunks: Buffer[] = [];
          res.on('data', (chunk: Buffer) => chunks.push(chunk));
          res.on('error', reject);
          res.on('end', () => {
            const worker = String(res.headers['x-request-id']).slice(0, -10);
            const said = Buffer.concat(chunks).toString();
            resolve({ status: res.statusCode ?? 0, headers: res.headers, text: said, worker });
          });
        },
      );
      sent.on('error', reject);
      const chat = { model: testModel, messages: [{ role: 'user', content: text }], ...fields };
      sent.end(method === 'GET' ? '' : JSON.stringify(body ?? chat));
    });

/** A client of a sidecar with so many connections, which its workers share among them. */
export function connectTo(url: string, connections: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  onTestFinished(() => agent.destroy());
  return clientOf(url, agent);
}

async function upstreamOf(scripts: readonly Script[]): Promise<Upstream> {
  const upstream = await startUpstream(...scripts);
  onTestFinished(async () => void (await upstream.close()));
  return upstream;
}

/**
 * Starts a provider and a sidecar with two workers in front of it; everything stops when the test ends.
 * @param before the provider's scripts, or a provider that is there
 */
export async function startPair(before: readonly Script[] | Upstream, more: ConfigInput = {}): Promise<Pair> {
  const upstream = 'baseUrl' in before ? before : await upstreamOf(before);
  const config = chainConfig(openaiWire, [upstream.baseUrl], more);
  const sidecar = await startTestSidecar({ workers: 2, ...config }, { startThread: realWorld.startThread });
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopped ??= sidecar.stop();
    return stopped;
  };
  onTestFinished(stop);
  const many = (connections: number): Client => connectTo(sidecar.url, connections);
  return { ...sidecar, stop, upstream, first: many(1), second: many(1), many };
}

/** Has each client open its connection, one after the other: the worker that has fewest gets the next one. */
export async function meet(
  { first, second }: Pick<Pair, 'first' | 'second'>,
  asked: Parameters<Client>[0] = {},
): Promise<void> {
  const [one, other] = [await first(asked), await second(asked)];
  if (one.worker === other.worker) throw new Error('both connections are with one worker');
}
