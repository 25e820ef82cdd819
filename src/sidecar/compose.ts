/**
 * Puts the rooms together. Some survive reloads, since they hold state that requests in flight need: they have an
 * `update` that adopts a new configuration (reload.ts). Anything that depends on the configuration alone is rebuilt for
 * each one: keyring, catalog, routes, scrub policy, and what stage attempt works with.
 */
import { randomBytes } from 'node:crypto';
import { createHedges } from '../attempt/hedges.ts';
import { type Callers, createCallers } from '../authenticate/callers.ts';
import type { StoredKeys } from '../authenticate/stored-keys.ts';
import { createOnlyTenant } from '../authenticate/tenants.ts';
import { type Aside, createAside } from '../base/aside.ts';
import type { Log } from '../base/log.ts';
import { say } from '../base/log-lines.ts';
import type { World } from '../base/world.ts';
import { type Batch, createBatch } from '../batch/batch.ts';
import { type Cache, createCache } from '../cache/cache.ts';
import { createCatalog } from '../catalog/catalog.ts';
import type { Config } from '../config/schema.ts';
import { createTokenCounter, type TokenCounter } from '../count/counter.ts';
import { createEstimator, type Estimator } from '../count/estimate.ts';
import type { KeyBook } from '../exchange/shared-keys.ts';
import { createLimiter, type Limiter } from '../limit/limit.ts';
import { budgetTables, readBudgets, type SavedBudgets, saveBudgets } from '../limit/saved.ts';
import type { SpentRow } from '../limit/scopes.ts';
import type { LimitView } from '../limit/view.ts';
import { retryBudget } from '../native/retries.ts';
import type { LineForm } from '../observe/line.ts';
import { createMetrics, type Gauges, type Metrics } from '../observe/metrics.ts';
import type { CalledAt } from '../observe/otlp/conventions.ts';
import type { FullestMeter } from '../observe/state-metrics.ts';
import { createTargetNames } from '../observe/target-names.ts';
import { createObserver, type Observer, storedKeyLimit } from '../observe/telemetry.ts';
import { createReplay, type Replay } from '../replay/replay.ts';
import { createObjectTable } from '../route/objects.ts';
import { createRouteTable } from '../route/route.ts';
import { createScrubPolicies } from '../scrub/policy.ts';
import { createRecogniserRoom, type RecogniserRoom } from '../scrub/recogniser/room.ts';
import type { Stages } from '../stages.ts';
import { lockStore, openStore, type Store } from '../store/database.ts';
import { createOwners, type Owners, ownerTables } from '../store/owners.ts';
import { type CacheSync, createCacheSync } from '../sync/cache-news.ts';
import { type ClaimSync, createClaims } from '../sync/claims.ts';
import { createHints, type Hints } from '../sync/hints.ts';
import { createKeySync, type KeySync } from '../sync/keys.ts';
import { createLeases, type LeaseSync } from '../sync/leases.ts';
import { createHealthBook, type HealthBook } from '../upstream/health.ts';
import { createUpstreams, type Upstreams } from '../upstream/upstreams.ts';
import { type Followers, openFollowers } from './followers.ts';

/** The parts that live as long as the sidecar. */
export interface Rooms {
  readonly world: World;
  readonly metrics: Metrics;
  readonly observer: Observer;
  /** What takes every record. */
  readonly followers: Followers;
  /** How the log's lines are written; its share is written by a reload. */
  readonly form: LineForm;
  /** What metrics depend on; written by a reload. */
  readonly settings: MetricSettings;
  readonly health: HealthBook;
  /** Id of the retry budget in the native core. */
  readonly retryBudgetId: number;
  readonly estimator: Estimator;
  readonly counter: TokenCounter;
  readonly aside: Aside;
  readonly cache: Cache;
  readonly replay: Replay;
  readonly upstreams: Upstreams;
  readonly batch: Batch;
  readonly limiter: Limiter;
  readonly hints: Hints;
  readonly leases: LeaseSync;
  readonly claims: ClaimSync;
  readonly cacheSync: CacheSync;
  /** Null: no key is stored. */
  readonly keySync: KeySync | null;
  readonly callers: Callers;
  readonly recogniser: RecogniserRoom;
  /** Whose objects at providers are whose. */
  readonly owners: Owners;
  /** Key of the request digests if the configuration has none. */
  readonly digestKey: Buffer;
  /** Keys placeholders where the configuration has no secret for them. */
  readonly scrubSecret: Buffer;
  /** The embedded database; null: there is none. */
  readonly kept: Kept | null;
}

/** What metrics depend on in a configuration. */
interface MetricSettings {
  spendMetrics: boolean;
  /** Names of all limits and budgets, and of all tenants. */
  limitNames: ReadonlySet<string>;
  tenants: ReadonlySet<string>;
}

/** State that outlives the process. */
interface Kept {
  readonly store: Store;
  readonly keys: StoredKeys;
  readonly keyBook: KeyBook;
  readonly budgets: SavedBudgets;
}

/**
 * Opens the rooms. Rejects if the store can't be opened.
 * @param inFlight number of requests in flight, for the metric
 */
export async function openRooms(
  first: Config,
  log: Log,
  world: World,
  inFlight: () => number,
): Promise<Rooms> {
  const { clock, random } = world;
  const opened = await openKept(first.store.path);
  const aside = createAside(world);
  const names = createTargetNames();
  const at = (target: string): CalledAt | null => {
    const provider = upstreams.provider(target.slice(0, target.indexOf('/')));
    return provider === undefined ? null : { dialect: provider.dialect.name, baseUrl: provider.baseUrl };
  };
  const followers = await openFollowers(first, log, world, { aside, names, at }).catch((error: unknown) => {
    opened?.store.close();
    throw error;
  });
  const settings = metricSettings(first);
  const gauges: Gauges = {
    limitScopes: () => limiter.scopes,
    budgets: () => limiter.budgets(),
    inFlight,
    cacheEntries: () => cache.size,
    cacheBytes: () => cache.bytes,
    breakers: (subject) => health.states(subject),
    batchWaiting: () => batch.waiting,
    batchBytes: () => batch.waitingBytes,
    upstreamInFlight: (priority) => batch.inFlight(priority),
    engines: () => upstreams.engines(),
    limits: () => byName(limiter.fullest(limitsMax), settings.limitNames),
    restingKeys: () => upstreams.restingKeys(clock()),
    ledger: () => followers.ledger?.state ?? null,
    sinks: () => followers.sinks(),
    spend: followers.spend,
    showsSpend: () => settings.spendMetrics,
    isTenant: (name) => settings.tenants.has(name),
  };
  const metrics = createMetrics(gauges, names);
  const { logTime, logShare } = first.observe;
  const form: LineForm = { iso: logTime === 'iso', terminal: world.terminal, share: logShare };
  const observer = createObserver(metrics, followers, log, form, world);
  const health = createHealthBook(clock);
  const estimator = createEstimator();
  const cacheSync = createCacheSync({
    wallClock: world.wallClock,
    random,
    hear: (news, ageMs) => cache.hear(news, ageMs, clock()),
    telemetry: observer,
  });
  const cache = createCache(first.cache, {
    telemetry: observer,
    random,
    clock,
    peers: cacheSync,
    provider: (name) => upstreams.provider(name),
  });
  const upstreams = createUpstreams(world, observer);
  const batch = createBatch(first, estimator.tokens, { clock, telemetry: observer, health });
  const saved = opened === null ? [] : readBudgets(opened.store, world.wallClock());
  sayIfBehind(saved, log, world.wallClock());
  const limiter = createLimiter(first, {
    ...world,
    estimator,
    telemetry: observer,
    saved,
    leases: { used: (nowMs) => leases.used(nowMs), ask: (id, cost) => leases.ask(id, cost) },
  });
  const keySync =
    opened === null ? null : createKeySync({ book: opened.keyBook, random, telemetry: observer });
  const leases = createLeases({
    book: limiter.book,
    onKeysVersion: (version) => keySync?.told(version),
    clock,
    random,
    telemetry: observer,
  });
  const claims = createClaims({ clock, random, telemetry: observer });
  const hints = createHints({
    health,
    hearMade: (provider, id, tenant) => owners.hear(provider, id, tenant),
    provider: upstreams.provider,
    clock,
    random,
    telemetry: observer,
  });
  const owners = createOwners(opened?.store ?? null, first.store.flushMs, hints.made);
  const { ratio, minPerSecond } = first.attempt.retryBudget;
  observer.nameLimits(settings.limitNames);
  return {
    world,
    metrics,
    observer,
    followers,
    form,
    settings,
    health,
    retryBudgetId: retryBudget.open(ratio, minPerSecond),
    estimator,
    counter: createTokenCounter(first.count, observer, world.startThread),
    aside,
    cache,
    replay: createReplay(first.replay, clock, claims),
    upstreams,
    batch,
    limiter,
    leases,
    claims,
    cacheSync,
    keySync,
    hints,
    callers: createCallers(opened?.keys ?? null, { ...world, telemetry: observer }),
    owners,
    recogniser: createRecogniserRoom({ ...world, telemetry: observer }),
    digestKey: randomBytes(32),
    scrubSecret: randomBytes(32),
    kept:
      opened === null
        ? null
        : {
            ...opened,
            budgets: saveBudgets(opened.store, limiter.changed, first.store.flushMs, observer),
          },
  };
}

/** Meters whose fullest ones are shown. */
const limitsMax = 1000;

/** The first meter of each name: they come fullest first. Limits of stored keys share a name, as label values must. */
function byName(views: readonly LimitView[], names: ReadonlySet<string>): Iterable<FullestMeter> {
  const found = new Map<string, FullestMeter>();
  for (const { limit, unit, capacity, used } of views) {
    const shown = names.has(limit) ? limit : storedKeyLimit;
    if (!found.has(shown)) found.set(shown, { limit: shown, unit, capacity, used });
  }
  return found.values();
}

/** Says that the clock is behind what was saved: it is wrong, or was. @param wallMs Unix ms */
function sayIfBehind(saved: readonly SpentRow[], log: Log, wallMs: number): void {
  const latest = Math.max(...saved.map(({ window }) => window));
  if (latest <= wallMs) return;
  const text = (ms: number): string => new Date(ms).toISOString();
  say(log, 'clockBehind', { now: text(wallMs), saved: text(latest) });
}

/** The embedded database and the keys in it; null: there is none. */
async function openKept(path: string | undefined): Promise<Pick<Kept, 'store' | 'keys' | 'keyBook'> | null> {
  if (path === undefined) return null;
  // Loaded only if needed, since it loads the schema library.
  const { keyTables, openStoredKeys } = await import('../authenticate/stored-keys.ts');
  // First of all: a newer version would change the tables of the one that uses them.
  const lock = await lockStore(path);
  const opened = await openStore(path, [budgetTables, keyTables, ownerTables]).catch((cause: unknown) => {
    lock.release();
    throw cause;
  });
  const store: Store = {
    ...opened,
    close() {
      opened.close();
      lock.release();
    },
  };
  const { openKeyBook } = await import('../authenticate/shared-keys.ts');
  return { store, keys: openStoredKeys(store), keyBook: openKeyBook(store) };
}

/** What metrics depend on in a configuration. */
export function metricSettings({ limits, budgets, authenticate, observe }: Config): MetricSettings {
  const { keys, oidc, anonymousTenant } = authenticate;
  const ofKeys = keys.flatMap((key) => key.limits);
  const tenants = [...keys, ...oidc].map(({ tenant }) => tenant);
  return {
    spendMetrics: observe.spendMetrics,
    limitNames: new Set([...limits, ...budgets, ...ofKeys].map(({ name }) => name)),
    tenants: new Set([...tenants, anonymousTenant].filter((name) => name !== undefined)),
  };
}

/**
 * Builds what the pipeline works with under a configuration, and opens new providers. Rejects, before anything has
 * changed, if one of the configuration's keys is also in the store.
 */
export async function composeStages(config: Config, rooms: Rooms): Promise<Stages> {
  const { world, health, estimator, hints, observer, upstreams } = rooms;
  const keyring = await rooms.callers.keyring(config);
  const providers = await upstreams.update(config);
  const catalog = createCatalog(config.providers, config.catalog.models, world.wallClock());
  // The routes request the state of their targets; `settle` releases the state that no route requested.
  health.begin(config);
  const routes = createRouteTable(config.routes, {
    providers,
    catalog,
    healthOf: health.target,
    random: world.random,
    tokensOf: estimator.tokens,
  });
  health.settle(config);
  const onlyTenant = createOnlyTenant(config.authenticate, rooms.kept?.keys ?? null);
  const free = Object.entries(config.providers).filter(([, { price }]) => price === 'free');
  const freeNames = new Set(free.map(([name]) => name));
  const objects = createObjectTable(providers, health.target, rooms.owners, onlyTenant, freeNames, catalog);
  hints.update(config.sync);
  rooms.leases.update(config.sync);
  rooms.keySync?.update(config.sync);
  rooms.claims.update(config.sync, config.replay.scope === 'shared');
  rooms.cacheSync.update(config.sync, config.cache.secret);
  const { digestKey } = config.observe;
  return {
    config,
    keyring,
    policies: createScrubPolicies(config.scrub, rooms.scrubSecret),
    recogniser: rooms.recogniser.update(config.scrub.recogniser),
    digestKey: digestKey === undefined ? rooms.digestKey : Buffer.from(digestKey),
    replay: rooms.replay,
    limiter: rooms.limiter,
    estimator,
    counter: rooms.counter,
    cache: rooms.cache,
    routes,
    objects,
    batch: rooms.batch,
    attempt: {
      ...world,
      policy: config.attempt,
      health,
      budgetId: rooms.retryBudgetId,
      hedges: createHedges(config),
      estimate: (request) => estimator.tokens(request.model, request.textBytes),
      telemetry: observer,
      hints,
      messageMaxBytes: config.listen.sessions.messageMaxBytes,
      aside: rooms.aside,
    },
    aside: rooms.aside,
    clock: world.clock,
    observer,
  };
}
