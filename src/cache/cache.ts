/**
 * Stage cache: answers identical requests from memory, and those that come at once with one upstream call. Every key
 * includes a scope, and nothing is shared across scopes.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../base/errors.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { StoredReply } from '../exchange/reply.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { alone, createFlights, type Join, type Seen } from '../store/flights.ts';
import { createReplyStore, type StoreBounds } from '../store/replies.ts';
import type { CacheSettings } from './settings.ts';

/** Only `scopedKey` makes one, so nothing can read the cache without a scope. */
export type CacheKey = string & { readonly scoped: unique symbol };

/** The cache of replies. */
export interface Cache {
  /** Null: this request neither reads nor writes the cache. */
  key(exchange: Exchange, identity: Identity, request: ModelRequest, scope: CacheScope): CacheKey | null;
  /** The stored reply; null: there is none. @param nowMs monotonic ms */
  get(key: CacheKey, nowMs: number): StoredReply | null;
  /** Stores a reply, unless it is too large. @param nowMs monotonic ms */
  put(key: CacheKey, reply: StoredReply, nowMs: number): void;
  /**
   * With `singleFlight`, joins an identical request in flight, or goes upstream for all that come meanwhile. If it fails there, each goes
   * itself. A request whose client disconnects goes on once others have joined it.
   */
  share(key: CacheKey, exchange: Exchange): Seen | Join;
  /** Adopts new settings. */
  update(config: CacheSettings): void;
  /** Entries. */
  readonly size: number;
  /** Memory of the entries. */
  readonly bytes: number;
}

/** What separates cached replies besides caller and request. */
export interface CacheScope {
  /** Name of the scrub policy. */
  readonly policy: string;
  /** Changes with the route's targets, so that replies of an older configuration aren't served. */
  readonly routeVersion: string;
  /** SHA-256 of the client's own credential if that is sent upstream, otherwise empty. */
  readonly credential: string;
}

/** Client headers that change a provider's answer. Each is named, since V8 is slow at computed property names. */
function meaningOf(headers: IncomingHttpHeaders): string {
  const anthropicBeta = headers['anthropic-beta'];
  const anthropicVersion = headers['anthropic-version'];
  const openaiBeta = headers['openai-beta'];
  const organization = headers['openai-organization'];
  const project = headers['openai-project'];
  const simulate = headers['x-simulate'];
  return (
    `${anthropicBeta ?? ''}\0${anthropicVersion ?? ''}\0${openaiBeta ?? ''}\0` +
    `${organization ?? ''}\0${project ?? ''}\0${simulate ?? ''}\0`
  );
}
/** What the client's `Cache-Control` header allows (RFC 9111). */
export function cacheControl(exchange: Exchange): { readonly read: boolean; readonly write: boolean } {
  const value = exchange.headers['cache-control'];
  if (value === undefined) return { read: true, write: true };
  const noStore = /\bno-store\b/i.test(value);
  return { read: !noStore && !/\bno-cache\b/i.test(value), write: !noStore };
}

/** The body's digest covers all of its fields; the rest of the key is what matters outside the body. */
function scopedKey(
  exchange: Exchange,
  identity: Identity,
  request: ModelRequest,
  scope: CacheScope,
  shareUsers: boolean,
): CacheKey {
  const { headers, endpoint } = exchange;
  const meaning = meaningOf(headers);
  const who = `${identity.tenant}\0${shareUsers ? '' : (identity.user ?? '')}\0${scope.credential}`;
  // Two dialects have an endpoint of one name: rerank.
  const what = `${endpoint.dialect}\0${endpoint.name}\0${scope.routeVersion}\0${scope.policy}\0${meaning}${request.digest}`;
  return `${who}\0${what}` as CacheKey;
}

/** @param recordedBytes bytes taken by streams in flight */
const boundsOf = (config: CacheSettings, recordedBytes: number): StoreBounds => ({
  entriesMax: config.enabled ? config.entriesMax : 0,
  bytesMax: config.bytesMax - recordedBytes,
  ttlMs: config.ttlSeconds * 1000,
});

/** Creates an empty cache. */
export function createCache(config: CacheSettings): Cache {
  let current = config;
  const store = createReplyStore(boundsOf(config, 0));
  const flights = createFlights({
    // Those that join are requests in flight, which are bounded.
    bounds: () => ({ ...current, joinersMax: Number.MAX_SAFE_INTEGER }),
    storedBytes: () => store.bytes,
    makeRoom: (recordedBytes) => store.resize(boundsOf(current, recordedBytes)),
    afterFailure: 'all',
    late: () =>
      new Refusal('upstream_timeout', 'The identical request that this one waited for took too long.'),
  });
  return {
    key: (exchange, identity, request, scope) =>
      current.enabled && exchange.endpoint.cached
        ? scopedKey(exchange, identity, request, scope, current.shareUsers)
        : null,
    get: store.get,
    put(key, reply, nowMs) {
      if (reply.body.length <= current.entryMaxBytes) store.put(key, reply, nowMs);
    },
    share(key, exchange) {
      if (!current.singleFlight) return alone;
      const joined = flights.join(key);
      if (joined !== null) return joined;
      // A flight that can't be joined goes on by itself, and so does this request.
      if (flights.note(key) !== undefined) return alone;
      const goesOn = (): boolean => exchange.cancellation.reason === null;
      return { kind: 'new', claim: flights.begin(key, { goesOn, joined: () => exchange.detach() }) };
    },
    update(next) {
      current = next;
      store.resize(boundsOf(next, flights.recordedBytes));
    },
    get size() {
      return store.size;
    },
    get bytes() {
      return store.bytes;
    },
  };
}
