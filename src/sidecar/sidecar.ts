/** The sidecar: opens rooms and ports, adopts new configurations while requests are in flight, and drains. */
import { openAdmin } from '../admin/admin.ts';
import { mayPass, mayStay } from '../authenticate/authenticate.ts';
import type { Log } from '../base/log.ts';
import { startTrims } from '../base/memory.ts';
import { realWorld, type World } from '../base/world.ts';
import type { Purge } from '../cache/purged.ts';
import type { Config } from '../config/schema.ts';
import { nothingBilled } from '../count/usage.ts';
import { handle } from '../gateway/gateway.ts';
import { type Listener, listen } from '../listen/listen.ts';
import { createRecord, noCourse } from '../observe/record.ts';
import { modelNames } from '../route/route.ts';
import { keepCache, restoreCache } from './carry.ts';
import { findContainer, takenShare, underCeiling } from './ceiling.ts';
import { composeStages, openRooms } from './compose.ts';
import { joinCrew, noCrew, systemMs } from './crew.ts';
import { drain, release } from './drain.ts';
import { createOthers } from './others.ts';
import { makingRoom, startPressure } from './pressure.ts';
import { adopt } from './reload.ts';
import { shareOf } from './share.ts';
import { viewOf } from './view.ts';
import { noWorkers, startWorkers } from './workers.ts';

/** A running sidecar. */
export interface Sidecar {
  readonly dataUrl: string;
  readonly adminUrl: string;
  /** Names of the simulated providers, whose answers are invented. */
  readonly simulated: readonly string[];
  /** Names of the routes. */
  readonly models: readonly string[];
  /** Adopts a new configuration, except settings that need a restart. If it can't, rejects and keeps the old one. */
  reload(config: Config): Promise<void>;
  /** Reports that a newer configuration was refused. */
  reloadRefused(): void;
  /** Reports why the catalog file of the configuration in use can't be used; null: it is, or there is none. */
  catalogFile(problem: string | null): void;
  /** Shuts down: not ready any more, streams finish within `listen.drainMs`, the rest get an error event. */
  drain(): Promise<void>;
}

/**
 * Starts a sidecar. Rejects if a port or the store can't be opened.
 * @param passLines takes the log's lines of workers beside the first one
 */
export async function startSidecar(
  given: Config,
  log: Log,
  world: World = realWorld,
  passLines: (lines: Buffer) => void = () => {},
): Promise<Sidecar> {
  const { clock } = world;
  const container = findContainer();
  let whole = underCeiling(given, container);
  const first = shareOf(whole);
  let listener: Listener | null = null;
  let workers = noWorkers;
  let ready = false;
  let reloading: Promise<unknown> = Promise.resolve();
  const crew = given.workers === 1 ? noCrew : joinCrew(0, given.workers);
  const rooms = await openRooms(first, log, world, () => listener?.inFlight ?? 0, crew, null);
  const releaseAfter = async (cause: unknown): Promise<never> => {
    await release(rooms, reloading);
    throw cause;
  };
  let stages = await composeStages(first, rooms).catch(releaseAfter);

  const keys = {
    token: () => stages.config.admin.token ?? null,
    keys: rooms.kept?.keys ?? null,
    configured: (id: string) => {
      const { keys: fixed, oidc } = stages.config.authenticate;
      return fixed.some((key) => key.id === id) || oidc.some((issuer) => issuer.id === id);
    },
    wallClock: world.wallClock,
  };
  const limits = {
    token: keys.token,
    view: rooms.limiter.view,
    leased: () => rooms.pods.leases.up,
  };
  const others = createOthers(() => workers, rooms.observer);
  const cache = {
    token: keys.token,
    size: () => ({ entries: rooms.cache.size, bytes: rooms.cache.bytes }),
    places: () => others.places(rooms.cache.places()),
    async purge(what: Purge) {
      rooms.cache.purge(what, clock());
      await workers.purge(what);
    },
  };
  const { registry } = rooms.metrics;
  const dashboard = viewOf(rooms, others, {
    config: () => whole,
    dataUrl: () => listener?.url ?? '',
    inFlight: () => listener?.inFlight ?? 0,
  });
  const metrics = { contentType: registry.contentType, text: () => others.metricsText(registry) };
  const view = { ready: () => ready, metrics, keys, limits, cache, dashboard };
  const admin = await openAdmin(first.admin, view).catch(releaseAfter);
  const open = await listen(
    first.listen,
    (exchange) => handle(exchange, stages),
    {
      mayPass: (headers) => mayPass(headers, stages.keyring),
      mayStay: (headers) => mayStay(headers, stages.keyring),
    },
    clock,
    (request, { code, entry }) =>
      rooms.observer.record(
        createRecord(request, noCourse, { status: entry.status, error: code }, nothingBilled, clock()),
        null,
      ),
    admin.url,
    given.workers === 1 ? {} : { passOn: (socket) => workers.passOn(socket) },
  ).catch((cause: unknown) => {
    admin.close();
    return releaseAfter(cause);
  });
  listener = open;
  if (given.workers > 1) {
    const { digestKey, scrubSecret, saved, followers } = rooms;
    const zeroMs = systemMs() - clock();
    const start = { config: whole, crewId: crew.id, zeroMs, digestKey, scrubSecret, saved };
    workers = await startWorkers(
      { ...start, adminUrl: admin.url, terminal: world.terminal },
      {
        ...world,
        connections: () => open.connections,
        passLines,
        takeSegment: (segment) => followers.ledger?.take(segment),
      },
    ).catch((cause: unknown) => {
      open.close();
      admin.close();
      return releaseAfter(cause);
    });
  }
  const trims = startTrims(clock);
  const pressure = startPressure({
    clock,
    share: () => takenShare(stages.config.memory, container, process.memoryUsage.rss()),
    ...makingRoom([rooms.cache, open], open, workers),
    telemetry: rooms.observer,
  });
  const carried = { cache: rooms.cache, telemetry: rooms.observer, world, onHead: workers.restored };
  const restored = restoreCache(first.cache, carried);
  ready = true;

  return {
    dataUrl: open.url,
    adminUrl: admin.url,
    get simulated() {
      return rooms.upstreams.simulated();
    },
    get models() {
      return modelNames(stages.routes);
    },
    async reload(next) {
      // The number of workers stays until a restart.
      const config = underCeiling({ ...next, workers: given.workers }, container);
      const part = shareOf(config);
      const composed = composeStages(part, rooms);
      reloading = composed.catch(() => {});
      const made = await composed;
      await workers.compose(config);
      adopt(part, rooms, open);
      stages = made;
      whole = config;
      await workers.adopt();
      rooms.observer.reload(true);
    },
    reloadRefused: () => rooms.observer.reload(false),
    catalogFile: rooms.observer.catalogFile,
    async drain() {
      ready = false;
      pressure.stop();
      const { drainMs } = stages.config.listen;
      // Workers that have ended answer nothing.
      await Promise.all([drain(rooms, open, drainMs, admin), restored.then(() => workers.drain(drainMs))]);
      trims.stop();
      await keepCache(first.cache, carried);
      await release(rooms, reloading);
    },
  };
}
