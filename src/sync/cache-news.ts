/**
 * News of caches over two Redis streams: what is stored, purged or judged in one pod holds in all within a second, and a new
 * pod begins with what the streams hold. Purges have their own, so that a pod which was away for a while finds them however
 * much was stored meanwhile. No request waits for it; without Redis each pod has its own cache, and what was purged
 * meanwhile is told once Redis is there again.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { Telemetry } from '../base/telemetry.ts';
import type { CacheNews, CachePeers } from '../exchange/shared-cache.ts';
import { keyOf, seal, type Told, unseal } from './cache-wire.ts';
import { schemaVersion } from './lease-call.ts';
import { type RedisClient, redisClient } from './redis.ts';
import type { SyncConfig } from './settings.ts';
import { createUnsentPurges } from './unsent-purges.ts';

/** Most news that a stream holds; older ones go. */
const streamMax = 4096;
/** Calls that Redis has not answered: beyond it nothing is sent. */
const unansweredMax = 256;
/** News of one read. */
const readMax = 32;
const blockMs = 1000;
/** A pod reads again after a failure, and tells again what it purged. */
const pauseMs = 1000;
/** News that were heard, by their ids: a copy of one is refused. */
const heardMax = 2 * streamMax;
/** What was told so long before the oldest of them was heard may be a copy of one that is forgotten. */
const delayMaxMs = 10_000;

/** News of other pods' caches. */
export interface CacheSync extends CachePeers {
  /** Adopts settings: connects elsewhere, or not at all. @param secret undefined: nothing is shared */
  update(sync: SyncConfig, secret: string | undefined): void;
  close(): void;
}

/** What it needs. */
export interface CacheSyncDeps {
  /** Names this pod, for all its workers; empty: any name will do. */
  readonly pod: string;
  /** False: another worker of the pod reads for all. */
  readonly reads: boolean;
  /** Ms since 1970. */
  readonly wallClock: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** Another pod's news. @param ageMs since they were told @returns whether they were adopted */
  hear(news: CacheNews, ageMs: number): boolean;
  readonly telemetry: Pick<Telemetry, 'cacheNews'>;
}

/** A connection's state: everything that ends with its settings. */
interface Link {
  /** Name of the stream. */
  readonly name: string;
  /** Name of that of the purges. */
  readonly purges: string;
  readonly key: Buffer;
  out: RedisClient | null;
  into: RedisClient | null;
  closed: boolean;
}

/** An entry of a stream: its id, then names and values in turn. */
type StreamEntry = readonly [Buffer, readonly Buffer[]];

/** The streams in an answer, and their entries: a map by RESP3, which the client flattens, or a list of pairs by RESP2. */
function streamsIn(answer: unknown): (readonly [name: string, entries: readonly StreamEntry[]])[] {
  const given = (answer ?? []) as readonly unknown[];
  const flat = given.every(Array.isArray) ? given.flat() : given;
  return flat.flatMap((name, at) =>
    at % 2 === 0 ? [[String(name), flat[at + 1] as readonly StreamEntry[]] as const] : [],
  );
}

/** Creates it, not connected yet. */
export function createCacheSync(deps: CacheSyncDeps): CacheSync {
  const { wallClock, random, hear, telemetry } = deps;
  const me = deps.pod || randomBytes(12).toString('base64url');
  /** Ids, and when they were heard, ms since 1970. */
  const heard = new Map<string, number>();
  let knownSinceMs = Number.NEGATIVE_INFINITY;
  let settings = '';
  let link: Link | null = null;
  let unanswered = 0;
  const unsent = createUnsentPurges();
  let telling = false;
  let again: NodeJS.Timeout | undefined;

  const send = async (of: Link, news: CacheNews): Promise<void> => {
    const { out, key } = of;
    const name = news.kind === 'purge' ? of.purges : of.name;
    const sealed = seal(key, news, me, wallClock());
    if (out === null || sealed === null) throw new Error('it cannot be sent');
    await out.call('XADD', name, 'MAXLEN', '~', String(streamMax), '*', 'n', sealed);
    telemetry.cacheNews('sent');
  };
  /** Tells what was purged, one after the other, until Redis has all of it. */
  const tellPurges = async (): Promise<void> => {
    if (telling) return;
    telling = true;
    clearTimeout(again);
    try {
      for (let next = unsent.next(wallClock()); next !== null && link !== null; ) {
        await send(link, next.news);
        next.taken();
        next = unsent.next(wallClock());
      }
    } catch {
      if (link !== null) again = setTimeout(tellPurges, pauseMs).unref();
    }
    telling = false;
  };

  /** Whether news aren't a copy of what was heard. A purge may be one: it names a moment, and does nothing twice. */
  const isNew = ({ news, id, atMs }: Told, nowMs: number): boolean => {
    if (news.kind === 'purge') return true;
    if (heard.has(id) || atMs < knownSinceMs - delayMaxMs) return false;
    heard.set(id, nowMs);
    const [oldest] = heard.size > heardMax ? heard : [];
    if (oldest !== undefined) {
      heard.delete(oldest[0]);
      knownSinceMs = oldest[1];
    }
    return true;
  };
  const adopt = (bytes: unknown, key: Buffer): void => {
    const told = Buffer.isBuffer(bytes) ? unseal(key, bytes) : null;
    if (told?.from === me) return;
    const nowMs = wallClock();
    if (told === null || !isNew(told, nowMs)) return telemetry.cacheNews('refused');
    // Clocks of two pods differ a little.
    const ageMs = Math.max(0, nowMs - told.atMs);
    telemetry.cacheNews(hear(told.news, ageMs) ? 'adopted' : 'dropped');
  };

  /** Reads the streams from their beginning, and then what comes, until the link is closed. */
  const follow = async (of: Link, into: RedisClient): Promise<void> => {
    const last = new Map([of.purges, of.name].map((name) => [name, '0-0']));
    const head = ['COUNT', String(readMax), 'BLOCK', String(blockMs), 'STREAMS'];
    while (!of.closed) {
      try {
        const answer = await into.callBuffer('XREAD', ...head, ...last.keys(), ...last.values());
        for (const [name, entries] of streamsIn(answer))
          for (const [id, [, bytes]] of entries) {
            last.set(name, id.toString());
            adopt(bytes, of.key);
          }
        // Requests come between two reads, also while a new pod reads all there is.
        await turn();
      } catch {
        // Redis can't be reached, or is another one now: what is wrong with it is said by the leases.
        await new Promise((resolve) => setTimeout(resolve, pauseMs).unref());
      }
    }
  };

  const connect = async (sync: SyncConfig & { readonly redis: string }, of: Link): Promise<void> => {
    const open = async (): Promise<RedisClient> => {
      const client = await redisClient(sync, random);
      client.on('error', () => {});
      return client;
    };
    const [out, into] = [await open(), deps.reads ? await open() : null];
    if (of.closed) return;
    [of.out, of.into] = [out, into];
    await out.connect().catch(() => {});
    void tellPurges();
    if (into === null) return;
    await into.connect().catch(() => {});
    void follow(of, into);
  };
  const close = (): void => {
    if (link === null) return;
    link.closed = true;
    link.out?.disconnect();
    link.into?.disconnect();
    link = null;
  };

  return {
    tell(news) {
      if (link === null) return;
      if (news.kind === 'purge') {
        unsent.add(news, wallClock());
        return void tellPurges();
      }
      if (unanswered >= unansweredMax) return telemetry.cacheNews('dropped');
      unanswered += 1;
      send(link, news)
        .catch(() => telemetry.cacheNews('dropped'))
        .finally(() => {
          unanswered -= 1;
        });
    },
    update(sync, secret) {
      const { redis, prefix } = sync;
      const next = redis === undefined || secret === undefined ? '' : JSON.stringify([sync, secret]);
      if (next === settings) return;
      settings = next;
      close();
      if (redis === undefined || secret === undefined) return unsent.clear();
      const name = `${prefix}:${schemaVersion}:{0}:cache`;
      const purges = `${name}:purges`;
      link = { name, purges, key: keyOf(secret, name), out: null, into: null, closed: false };
      void connect({ ...sync, redis }, link).catch(() => {});
    },
    close() {
      settings = '';
      clearTimeout(again);
      close();
    },
  };
}
