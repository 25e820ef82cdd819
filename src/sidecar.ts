/** Puts the stages together, opens the ports, and takes over new configurations while requests run. */

import { randomBytes } from 'node:crypto';
import { openAdmin } from './admin/admin.ts';
import type { AttemptDeps } from './attempt/deps.ts';
import { createHedges } from './attempt/hedges.ts';
import { createCallers } from './authenticate/callers.ts';
import type { StoredKeys } from './authenticate/stored-keys.ts';
import { Refusal } from './base/errors.ts';
import type { Log } from './base/log.ts';
import { startTrims } from './base/memory.ts';
import type { World } from './base/world.ts';
import { createBatch } from './batch/batch.ts';
import { createCache } from './cache/cache.ts';
import { createCatalog } from './catalog/catalog.ts';
import type { Config } from './config/schema.ts';
import { createTokenCounter } from './count/counter.ts';
import { createEstimator } from './count/estimate.ts';
import { nothingBilled } from './count/usage.ts';
import { handle } from './gateway.ts';
import { createLimiter } from './limit/limit.ts';
import { createNotices } from './limit/notices.ts';
import { budgetTables, readBudgets, saveBudgets } from './limit/saved.ts';
import { type Listener, listen } from './listen/listen.ts';
import { listModels } from './models.ts';
import { retryBudget } from './native/retries.ts';
import { logRecord } from './observe/line.ts';
import { createMetrics } from './observe/metrics.ts';
import { createRecord, noCourse } from './observe/record.ts';
import { createReplay } from './replay/replay.ts';
import { createRouteTable, modelNames } from './route/route.ts';
import { createScrubPolicy } from './scrub/policy.ts';
import type { Stages } from './stages.ts';
import { openStore, type Store } from './store/database.ts';
import { createHints } from './sync/hints.ts';
import { createHealthBook } from './upstream/health.ts';
import { createUpstreams } from './upstream/upstreams.ts';

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

const realWorld: World = { clock: () => performance.now(), wallClock: Date.now, random: Math.random };

/** What clients get to read the end of their stream in once the drain is over. */
const lastWordsMs = 1000;

/** Starts a sidecar. Rejects when a port can't be opened. */
export async function startSidecar(first: Config, log: Log, world: World = realWorld): Promise<Sidecar> {
  const { clock } = world;
  const health = createHealthBook(clock);
  const { ratio, minPerSecond } = first.attempt.retryBudget;
  const budgetId = retryBudget.open(ratio, minPerSecond);
  const estimator = createEstimator();
  const cache = createCache(first.cache);
  const replay = createReplay(first.replay, clock);
  const randomKey = randomBytes(32);
  const upstreams = createUpstreams(world, log);
  const batch = createBatch(first, (model, bytes) => estimator.tokens(model, bytes), {
    clock,
    onRefused: (reason) => metrics.batchRefused(reason),
    health,
  });
  let ready = false;
  let listener: Listener | null = null;

  const kept = await openKept(first.store.path);
  const store = kept?.store ?? null;
  const storedKeys = kept?.keys ?? null;

  const metrics = createMetrics({
    limitScopes: () => limiter.scopes,
    inFlight: () => listener?.inFlight ?? 0,
    cacheEntries: () => cache.size,
    cacheBytes: () => cache.bytes,
    breakers: health.states,
    batchWaiting: () => batch.waiting,
    batchBytes: () => batch.waitingBytes,
    atWork: (priority) => batch.atWork(priority),
    engines: () => upstreams.engines(),
  });

  const hints = createHints({
    health,
    provider: upstreams.provider,
    clock,
    random: world.random,
    onState(up, why) {
      metrics.peers(up);
      if (up) log.info('peers can be reached over Redis');
      else log.warn({ why }, 'peers cannot be reached over Redis; every request is served as before');
    },
    onHint: metrics.hint,
  });

  const counter = createTokenCounter(first.count, metrics.count);

  let limitNames = namesOfLimits(first);
  // Limits of stored keys are named over the admin port; labels come from the configuration.
  const labelOf = (limit: string): string => (limitNames.has(limit) ? limit : 'stored-key');
  const limiter = createLimiter(first, {
    ...world,
    estimator,
    onEvent: createNotices(log, (limit, event) => metrics.limit(labelOf(limit), event), clock),
    saved: store === null ? [] : readBudgets(store, world.wallClock()),
  });
  const saved =
    store === null
      ? null
      : saveBudgets(store, limiter.changed, first.store.flushMs, (reason) =>
          reason === null
            ? log.info('budgets are written to the store again')
            : log.error({ reason }, 'budgets could not be written to the store; it is tried again'),
        );

  const attemptDeps = (config: Config): AttemptDeps => ({
    ...world,
    policy: config.attempt,
    health,
    budgetId,
    hedges: createHedges(config),
    estimate: (request) => estimator.tokens(request.model, request.textBytes),
    onCall: (target, outcome) => metrics.call(target.label, outcome),
    onCredential: (target, status, index) =>
      log.error(
        { provider: target.provider.name, status, apiKey: index },
        'the provider refused its apiKey; it rests for a minute',
      ),
    onRest: hints.rest,
    onBreaker(subject, target, open) {
      const name = subject === 'target' ? target.label : target.provider.name;
      if (open) log.warn({ [subject]: name }, 'its circuit breaker opened');
      else log.info({ [subject]: name }, 'its circuit breaker closed');
      hints.breaker(subject, target, open);
    },
    onBudgetSpent: metrics.budgetSpent,
    onHedge: metrics.hedge,
  });

  const callers = createCallers(storedKeys, {
    ...world,
    onRefresh: metrics.jwks,
    onIssuer: (issuer, problem) =>
      problem === null
        ? log.info({ issuer }, "the issuer's keys are here again")
        : log.warn({ issuer, problem }, "the issuer's keys cannot be fetched; known ones stay in use"),
  });

  const build = async (config: Config): Promise<Stages> => {
    const keyring = await callers.keyring(config);
    const providers = await upstreams.update(config);
    const catalog = createCatalog(config.providers, config.catalog.models, world.wallClock());
    health.begin(config);
    const routes = createRouteTable(config.routes, {
      providers,
      catalog,
      healthOf: health.target,
      random: world.random,
      tokensOf: estimator.tokens,
    });
    health.settle(config);
    hints.update(config.sync.redis);
    const { digestKey } = config.observe;
    return {
      config,
      keyring,
      policy: createScrubPolicy(config.scrub),
      digestKey: digestKey === undefined ? randomKey : Buffer.from(digestKey),
      replay,
      limiter,
      estimator,
      counter,
      cache,
      routes,
      batch,
      attempt: attemptDeps(config),
      clock,
      observe(record) {
        metrics.record(record);
        logRecord(log, record, world.wallClock());
      },
      charge: metrics.charge,
      onBug: (requestId, cause) =>
        log.error({ requestId, stack: cause instanceof Error ? cause.stack : '' }, 'defect'),
    };
  };

  let stages = await build(first);
  // A reload that opens providers while all is being closed.
  let reloading: Promise<unknown> = Promise.resolve();
  const keys = {
    token: () => stages.config.admin.token ?? null,
    keys: storedKeys,
    configured: (id: string) => {
      const { keys: fixed, oidc } = stages.config.authenticate;
      return fixed.some((key) => key.id === id) || oidc.some((issuer) => issuer.id === id);
    },
    wallClock: world.wallClock,
  };
  const release = async (): Promise<void> => {
    await reloading;
    hints.close();
    retryBudget.close(budgetId);
    // An open simulator would keep the process alive.
    await upstreams.close();
    callers.close();
    saved?.close();
    store?.close();
    limiter.close();
  };
  const admin = await openAdmin(first.admin, { ready: () => ready, registry: metrics.registry, keys }).catch(
    async (cause: unknown) => {
      await release();
      throw cause;
    },
  );
  listener = await listen(
    first.listen,
    (exchange) =>
      exchange.endpoint.name === 'models' ? listModels(exchange, stages) : handle(exchange, stages),
    clock,
    (request, { code, entry }) =>
      stages.observe(
        createRecord(request, noCourse, { status: entry.status, error: code }, nothingBilled, clock()),
      ),
  ).catch(async (cause: unknown) => {
    admin.close();
    await release();
    throw cause;
  });
  const open = listener;
  const trims = startTrims(clock);
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
      const built = build(config);
      reloading = built.catch(() => {});
      const next = await built;
      const fixed = restartNeeded(first, config);
      retryBudget.set(budgetId, config.attempt.retryBudget.ratio, config.attempt.retryBudget.minPerSecond);
      limitNames = namesOfLimits(config);
      limiter.update(config);
      cache.update(config.cache);
      replay.update(config.replay);
      batch.update(config);
      counter.update(config.count);
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
      batch.close();
      const { drainMs } = stages.config.listen;
      const abort = setTimeout(() => open.abortAll(refusal), drainMs);
      // A client that doesn't read to the end, or doesn't send to the end, holds nobody up.
      const close = setTimeout(() => open.close(), drainMs + lastWordsMs);
      await open.drained();
      // What is settled is what was counted, also for the last ones.
      await counter.close(lastWordsMs);
      clearTimeout(abort);
      clearTimeout(close);
      open.close();
      admin.close();
      trims.stop();
      await release();
    },
  };
}

function namesOfLimits({ limits, budgets, authenticate }: Config): ReadonlySet<string> {
  const ofKeys = authenticate.keys.flatMap((key) => key.limits);
  return new Set([...limits, ...budgets, ...ofKeys].map(({ name }) => name));
}

/** Settings that can't change under a running process. @param before what it was started with, and goes by */
function restartNeeded(before: Config, after: Config): string[] {
  const fixed: string[] = [];
  for (const key of ['host', 'port', 'socket', 'bodyTimeoutMs'] as const) {
    if (before.listen[key] !== after.listen[key]) fixed.push(`listen.${key}`);
  }
  for (const key of ['path', 'flushMs'] as const) {
    if (before.store[key] !== after.store[key]) fixed.push(`store.${key}`);
  }
  for (const key of ['host', 'port'] as const) {
    if (before.admin[key] !== after.admin[key]) fixed.push(`admin.${key}`);
  }
  return fixed;
}

/** The embedded store, and the keys in it; null: there is none. */
async function openKept(path: string | undefined): Promise<{ store: Store; keys: StoredKeys } | null> {
  if (path === undefined) return null;
  // Loaded only here: they bring the library of schemas along.
  const { keyTables, openStoredKeys } = await import('./authenticate/stored-keys.ts');
  const store = await openStore(path, [budgetTables, keyTables]);
  return { store, keys: openStoredKeys(store) };
}
