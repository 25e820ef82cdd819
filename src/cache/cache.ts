/**
 * Stage cache: answers identical requests from memory, those that come at once with one upstream call, and questions that
 * ask the same in other words. Every key includes a scope, and nothing is shared across scopes.
 */
import { Refusal } from '../base/errors.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { CacheLevel, StoredReply } from '../exchange/reply.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { CacheNews, CachePeers } from '../exchange/shared-cache.ts';
import type { PiiScope } from '../native/pii.ts';
import { textCharsMax } from '../native/search.ts';
import { alone, createFlights, type Join, type Seen } from '../store/flights.ts';
import type { RecordingMemory } from '../store/recording.ts';
import { createReplyStore, type NotedReply, type StoreBounds } from '../store/replies.ts';
import { type Asked, askedOf, createAlikeLevels, type Judging, type Near, type Unsure } from './alike.ts';
import { createFeedback, type Feedback } from './feedback.ts';
import { createKept, type Kept } from './kept.ts';
import { type CacheKey, type CacheScope, keyAgain, scopedKey } from './key.ts';
import { createPlaces, isUsed, type Place, type PlaceView } from './places.ts';
import { isPurged, joinTags, type Purge } from './purged.ts';
import type { CacheSettings } from './settings.ts';
import { createVerifier, readCrossEncoder, type VerifierDeps } from './verifier.ts';

/** The request that a reply to be stored answers. */
export interface Answered {
  readonly key: CacheKey;
  readonly place: Place;
  /** When it came, monotonic ms. */
  readonly askedMs: number;
  readonly tags: readonly string[];
  /** Its question; null: it has none. */
  readonly asked: Asked | null;
}

/** The cache of replies. */
export interface Cache extends Kept {
  /** The place of a tenant's requests to a route. @param route its `model` */
  place(tenant: string, route: string): Place;
  /** Null: this request neither reads nor writes the cache. */
  key(
    exchange: Exchange,
    identity: Identity,
    request: ModelRequest,
    place: Place,
    scope: CacheScope,
  ): CacheKey | null;
  /** The stored reply; null: there is none. @param nowMs monotonic ms */
  get(key: CacheKey, place: Place, nowMs: number): StoredReply | null;
  /**
   * The question of a request without a stored reply; null: nothing but its own reply answers it.
   * @param scrub what counts as personal data in it
   */
  ask(key: CacheKey, exchange: Exchange, request: ModelRequest, scrub: PiiScope, place: Place): Asked | null;
  /** Looks for the reply to a question that asks the same. @param nowMs monotonic ms */
  near(asked: Asked, exchange: Exchange, nowMs: number): Near;
  /** Takes a closer look at what was found, which takes milliseconds. */
  verify(unsure: Unsure, exchange: Exchange): Promise<Near>;
  /** Stores a reply, unless it is too large. @param nowMs monotonic ms */
  put(answered: Answered, reply: StoredReply, nowMs: number): void;
  /** Judges what would have been served by the reply that was given. @param fresh null: none that could be stored */
  judge(judging: Judging, fresh: StoredReply | null, nowMs: number): void;
  /** A caller says whether the cached answer to a request of its tenant was right. @returns whether that request is known */
  feedback(tenant: string, requestId: string, right: boolean): boolean;
  /** Makes entries unreachable. @param nowMs monotonic ms */
  purge(what: Purge, nowMs: number): void;
  /** Another pod's news. @param ageMs since they were told @param nowMs monotonic ms @returns whether they were adopted */
  hear(news: CacheNews, ageMs: number, nowMs: number): boolean;
  /** Use and trust of each place. */
  places(): PlaceView[];
  /**
   * With `singleFlight`, joins an identical request in flight, or goes upstream for all that come meanwhile. If it fails there, each goes
   * itself. A request whose client disconnects goes on once others have joined it.
   */
  share(key: CacheKey, exchange: Exchange): Seen | Join;
  /** Memory of streams on their way into it, beside its entries. */
  readonly arriving: RecordingMemory;
  /** Adopts new settings. */
  update(config: CacheSettings): void;
  /** From now on it takes only this share of its memory. @param share from 0 to 1 */
  squeeze(share: number): void;
  /** Entries. */
  readonly size: number;
  /** Memory of the entries, and of what leads to them. */
  readonly bytes: number;
}

/** What the cache works with. */
export interface CacheDeps {
  readonly telemetry: Pick<Telemetry, 'cacheQuestion' | 'cacheTrust' | 'cacheVerifier'>;
  /** From 0 up to 1. */
  random(): number;
  /** Told of what is stored, purged and judged. */
  readonly peers: CachePeers;
  /** Reads the cross-encoder; by default the built-in one. */
  readonly readVerifier?: VerifierDeps['open'];
}

/** Streams on their way into the cache may take this part of the memory that entries have. */
const arrivingPart = 4;

function memoryOfArriving(settings: () => CacheSettings): RecordingMemory {
  let all = 0;
  return {
    take(bytes, held) {
      const { entryMaxBytes, bytesMax } = settings();
      const allMax = Math.max(entryMaxBytes, bytesMax / arrivingPart);
      if (held + bytes > entryMaxBytes || all + bytes > allMax) return false;
      all += bytes;
      return true;
    },
    give(bytes) {
      all -= bytes;
    },
  };
}

/** Settings by which less memory is taken. */
const squeezed = (config: CacheSettings, share: number): CacheSettings => ({
  ...config,
  bytesMax: config.bytesMax * share,
  semantic: { ...config.semantic, bytesMax: config.semantic.bytesMax * share },
});

/** @param recordedBytes bytes taken by streams in flight */
const boundsOf = (config: CacheSettings, recordedBytes: number): StoreBounds => ({
  entriesMax: isUsed(config) ? config.entriesMax : 0,
  bytesMax: Math.max(0, config.bytesMax - recordedBytes),
  ttlMs: config.ttlSeconds * 1000,
});

function count(place: Place, level: CacheLevel, { costNanoUsd }: StoredReply): void {
  place.hits[level] += 1;
  place.savedNanoUsd += costNanoUsd;
}

/** Counts what was found for a request, and remembers what its caller may say about it. */
function noted(
  near: Near,
  { place }: Asked,
  { id }: Exchange,
  telemetry: Pick<Telemetry, 'cacheQuestion'>,
  feedback: Feedback,
): Near {
  const { hit, judging } = near;
  if (hit !== null) {
    const { level, entry, reply } = hit;
    count(place, level, reply);
    telemetry.cacheQuestion(level);
    if (entry !== null) feedback.served(id, { place, entry });
  } else if (judging !== null) {
    place.judgedHits += 1;
    telemetry.cacheQuestion(judging.why);
  }
  return near;
}

/** Creates an empty cache. */
export function createCache(
  config: CacheSettings,
  { telemetry, random, peers, readVerifier = readCrossEncoder }: CacheDeps,
): Cache {
  let configured = config;
  let share = 1;
  let current = config;
  const store = createReplyStore(boundsOf(config, 0));
  const places = createPlaces(config);
  const verifier = createVerifier({ telemetry, open: readVerifier });
  const adoptVerifier = (): void => {
    const { verifier: on, verifierTimeoutMs } = current.semantic;
    void verifier.update(isUsed(current) && on, verifierTimeoutMs);
  };
  adoptVerifier();
  const get = (place: Place, key: CacheKey, nowMs: number): NotedReply | null => {
    const reply = store.get(place.owner, key, nowMs);
    return reply === null || isPurged(place.purged, reply) ? null : reply;
  };
  const levels = createAlikeLevels(config, { get }, places, random, verifier);
  const kept = createKept(store, levels, places);
  const feedback = createFeedback();
  const flights = createFlights({
    // Those that join are requests in flight, which are bounded.
    bounds: () => ({ ...current, joinersMax: Number.MAX_SAFE_INTEGER }),
    storedBytes: () => store.bytes,
    makeRoom: (recordedBytes) => store.resize(boundsOf(current, recordedBytes)),
    afterFailure: 'all',
    late: () =>
      new Refusal('upstream_timeout', 'The identical request that this one waited for took too long.'),
  });
  const adopt = (): void => {
    current = share === 1 ? configured : squeezed(configured, share);
    store.resize(boundsOf(current, flights.recordedBytes));
    places.update(current);
    levels.update(current);
    adoptVerifier();
  };
  const learn = (place: Place, right: boolean): void => {
    const live = places.judge(place, right);
    if (live !== null) telemetry.cacheTrust(place.tenant, place.route, live);
  };
  const note = (place: Place, right: boolean): void => {
    const { tenant, route } = place;
    telemetry.cacheQuestion(right ? 'right' : 'wrong');
    learn(place, right);
    peers.tell({ kind: 'judged', tenant, route, right });
  };
  return {
    place: places.of,
    key: (exchange, identity, request, place, scope) =>
      place.enabled && exchange.endpoint.cached
        ? scopedKey(exchange, identity, request, scope, current.shareUsers)
        : null,
    get(key, place, nowMs) {
      const reply = get(place, key, nowMs);
      if (reply !== null) count(place, 'exact', reply);
      return reply;
    },
    ask: levels.ask,
    near: (asked, exchange, nowMs) => noted(levels.find(asked, nowMs), asked, exchange, telemetry, feedback),
    async verify(unsure, exchange) {
      return noted(await levels.verify(unsure), unsure.asked, exchange, telemetry, feedback);
    },
    put({ key, place, askedMs, tags, asked }, reply, nowMs) {
      const note = joinTags(tags);
      const purged = isPurged(place.purged, { askedMs, note });
      if (purged || reply.body.length > current.entryMaxBytes) return;
      store.put(place.owner, key, reply, nowMs, note, askedMs);
      if (asked !== null) levels.keep(asked, key, nowMs);
      const question = asked && { scope: asked.scope, text: asked.text };
      const { tenant, route } = place;
      peers.tell({ kind: 'entry', tenant, route, key, question, tags, ageMs: nowMs - askedMs, reply });
    },
    judge(judging, fresh, nowMs) {
      const right = fresh === null ? false : levels.compare(judging, fresh, nowMs);
      if (right !== null) note(judging.place, right);
    },
    feedback(tenant, requestId, right) {
      const served = feedback.take(requestId, tenant);
      if (served === null) return false;
      note(served.place, right);
      if (!right) levels.forget(served.entry);
      return true;
    },
    purge(what, nowMs) {
      places.purge(what, nowMs);
      const { tenant = null, route = null, tag = null, olderThanMs = 0 } = what;
      peers.tell({ kind: 'purge', tenant, route, tag, olderThanMs });
    },
    hear(news, ageMs, nowMs) {
      if (news.kind === 'purge') {
        const { tenant, route, tag, olderThanMs } = news;
        const what = { tenant: tenant ?? undefined, route: route ?? undefined, tag: tag ?? undefined };
        places.purge({ ...what, olderThanMs }, nowMs - ageMs);
        return true;
      }
      const place = places.of(news.tenant, news.route);
      if (news.kind === 'judged') {
        learn(place, news.right);
        return true;
      }
      const { question, tags, reply } = news;
      const [key, storedMs, note] = [keyAgain(news.key), nowMs - ageMs, joinTags(tags)];
      const askedMs = storedMs - news.ageMs;
      const late = ageMs >= current.ttlSeconds * 1000 || isPurged(place.purged, { askedMs, note });
      if (late || !place.enabled || reply.body.length > current.entryMaxBytes) return false;
      store.put(place.owner, key, reply, storedMs, note, askedMs);
      const known = question !== null && question.text.length <= textCharsMax;
      if (known) levels.keep(askedOf(place, question), key, storedMs);
      return true;
    },
    drain: kept.drain,
    fill: kept.fill,
    places: places.view,
    share(key, exchange) {
      if (!current.singleFlight) return alone;
      // What was in flight when something was purged may be older than that.
      const name = `${places.purges}\0${key}`;
      const joined = flights.join(name);
      if (joined !== null) return joined;
      // A flight that can't be joined goes on by itself, and so does this request.
      if (flights.note(name) !== undefined) return alone;
      const goesOn = (): boolean => exchange.cancellation.reason === null;
      return { kind: 'new', claim: flights.begin(name, { goesOn, joined: () => exchange.detach() }) };
    },
    arriving: memoryOfArriving(() => current),
    update(next) {
      configured = next;
      adopt();
    },
    squeeze(to) {
      share = to;
      adopt();
    },
    get size() {
      return store.size;
    },
    get bytes() {
      return store.bytes + levels.bytes + verifier.bytes;
    },
  };
}
