/**
 * Puts the rooms together. Some survive reloads, since they hold state that requests in flight need: they have an
 * `update` that adopts a new configuration (reload.ts). Anything that depends on the configuration alone is rebuilt for
 * each one: keyring, catalog, routes, scrub policy, and what stage attempt works with.
 */
import { randomBytes } from 'node:crypto';
import { createHedges } from '../attempt/hedges.ts';
import { type Callers, createCallers } from '../authenticate/callers.ts';
import { createOnlyTenant } from '../authenticate/tenants.ts';
import { type Aside, createAside } from '../base/aside.ts';
import type { Log } from '../base/log.ts';
import type { World } from '../base/world.ts';
import { type Batch, createBatch } from '../batch/batch.ts';
import { type Cache, createCache } from '../cache/cache.ts';
import { createCatalog } from '../catalog/catalog.ts';
import type { Config } from '../config/schema.ts';
import { createTokenCounter, type TokenCounter } from '../count/counter.ts';
import { createEstimator, type Estimator } from '../count/estimate.ts';
import { createLimiter, type Limiter } from '../limit/limit.ts';
import { readBudgets } from '../limit/saved.ts';
import type { SpentRow } from '../limit/scopes.ts';
import type { LimitView } from '../limit/view.ts';
import { retryBudget } from '../native/retries.ts';
import type { Segment } from '../observe/ledger/segment.ts';
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
import { createOwners, type Owners } from '../store/owners.ts';
import { createHealthBook, type HealthBook } from '../upstream/health.ts';
import { createUpstreams, type Upstreams } from '../upstream/upstreams.ts';
import { type Crew, createCrewClaims } from './crew.ts';
import { type Followers, joinFollowers, openFollowers } from './followers.ts';
import { type Kept, keep, openKept, sayIfBehind } from './kept.ts';
import { openPods, type Pods } from './pods.ts';

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
  readonly pods: Pods;
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
  /** What budgets had spent before a restart. */
  readonly saved: readonly SpentRow[];
  /** The other workers. */
  readonly crew: Crew;
}

/** What metrics depend on in a configuration. */
interface MetricSettings {
  spendMetrics: boolean;
  /** Names of all limits and budgets, and of all tenants. */
  limitNames: ReadonlySet<string>;
  tenants: ReadonlySet<string>;
}

/** What a worker beside the first one opens its rooms with. */
export interface Joining {
  readonly digestKey: Buffer;
  readonly scrubSecret: Buffer;
  readonly saved: readonly SpentRow[];
  /** Takes its records for the ledger. */
  readonly sendSegment: (segment: Segment) => void;
}

/**
 * Opens the rooms. Rejects if the store can't be opened.
 * @param inFlight number of requests in flight, for the metric
 * @param joining null: this is the first worker, which alone saves budgets and writes the ledger
 */
export async function openRooms(
  first: Config,
  log: Log,
  world: World,
  inFlight: () => number,
  crew: Crew,
  joining: Joining | null,
): Promise<Rooms> {
  const { clock, random } = world;
  const { shared } = crew;
  const opened = await openKept(first.store.path, joining === null);
  const aside = createAside(world);
  const names = createTargetNames((label) => health.isConfigured(label));
  const at = (target: string): CalledAt | null => {
    const provider = upstreams.provider(target.slice(0, target.indexOf('/')));
    return provider === undefined ? null : { dialect: provider.dialect.name, baseUrl: provider.baseUrl };
  };
  const around = { aside, names, at };
  const opening =
    joining === null
      ? openFollowers(first, log, world, around)
      : joinFollowers(first, log, world, around, joining);
  const followers = await opening.catch((error: unknown) => {
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
  const health = createHealthBook(clock, shared);
  const estimator = createEstimator();
  const claimed = createCrewClaims(crew);
  const cache = createCache(first.cache, {
    telemetry: observer,
    random,
    clock,
    peers: { tell: (news) => pods.cache.tell(news) },
    provider: (name) => upstreams.provider(name),
    shared,
    openClaims: claimed.open,
  });
  const upstreams = createUpstreams(world, observer);
  const batch = createBatch(first, estimator.tokens, { clock, telemetry: observer, health });
  const saved = joining?.saved ?? (opened === null ? [] : readBudgets(opened.store, world.wallClock()));
  if (joining === null) sayIfBehind(saved, log, world.wallClock());
  const limiter = createLimiter(first, {
    ...world,
    estimator,
    telemetry: observer,
    saved,
    leases: { used: (nowMs) => pods.leases.used(nowMs), ask: (id, cost) => pods.leases.ask(id, cost) },
    shared,
    onOpened: (meter) => {
      // The first worker shows, saves and leases them.
      if (joining !== null) crew.tell({ kind: 'meter', opened: meter });
    },
    onFull: () => {
      // Others have no more than the meters of their own requests.
      if (joining === null) crew.tell({ kind: 'sweep' });
    },
  });
  const owners = createOwners(opened?.store ?? null, first.store.flushMs, (provider, id, tenant) =>
    pods.hints.made(provider, id, tenant),
  );
  const pods = openPods({
    crew,
    world,
    observer,
    health,
    limiter,
    owners,
    cache,
    provider: upstreams.provider,
    keyBook: opened?.keyBook ?? null,
  });
  const { ratio, minPerSecond } = first.attempt.retryBudget;
  observer.nameLimits(settings.limitNames);
  hearOthers(crew, { claimed, cache, pods, clock, limiter, leads: joining === null });
  return {
    world,
    metrics,
    observer,
    followers,
    form,
    settings,
    health,
    retryBudgetId: retryBudget.open(ratio, minPerSecond, shared.name('retries')),
    estimator,
    counter: createTokenCounter(first.count, observer, world.startThread),
    aside,
    cache,
    replay: createReplay(first.replay, clock, pods.claims, claimed.open, shared),
    upstreams,
    batch,
    limiter,
    pods,
    callers: createCallers(opened?.keys ?? null, { ...world, telemetry: observer }),
    owners,
    recogniser: createRecogniserRoom({ ...world, telemetry: observer }),
    digestKey: joining?.digestKey ?? randomBytes(32),
    scrubSecret: joining?.scrubSecret ?? randomBytes(32),
    saved,
    crew,
    kept: opened && keep(opened, first.store.flushMs, limiter, observer, joining === null),
  };
}

/** Takes in what other workers tell. @param on `leads`: this is the first worker, which shows and saves meters */
function hearOthers(
  crew: Crew,
  on: {
    readonly claimed: ReturnType<typeof createCrewClaims>;
    readonly cache: Cache;
    readonly pods: Pods;
    readonly clock: () => number;
    readonly limiter: Limiter;
    readonly leads: boolean;
  },
): void {
  crew.hear((news) => {
    if (news.kind === 'claim') on.claimed.hear(news.news);
    else if (news.kind === 'cache') on.cache.hear(news.news, news.ageMs, on.clock());
    else if (news.kind === 'hint') on.pods.hints.hear(news.news);
    else if (news.kind === 'lease') on.pods.hearLease(news.news);
    else if (news.kind === 'sweep') on.limiter.sweep();
    else if (on.leads) on.limiter.join(news.opened);
  });
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
  const { world, health, estimator, observer, upstreams } = rooms;
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
  rooms.pods.update(config);
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
      hints: rooms.pods.hints,
      messageMaxBytes: config.listen.sessions.messageMaxBytes,
      aside: rooms.aside,
    },
    aside: rooms.aside,
    clock: world.clock,
    observer,
  };
}
