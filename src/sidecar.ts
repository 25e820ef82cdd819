/** Puts the stages together, opens the ports, and takes over new configurations while requests run. */
import { randomBytes } from 'node:crypto';
import { openAdmin } from './admin/admin.ts';
import type { AttemptDeps } from './attempt/attempt.ts';
import { createProvider, type Provider } from './attempt/connection.ts';
import { createKeyring } from './authenticate/authenticate.ts';
import { createCache } from './cache/cache.ts';
import type { Config } from './config/schema.ts';
import type { TokenKeeper } from './credentials/google.ts';
import { Refusal } from './errors.ts';
import { handle, type Stages } from './gateway.ts';
import { createEstimator } from './limit/estimate.ts';
import { createLimiter } from './limit/limit.ts';
import { type Listener, listen } from './listen.ts';
import { listModels } from './models.ts';
import { breaker } from './native.ts';
import { logRecord } from './observe/line.ts';
import type { Log } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { createRecord } from './observe/record.ts';
import { createReplay } from './replay/replay.ts';
import type { TargetHealth } from './route/plan.ts';
import { createRouteTable, modelNames } from './route/route.ts';
import { createScrubPolicy } from './scrub/inspect.ts';

/** A running sidecar. */
export interface Sidecar {
  readonly dataUrl: string;
  readonly adminUrl: string;
  /** Names of the providers whose answers are invented. */
  readonly simulated: readonly string[];
  readonly models: readonly string[];
  /** Takes over a new configuration; names the changes that need a restart. */
  reload(config: Config): Promise<readonly string[]>;
  /** A newer configuration was refused. */
  reloadRefused(): void;
  /** Not ready from now on; streams finish until `listen.drainMs`, the rest get an error event; then all is closed. */
  drain(): Promise<void>;
}

/** Clocks and chance, replaceable in tests. */
export interface World {
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly wallClock: () => number;
  readonly random: () => number;
}

const realWorld: World = { clock: () => performance.now(), wallClock: Date.now, random: Math.random };

/** What clients get to read the end of their stream in once the drain is over. */
const lastWordsMs = 1000;

/** Starts a sidecar. Rejects when a port can't be opened. */
export async function startSidecar(first: Config, log: Log, world: World = realWorld): Promise<Sidecar> {
  const { clock } = world;
  const health = new Map<string, TargetHealth>();
  const estimator = createEstimator();
  const limiter = createLimiter(first.limits, estimator, clock);
  const cache = createCache(first.cache);
  const replay = createReplay(first.replay, clock);
  const randomKey = randomBytes(32);
  const upstreams = createUpstreams(log, world);
  let ready = false;
  let listener: Listener | null = null;

  const metrics = createMetrics({
    inFlight: () => listener?.inFlight ?? 0,
    cacheEntries: () => cache.size,
    cacheBytes: () => cache.bytes,
    breakers: () =>
      [...health].map(([label, { breakerId }]) => [label, breaker.state(breakerId, clock())] as const),
  });

  const attemptDeps = (config: Config): AttemptDeps => ({
    ...world,
    policy: config.attempt,
    onCall: (target, outcome) => metrics.call(target.label, outcome),
    onCredential: (target, status) =>
      log.error(
        { provider: target.provider.name, status },
        'the provider refused its apiKey; it rests for a minute',
      ),
  });

  const build = async (config: Config): Promise<Stages> => {
    const providers = await upstreams.update(config);
    const { failures, cooldownMs } = config.attempt.breaker;
    const healthOf = (label: string): TargetHealth => {
      const known = health.get(label);
      if (known !== undefined) breaker.set(known.breakerId, failures, cooldownMs);
      const kept = known ?? { breakerId: breaker.open(failures, cooldownMs), restsUntilMs: 0 };
      health.set(label, kept);
      return kept;
    };
    const routes = createRouteTable(config.routes, providers, healthOf);
    forgetHealth(health, config);
    const { digestKey } = config.observe;
    return {
      config,
      keyring: createKeyring(config.authenticate),
      policy: createScrubPolicy(config.scrub),
      digestKey: digestKey === undefined ? randomKey : Buffer.from(digestKey),
      replay,
      limiter,
      estimator,
      cache,
      routes,
      attempt: attemptDeps(config),
      clock,
      observe(record) {
        metrics.record(record);
        logRecord(log, record, world.wallClock());
      },
      onBug: (requestId, cause) =>
        log.error({ requestId, stack: cause instanceof Error ? cause.stack : '' }, 'defect'),
    };
  };

  let stages = await build(first);
  const admin = await openAdmin(first.admin, { ready: () => ready, registry: metrics.registry }).catch(
    async (cause: unknown) => {
      // An open simulator would keep the process alive.
      await upstreams.close();
      throw cause;
    },
  );
  listener = await listen(
    first.listen,
    (exchange) =>
      exchange.endpoint.name === 'models' ? listModels(exchange, stages) : handle(exchange, stages),
    clock,
    (request, { code, entry }) =>
      stages.observe(createRecord(request, null, null, { status: entry.status, error: code }, clock())),
  ).catch(async (cause: unknown) => {
    admin.close();
    await upstreams.close();
    throw cause;
  });
  const open = listener;
  ready = true;

  return {
    dataUrl: open.url,
    adminUrl: admin.url,
    get simulated() {
      return upstreams.simulated();
    },
    get models() {
      return modelNames(stages.routes);
    },
    async reload(config) {
      const next = await build(config);
      const fixed = restartNeeded(stages.config, config);
      limiter.update(config.limits, clock());
      cache.update(config.cache);
      replay.update(config.replay);
      open.update(config.listen);
      stages = next;
      metrics.reload(true);
      return fixed;
    },
    reloadRefused: () => metrics.reload(false),
    async drain() {
      ready = false;
      const refusal = new Refusal('draining', 'Sidegate is shutting down.', { retryAfterMs: 1000 });
      open.refuseNew(refusal);
      const { drainMs } = stages.config.listen;
      const abort = setTimeout(() => open.abortAll(refusal), drainMs);
      // A client that doesn't read to the end, or doesn't send to the end, holds nobody up.
      const close = setTimeout(() => open.close(), drainMs + lastWordsMs);
      await open.drained();
      clearTimeout(abort);
      clearTimeout(close);
      open.close();
      admin.close();
      await upstreams.close();
    },
  };
}

/** Settings of a listening socket can't change under it. */
function restartNeeded(before: Config, after: Config): string[] {
  const fixed: string[] = [];
  for (const key of ['host', 'port', 'socket', 'bodyTimeoutMs'] as const) {
    if (before.listen[key] !== after.listen[key]) fixed.push(`listen.${key}`);
  }
  for (const key of ['host', 'port'] as const) {
    if (before.admin[key] !== after.admin[key]) fixed.push(`admin.${key}`);
  }
  return fixed;
}

/** Lets go of the breakers of targets that are no more. */
function forgetHealth(health: Map<string, TargetHealth>, config: Config): void {
  const kept = new Set(
    config.routes.flatMap(({ model: pattern, targets }) =>
      targets.map(({ provider, model }) => `${provider}/${model ?? pattern}`),
    ),
  );
  for (const [label, { breakerId }] of health) {
    if (kept.has(label)) continue;
    health.delete(label);
    // A request at work may still report to it.
    setTimeout(() => breaker.close(breakerId), config.attempt.totalTimeoutMs).unref();
  }
}

interface Upstreams {
  /** The providers of a configuration; unchanged ones keep their connections. */
  update(config: Config): Promise<ReadonlyMap<string, Provider>>;
  simulated(): string[];
  close(): Promise<void>;
}

function createUpstreams(log: Log, { wallClock }: World): Upstreams {
  interface Open {
    readonly made: string;
    readonly provider: Provider;
    close(): Promise<void>;
  }
  const open = new Map<string, Open>();

  const start = async (name: string, config: Config, made: string): Promise<Open> => {
    const settings = config.providers[name];
    if (settings === undefined) throw new Error(`no provider ${name}`);
    const simulator = await embeddedSimulator(settings);
    const tokens = settings.credential === 'google' ? await googleTokens(name, log, wallClock) : null;
    const provider = createProvider(name, settings, config.attempt, simulator?.url ?? null, tokens);
    return {
      made,
      provider,
      async close() {
        tokens?.close();
        await provider.pool.close();
        await simulator?.close();
      },
    };
  };

  return {
    async update(config) {
      const { connectTimeoutMs, connectionsMax } = config.attempt;
      for (const name of Object.keys(config.providers)) {
        const made = JSON.stringify([config.providers[name], connectTimeoutMs, connectionsMax]);
        const before = open.get(name);
        if (before?.made === made) continue;
        open.set(name, await start(name, config, made));
        // Requests at work finish on their connections.
        void before?.close();
      }
      for (const [name, entry] of open) {
        if (name in config.providers) continue;
        open.delete(name);
        void entry.close();
      }
      return new Map([...open].map(([name, { provider }]) => [name, provider]));
    },
    simulated: () =>
      [...open.values()].flatMap(({ provider }) => (provider.simulated ? [provider.name] : [])),
    async close() {
      await Promise.all([...open.values()].map((entry) => entry.close()));
    },
  };
}

/** Google's library is loaded only where the configuration asks for its tokens. */
async function googleTokens(provider: string, log: Log, wallClock: () => number): Promise<TokenKeeper> {
  const { fetchGoogleToken, keepToken } = await import('./credentials/google.ts');
  return keepToken(fetchGoogleToken, wallClock, (cause) =>
    // Messages of a key file that can't be read may quote it.
    log.error(
      { provider, cause: cause instanceof Error ? cause.name : 'unknown' },
      'no token from Google: check GOOGLE_APPLICATION_CREDENTIALS or the metadata server; asked again in 15 s',
    ),
  );
}

/** The simulator is loaded only where the configuration names it, so that no typo yields invented answers. */
async function embeddedSimulator(
  config: Config['providers'][string],
): Promise<{ url: string; close(): Promise<void> } | null> {
  if (!config.preset?.startsWith('simulator')) return null;
  if (config.baseUrl !== undefined) return null;
  const { startSimulator } = await import('./simulate/server.ts');
  const { simulateSchema } = await import('./simulate/settings.ts');
  const settings = config.simulate ?? simulateSchema.parse({});
  const running = await startSimulator(settings, '127.0.0.1', 0);
  const path = config.preset === 'simulator-gemini' ? '/v1beta' : '/v1';
  return { url: running.url + path, close: () => running.close() };
}
