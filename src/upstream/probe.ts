/** Probes one engine in the background for its health and load. No request ever waits for it. */
import * as https from 'node:https';
import * as http from '../base/node-http.ts';
import { agentProxy } from '../base/proxy.ts';
import { engineKinds } from '../catalog/engines.ts';
import { isDown } from './engine.ts';
import { readGauges } from './metrics-text.ts';
import type { Reach } from './reach.ts';
import type { Engine } from './target.ts';

/** What a probe needs of its environment. */
export interface ProbeDeps {
  /** Monotonic ms. */
  readonly clock: () => number;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly reach: Reach;
  /** Called when the engine goes down and when it is back up. */
  readonly onChange: (down: boolean) => void;
}

/** Bytes read of one reply; a larger one is a failure, since gauges would be missing. */
const replyMaxBytes = 4 * 1024 * 1024;
/** Share by which each interval varies, so that many sidecars don't probe at once. */
const jitter = 0.2;

/** A probe that runs until it is stopped. */
export interface Probe {
  /** Probes once more; resolves when that is done. For tests. */
  now(): Promise<void>;
  stop(): void;
}

/**
 * Starts probing an engine.
 * @param baseUrl the provider's; a trailing `/v1` is removed
 * @param headers the provider's, flat, with its credential if the engine requires one
 */
export function startProbe(
  engine: Engine,
  baseUrl: string,
  headers: readonly string[],
  deps: ProbeDeps,
): Probe {
  const { origin, pathname, protocol } = new URL(baseUrl);
  const root = pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
  const kind = engineKinds[engine.kind];
  // A separate connection: that all of the provider's are busy is no sign of bad health.
  const web = protocol === 'https:' ? https : http;
  const { proxy, tls } = deps.reach;
  const agent = new web.Agent({ ...tls, ...agentProxy(proxy), keepAlive: true, maxSockets: 1 });
  const named: Record<string, string> = {};
  for (let i = 0; i + 1 < headers.length; i += 2) named[headers[i] ?? ''] = headers[i + 1] ?? '';
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;

  const get = (path: string): Promise<{ status: number; body: Buffer } | null> =>
    new Promise((resolve) => {
      const signal = AbortSignal.timeout(engine.probe.timeoutMs);
      const request = web.request(origin + root + path, { agent, signal, headers: named }, (reply) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        reply.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes <= replyMaxBytes) chunks.push(chunk);
          else request.destroy();
        });
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, body: Buffer.concat(chunks) }));
        reply.on('close', () => resolve(null));
      });
      request.on('error', () => resolve(null));
      request.end();
    });

  const look = async (): Promise<void> => {
    const health = await get(kind.healthPath);
    if (stopped) return;
    // Any answer means that it is up, even "no such path": only 5xx and silence are bad health.
    const alive = health !== null && health.status < 500;
    const wasDown = isDown(engine);
    engine.failures = alive ? 0 : Math.min(engine.probe.failuresMax, engine.failures + 1);
    if (isDown(engine) !== wasDown) deps.onChange(isDown(engine));
    if (!alive || kind.metrics === null) return;
    const inFlight = engine.inFlight;
    const metrics = await get(kind.metrics.path);
    if (stopped || metrics === null || metrics.status !== 200) return;
    const { waiting, running, cacheUse } = kind.metrics.names;
    const values = readGauges(
      metrics.body,
      new Set([...waiting, ...running, ...cacheUse]),
      new Set(cacheUse),
    );
    const first = (names: readonly string[]): number | undefined =>
      names.map((name) => values.get(name)).find((value) => value !== undefined);
    const [queued, working] = [first(waiting), first(running)];
    // Without these gauges it is some other page: our own count of calls says more.
    if (queued === undefined || working === undefined) return;
    engine.waiting = queued;
    engine.running = working;
    engine.cacheUse = first(cacheUse) ?? 0;
    engine.inFlightSeen = inFlight;
    engine.seenMs = deps.clock();
  };

  const loop = async (): Promise<void> => {
    await look();
    if (stopped) return;
    const waitMs = engine.probe.intervalMs * (1 - jitter + 2 * jitter * deps.random());
    timer = setTimeout(() => void loop(), waitMs);
    timer.unref();
  };
  void loop();

  return {
    now: look,
    stop() {
      stopped = true;
      // Nobody would tell those that still wait for it that it is up again.
      engine.failures = 0;
      if (timer !== null) clearTimeout(timer);
      agent.destroy();
    },
  };
}
