/**
 * What pods share over Redis. The first worker has the leases of limits, hints and stored keys for all workers; each tells
 * of its own cached replies and idempotency keys.
 */
import type { World } from '../base/world.ts';
import type { Cache } from '../cache/cache.ts';
import type { Config } from '../config/schema.ts';
import type { CachePeers } from '../exchange/shared-cache.ts';
import type { KeyBook } from '../exchange/shared-keys.ts';
import type { Limiter } from '../limit/limit.ts';
import type { Observer } from '../observe/telemetry.ts';
import type { Owners } from '../store/owners.ts';
import { createCacheSync } from '../sync/cache-news.ts';
import { type ClaimSync, createClaims } from '../sync/claims.ts';
import { createHints, type Hints } from '../sync/hints.ts';
import { createKeySync } from '../sync/keys.ts';
import { answerWorkers, createLeaseRelay, type LeaseNews } from '../sync/lease-relay.ts';
import { createLeases, type LeaseSync } from '../sync/leases.ts';
import type { HealthBook } from '../upstream/health.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { Crew } from './crew.ts';

/** The other pods, and the other workers as far as these reach pods through the first one. */
export interface Pods {
  readonly hints: Hints;
  readonly leases: LeaseSync;
  readonly claims: ClaimSync;
  readonly cache: CachePeers;
  /** What another worker tells of leases. */
  hearLease(news: LeaseNews): void;
  /** Adopts settings: connects elsewhere, or not at all. */
  update(config: Pick<Config, 'sync' | 'replay' | 'cache'>): void;
  /** Reports what was used one last time, and disconnects. */
  close(): Promise<void>;
}

/** What is shared. */
export interface PodsDeps {
  readonly crew: Crew;
  readonly world: Pick<World, 'clock' | 'wallClock' | 'random'>;
  readonly observer: Observer;
  readonly health: HealthBook;
  readonly limiter: Pick<Limiter, 'book'>;
  readonly owners: Pick<Owners, 'hear'>;
  readonly cache: Pick<Cache, 'hear'>;
  readonly provider: Upstreams['provider'];
  /** Null: no key is stored. */
  readonly keyBook: KeyBook | null;
}

/** Opens it, not connected yet. */
export function openPods({
  crew,
  world,
  observer,
  limiter,
  owners,
  cache,
  keyBook,
  ...rest
}: PodsDeps): Pods {
  const { shared, tell } = crew;
  const { clock, random } = world;
  const leads = shared.worker === 0;
  const deps = { clock, random, telemetry: observer };
  const keys = keyBook === null ? null : createKeySync({ book: keyBook, random, telemetry: observer });
  const tellLease = (news: LeaseNews): void => tell({ kind: 'lease', news });
  const hints = createHints({
    ...rest,
    ...deps,
    hearMade: owners.hear,
    tellWorkers: shared.workers === 1 ? null : (news) => tell({ kind: 'hint', news }),
  });
  const claims = createClaims(deps);
  const cacheSync = createCacheSync({
    pod: crew.id,
    reads: leads,
    wallClock: world.wallClock,
    random,
    hear(news, ageMs) {
      // Entries are in the store that all workers share.
      if (news.kind !== 'entry') tell({ kind: 'cache', news, ageMs });
      return cache.hear(news, ageMs, clock());
    },
    telemetry: observer,
  });
  const leasesOfAll = () => {
    const leases = createLeases({
      ...deps,
      book: limiter.book,
      onKeysVersion: (version) => keys?.told(version),
      onPods: (pods) => tellLease({ what: 'pods', pods }),
    });
    return { leases, hearLease: answerWorkers(leases, clock, tellLease) };
  };
  const leasesOfFirst = () => {
    const leases = createLeaseRelay(shared.worker, limiter.book, tellLease);
    return { leases, hearLease: leases.hear };
  };
  const { leases, hearLease } = leads ? leasesOfAll() : leasesOfFirst();
  return {
    hints,
    leases,
    claims,
    hearLease,
    cache: {
      tell(news) {
        cacheSync.tell(news);
        if (news.kind !== 'entry') tell({ kind: 'cache', news, ageMs: 0 });
      },
    },
    update({ sync, replay, cache: { secret } }) {
      const led = leads ? sync : { ...sync, redis: undefined };
      hints.update(led);
      keys?.update(led);
      leases.update(sync);
      claims.update(sync, replay.scope === 'shared');
      cacheSync.update(sync, secret);
    },
    async close() {
      hints.close();
      await leases.close();
      claims.close();
      cacheSync.close();
      keys?.close();
    },
  };
}
