/** The sidecar: opens rooms and ports, adopts new configurations while requests are in flight, and drains. */
import { openAdmin } from '../admin/admin.ts';
import { mayPass } from '../authenticate/authenticate.ts';
import type { Log } from '../base/log.ts';
import { collectGarbage, startTrims } from '../base/memory.ts';
import { realWorld, type World } from '../base/world.ts';
import type { Purge } from '../cache/purged.ts';
import type { Config } from '../config/schema.ts';
import { nothingBilled } from '../count/usage.ts';
import { handle } from '../gateway/gateway.ts';
import { type Listener, listen } from '../listen/listen.ts';
import { trimMemory } from '../native/memory.ts';
import { createRecord, noCourse } from '../observe/record.ts';
import { modelNames } from '../route/route.ts';
import { keepCache, restoreCache } from './carry.ts';
import { findContainer, takenShare, underCeiling } from './ceiling.ts';
import { composeStages, openRooms } from './compose.ts';
import { drain, release } from './drain.ts';
import { startPressure } from './pressure.ts';
import { adopt } from './reload.ts';
import { viewOf } from './view.ts';

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

/** Starts a sidecar. Rejects if a port or the store can't be opened. */
export async function startSidecar(given: Config, log: Log, world: World = realWorld): Promise<Sidecar> {
  const { clock } = world;
  const container = findContainer();
  const first = underCeiling(given, container);
  let listener: Listener | null = null;
  let ready = false;
  let reloading: Promise<unknown> = Promise.resolve();
  const rooms = await openRooms(first, log, world, () => listener?.inFlight ?? 0);
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
    leased: () => rooms.leases.up,
  };
  const cache = {
    token: keys.token,
    size: () => ({ entries: rooms.cache.size, bytes: rooms.cache.bytes }),
    places: rooms.cache.places,
    purge: (what: Purge) => rooms.cache.purge(what, clock()),
  };
  const { registry } = rooms.metrics;
  const dashboard = viewOf(rooms, {
    config: () => stages.config,
    dataUrl: () => listener?.url ?? '',
    inFlight: () => listener?.inFlight ?? 0,
  });
  const view = { ready: () => ready, registry, keys, limits, cache, dashboard };
  const admin = await openAdmin(first.admin, view).catch(releaseAfter);
  const open = await listen(
    first.listen,
    (exchange) => handle(exchange, stages),
    (headers) => mayPass(headers, stages.keyring),
    clock,
    (request, { code, entry }) =>
      rooms.observer.record(
        createRecord(request, noCourse, { status: entry.status, error: code }, nothingBilled, clock()),
        null,
      ),
    admin.url,
  ).catch((cause: unknown) => {
    admin.close();
    return releaseAfter(cause);
  });
  listener = open;
  const trims = startTrims(clock);
  const pressure = startPressure({
    clock,
    share: () => takenShare(stages.config.memory, container, process.memoryUsage.rss()),
    squeeze(share) {
      rooms.cache.squeeze(share);
      open.squeeze(share);
    },
    refuseNew: open.refuseNew,
    collect: collectGarbage,
    trim: trimMemory,
    telemetry: rooms.observer,
  });
  const carried = { cache: rooms.cache, telemetry: rooms.observer, world };
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
      const config = underCeiling(next, container);
      const composed = composeStages(config, rooms);
      reloading = composed.catch(() => {});
      const adopted = await composed;
      adopt(config, rooms, open);
      stages = adopted;
      rooms.observer.reload(true);
    },
    reloadRefused: () => rooms.observer.reload(false),
    catalogFile: rooms.observer.catalogFile,
    async drain() {
      ready = false;
      pressure.stop();
      await drain(rooms, open, admin, stages.config.listen.drainMs);
      trims.stop();
      await restored;
      await keepCache(first.cache, carried);
      await release(rooms, reloading);
    },
  };
}
