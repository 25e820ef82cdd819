/**
 * The workers of a sidecar, and what they tell each other. The first one has the ports, the store's budgets, the ledger's
 * file and Redis; all serve requests. Decision 0007 says what is shared, and how.
 */
import { randomUUID } from 'node:crypto';
import { BroadcastChannel } from 'node:worker_threads';
import { type Shared, unshared } from '../base/shared.ts';
import type { PlaceView } from '../cache/places.ts';
import type { Purge } from '../cache/purged.ts';
import type { Config } from '../config/schema.ts';
import type { CacheNews } from '../exchange/shared-cache.ts';
import type { Opened, SpentRow } from '../limit/scopes.ts';
import type { Segment } from '../observe/ledger/segment.ts';
import type { WorkerMetrics } from '../observe/merge.ts';
import type { RecentRecord } from '../observe/recent.ts';
import type { SpendRow } from '../observe/spend.ts';
import { type ClaimNews, createWorkerClaims, type OpenClaims, type WorkerClaims } from '../store/claims.ts';
import type { HintNews } from '../sync/hints.ts';
import type { LeaseNews } from '../sync/lease-relay.ts';

/** What one worker tells all others. */
export type News =
  | { readonly kind: 'claim'; readonly news: ClaimNews }
  /** Purges and judgements; replies are in the store that all share. */
  | { readonly kind: 'cache'; readonly news: CacheNews; readonly ageMs: number }
  /** A cooldown, an object that a tenant made, or what only other pods want to know. */
  | { readonly kind: 'hint'; readonly news: HintNews }
  | { readonly kind: 'lease'; readonly news: LeaseNews }
  | { readonly kind: 'meter'; readonly opened: Opened }
  /** The first worker has no room for more meters: idle ones are to be let go. */
  | { readonly kind: 'sweep' };

/** What a worker is started with. Cloned. */
export interface Given {
  readonly config: Config;
  readonly crewId: string;
  readonly worker: number;
  /** When the first worker's clock was 0, by the system's monotonic clock, in ms. */
  readonly zeroMs: number;
  /** Random numbers that keys of the cache, digests and placeholders depend on. */
  readonly digestKey: Uint8Array;
  readonly scrubSecret: Uint8Array;
  /** What budgets had spent before a restart. */
  readonly saved: readonly SpentRow[];
  readonly adminUrl: string;
  readonly terminal: boolean;
  /** Open connections of each worker. */
  readonly connections: Int32Array;
}

/** What the first worker tells another one. An `id` asks for an answer. */
export type Order =
  | { readonly kind: 'start'; readonly id: number; readonly given: Given }
  | { readonly kind: 'connection'; readonly descriptor: number }
  /** Composes stages for a configuration, and puts them in place once all workers have composed theirs. */
  | { readonly kind: 'compose'; readonly id: number; readonly config: Config }
  | { readonly kind: 'adopt'; readonly id: number }
  | { readonly kind: 'purge'; readonly id: number; readonly what: Purge }
  /** What a snapshot of the cache begins with: its entries are in the store that all share. */
  | { readonly kind: 'restored'; readonly id: number; readonly head: Uint8Array }
  | { readonly kind: 'state'; readonly id: number }
  | { readonly kind: 'metrics'; readonly id: number }
  /** The cache and request bodies take this share of what is configured, from 0 to 1. */
  | { readonly kind: 'squeeze'; readonly share: number }
  /** The memory is full: new requests are refused; or there is room again. */
  | { readonly kind: 'full'; readonly full: boolean }
  /** Garbage is collected: each worker has a heap of its own. */
  | { readonly kind: 'collect' }
  | { readonly kind: 'drain'; readonly id: number; readonly drainMs: number };

/** What a worker tells the first one. */
export type Report =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string }
  | { readonly kind: 'log'; readonly lines: Uint8Array }
  | { readonly kind: 'segment'; readonly segment: Segment }
  | { readonly kind: 'keyRefused' };

/** A worker's own state, for people who look. */
export interface WorkerState {
  readonly inFlight: number;
  readonly batchWaiting: number;
  /** In flight by target. */
  readonly targets: Readonly<Record<string, number>>;
  readonly places: readonly PlaceView[];
  readonly spend: readonly SpendRow[];
  /** Records since it was last asked. */
  readonly recent: readonly RecentRecord[];
}

/** Answers by the kind of the order. */
export interface Answers {
  readonly state: WorkerState;
  readonly metrics: WorkerMetrics;
}

/** A worker's place among the others. */
export interface Crew {
  readonly id: string;
  readonly shared: Shared;
  /** Tells all others, later. */
  tell(news: News): void;
  /** Sets what is done with the others' news. */
  hear(handle: (news: News) => void): void;
  close(): void;
}

/** There is one worker. */
export const noCrew: Crew = {
  id: '',
  shared: unshared,
  tell: () => {},
  hear: () => {},
  close: () => {},
};

/** Joins a crew. @param id names it in this process */
export function joinCrew(worker: number, workers: number, id: string = randomUUID()): Crew {
  const channel = new BroadcastChannel(`sidegate ${id}`);
  // In Node's types it is one of browsers.
  (channel as unknown as { unref(): void }).unref();
  return {
    id,
    shared: { worker, workers, name: (table) => `${id} ${table}` },
    tell: (news) => channel.postMessage(news),
    hear(handle) {
      channel.onmessage = ({ data }) => handle(data as News);
    },
    close: () => channel.close(),
  };
}

/** The claims of a crew: opened by the stages that need some, and told what other workers tell. */
export function createCrewClaims({ shared, tell }: Crew): {
  readonly open: OpenClaims;
  hear(news: ClaimNews): void;
} {
  const opened = new Map<string, WorkerClaims>();
  return {
    open(table, onWanted) {
      const name = shared.name(`claims of ${table}`);
      if (name === undefined) return null;
      const told = (news: ClaimNews): void => tell({ kind: 'claim', news });
      const claims = createWorkerClaims({ table, name, worker: shared.worker, tell: told, onWanted });
      opened.set(table, claims);
      return claims;
    },
    hear: (news) => opened.get(news.table)?.hear(news),
  };
}

/** The system's monotonic clock, which all threads read alike, in ms. */
export const systemMs = (): number => Number(process.hrtime.bigint()) / 1e6;
