/**
 * Stage cache: answers identical requests from memory, those that come at once with one upstream call, and questions that
 * ask the same in other words. Every key includes a scope, and nothing is shared across scopes.
 */
import { type Shared, unshared } from '../base/shared.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { CacheLevel, StoredReply } from '../exchange/reply.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { CacheNews, CachePeers, ToldQuestion } from '../exchange/shared-cache.ts';
import { bodyFlags } from '../native/inspect.ts';
import { textCharsMax } from '../native/search.ts';
import { noClaims, type OpenClaims } from '../store/claims.ts';
import { alone, type Join, type Seen } from '../store/flights.ts';
import type { RecordingMemory } from '../store/recording.ts';
import { createReplyStore, type NotedReply, type ReplyStore, type StoreBounds } from '../store/replies.ts';
import {
  type AlikeLevels,
  type Asked,
  askedOf,
  createAlikeLevels,
  type ExactLevel,
  type Judging,
  type Later,
  type Near,
  nothing,
} from './alike.ts';
import {
  createEmbedder,
  type Embedder,
  type EmbedderDeps,
  isVectorOf,
  type QuestionVector,
} from './embedder.ts';
import { createFeedback, type Feedback } from './feedback.ts';
import { createKept, type Kept } from './kept.ts';
import { type CacheKey, type CacheScope, cacheControl, keyAgain, scopedKey } from './key.ts';
import { createPlaces, isUsed, type Place, type PlaceView } from './places.ts';
import { isPurged, joinTags, type Purge } from './purged.ts';
import type { CacheSettings } from './settings.ts';
import { createSingleFlight } from './single-flight.ts';
import { createVerifier, readCrossEncoder, type VerifierDeps } from './verifier.ts';

/** The request that a reply to be stored answers. */
export interface Answered {
  readonly key: CacheKey;
  readonly place: Place;
  /** When it came, monotonic ms. */
  readonly askedMs: number;
  readonly tags: readonly string[];
  /** Its reply is kept no longer, ms; undefined: as long as others. */
  readonly maxAgeMs?: number;
  /** Its question; null: it has none. */
  readonly asked: Asked | null;
}

/** What was found for a request. */
export interface NearAsked extends Near {
  /** Its question; null: the request is answered without it, or has none. */
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
  /** The stored reply; null: there is none. @param nowMs monotonic ms @param maxAgeMs older ones don't count */
  get(key: CacheKey, place: Place, nowMs: number, maxAgeMs?: number): StoredReply | null;
  /** The question of a request without a stored reply; null: nothing but its own reply answers it. */
  ask(key: CacheKey, exchange: Exchange, request: ModelRequest, place: Place): Asked | null;
  /** Looks for the reply to a question that asks the same. @param nowMs monotonic ms */
  near(key: CacheKey, exchange: Exchange, request: ModelRequest, place: Place, nowMs: number): NearAsked;
  /** Finds out what takes milliseconds. */
  finish(later: Later, exchange: Exchange): Promise<Near>;
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
   * @param nowMs monotonic ms
   */
  share(key: CacheKey, place: Place, exchange: Exchange, nowMs: number): Seen | Join;
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
export interface CacheDeps extends EmbedderDeps {
  readonly telemetry: Pick<Telemetry, 'cacheQuestion' | 'cacheTrust' | 'cacheVerifier'> &
    EmbedderDeps['telemetry'];
  /** From 0 up to 1. */
  random(): number;
  /** Told of what is stored, purged and judged. */
  readonly peers: CachePeers;
  /** Reads the cross-encoder; by default the built-in one. */
  readonly readVerifier?: VerifierDeps['open'];
  /** What workers share. */
  readonly shared?: Shared;
  readonly openClaims?: OpenClaims;
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

const boundsOf = (config: CacheSettings): StoreBounds => ({
  entriesMax: isUsed(config) ? config.entriesMax : 0,
  bytesMax: config.bytesMax,
  ttlMs: config.ttlSeconds * 1000,
});

function count(place: Place, level: CacheLevel, { costNanoUsd }: StoredReply): void {
  place.hits[level] += 1;
  place.savedNanoUsd += costNanoUsd;
}

/** Counts what was found for a request, and remembers what its caller may say about it. */
function noted(
  near: Near,
  place: Place,
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

/** How much of its time an entry that is kept for less than usual has behind it when it is stored, ms. */
const spentMs = ({ ttlSeconds }: CacheSettings, maxAgeMs = Number.POSITIVE_INFINITY): number =>
  Math.max(0, ttlSeconds * 1000 - maxAgeMs);

/** What another pod purged. */
function purgeOf({ tenant, route, tag, olderThanMs }: Extract<CacheNews, { kind: 'purge' }>): Purge {
  return { tenant: tenant ?? undefined, route: route ?? undefined, tag: tag ?? undefined, olderThanMs };
}

/** What other pods are told of an entry. @param vector of its question, where a provider makes it */
function newsOf(
  { key, place, askedMs, tags, maxAgeMs = Number.POSITIVE_INFINITY, asked }: Answered,
  reply: StoredReply,
  vector: QuestionVector | null,
  nowMs: number,
): CacheNews {
  const { tenant, route } = place;
  const { scope = '', text = '', embedder = '' } = asked ?? {};
  const question = asked && { scope, text, embedder, vector: vector && Int8Array.from(vector) };
  return { kind: 'entry', tenant, route, key, question, tags, ageMs: nowMs - askedMs, maxAgeMs, reply };
}

/** Another pod's question; undefined: it is of another embedder, or can't be one. */
function heard(
  key: CacheKey,
  question: ToldQuestion,
  place: Place,
  { name, dimensions }: Embedder,
): Asked | undefined {
  const { text, vector, embedder } = question;
  if (embedder !== name || text.length > textCharsMax) return;
  if (vector === null) return askedOf(key, place, question, null);
  return isVectorOf(vector, dimensions)
    ? askedOf(key, place, question, Float32Array.from(vector))
    : undefined;
}

/** Adopts another pod's entry, unless it is late, purged, too large, of another embedder, or older than this pod's own. */
function hearEntry(
  { key: told, question, tags, ageMs, maxAgeMs, reply }: Extract<CacheNews, { kind: 'entry' }>,
  place: Place,
  toldMs: number,
  nowMs: number,
  { config, store, get, levels, embedder }: Heard,
): boolean {
  const [key, askedMs, note] = [keyAgain(told), toldMs - ageMs, joinTags(tags)];
  const storedMs = toldMs - spentMs(config, maxAgeMs);
  const asked = question && heard(key, question, place, embedder);
  const late = nowMs - storedMs >= config.ttlSeconds * 1000 || isPurged(place.purged, { askedMs, note });
  if (late || asked === undefined || !place.enabled || reply.body.length > config.entryMaxBytes) return false;
  if ((get(place, key, nowMs)?.askedMs ?? askedMs) > askedMs) return false;
  store.put(place.owner, key, reply, storedMs, note, askedMs);
  if (asked !== null) levels.keep(asked, key, toldMs);
  return true;
}

/** What an entry of another pod is put into. */
interface Heard {
  readonly config: CacheSettings;
  readonly store: ReplyStore;
  readonly get: ExactLevel['get'];
  readonly levels: AlikeLevels;
  readonly embedder: Embedder;
}

/** Creates an empty cache. */
export function createCache(config: CacheSettings, deps: CacheDeps): Cache {
  const { telemetry, random, peers, clock, readVerifier = readCrossEncoder } = deps;
  const { shared = unshared, openClaims = noClaims } = deps;
  let configured = config;
  let share = 1;
  let current = config;
  const store = createReplyStore(boundsOf(config), shared, 'cached replies');
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
  const embedder = createEmbedder(config.semantic.embedder, deps);
  const levels = createAlikeLevels(config, { get }, places, random, verifier, embedder, shared);
  const kept = createKept(store, levels, places, embedder);
  const feedback = createFeedback(shared, places.of);
  const flights = createSingleFlight({ settings: () => current, store, shared, openClaims });
  const adopt = (): void => {
    current = share === 1 ? configured : squeezed(configured, share);
    store.resize(boundsOf(current));
    places.update(current);
    embedder.update(current.semantic.embedder);
    levels.update(current);
    adoptVerifier();
  };
  const learn = (place: Place, right: boolean, toldMs?: number): void => {
    const live = places.judge(place, right, toldMs);
    if (live !== null) telemetry.cacheTrust(place.tenant, place.route, live);
  };
  /** @param forgotten the question whose reply no other one gets any more; undefined: none */
  const note = (place: Place, right: boolean, forgotten?: number): void => {
    const { tenant, route } = place;
    telemetry.cacheQuestion(right ? 'right' : 'wrong');
    learn(place, right);
    if (forgotten !== undefined) levels.forget(forgotten);
    peers.tell({ kind: 'judged', tenant, route, right, ...(forgotten !== undefined && { forgotten }) });
  };
  return {
    place: places.of,
    key: (exchange, identity, request, place, scope) =>
      place.enabled && exchange.endpoint.cached && (request.flags & bodyFlags.continued) === 0
        ? scopedKey(exchange, identity, request, scope, current.shareUsers)
        : null,
    get(key, place, nowMs, maxAgeMs = Number.POSITIVE_INFINITY) {
      const reply = get(place, key, nowMs);
      if (reply === null || nowMs - reply.askedMs > maxAgeMs) return null;
      count(place, 'exact', reply);
      return reply;
    },
    ask: levels.ask,
    near(key, exchange, request, place, nowMs) {
      const ask = (): Asked | null => levels.ask(key, exchange, request, place);
      // A question of so few bytes isn't too long; whether another one is, its characters tell.
      const isShort = request.questionEnd - request.questionStart <= textCharsMax;
      const read = isShort ? null : ask();
      if (!isShort && read === null) return { ...nothing, asked: null };
      const again = levels.again(key, exchange, request, place, nowMs);
      const asked = read ?? (again?.hit ? null : ask());
      const near = again ?? (asked === null ? nothing : levels.find(asked, nowMs));
      return { ...noted(near, place, exchange, telemetry, feedback), asked };
    },
    async finish(later, exchange) {
      return noted(await levels.finish(later), later.asked.place, exchange, telemetry, feedback);
    },
    put(answered, reply, nowMs) {
      const { key, place, askedMs, tags, maxAgeMs, asked } = answered;
      const note = joinTags(tags);
      const purged = isPurged(place.purged, { askedMs, note });
      if (purged || reply.body.length > current.entryMaxBytes) return;
      store.put(place.owner, key, reply, nowMs - spentMs(current, maxAgeMs), note, askedMs);
      const made = asked && levels.keep(asked, key, nowMs);
      const tell = (vector: QuestionVector | null): void =>
        peers.tell(newsOf(answered, reply, vector, clock()));
      void (made === null ? tell(null) : made.then(tell));
    },
    judge(judging, fresh, nowMs) {
      const right = fresh === null ? false : levels.compare(judging, fresh, nowMs);
      if (right !== null) note(judging.place, right);
    },
    feedback(tenant, requestId, right) {
      const served = feedback.take(requestId, tenant);
      if (served === null) return false;
      note(served.place, right, right ? undefined : served.entry);
      return true;
    },
    purge(what, nowMs) {
      places.purge(what, nowMs);
      const { tenant = null, route = null, tag = null, olderThanMs = 0 } = what;
      peers.tell({ kind: 'purge', tenant, route, tag, olderThanMs });
    },
    hear(news, ageMs, nowMs) {
      if (news.kind === 'purge') {
        places.purge(purgeOf(news), nowMs - ageMs);
        return true;
      }
      const place = places.of(news.tenant, news.route);
      if (news.kind === 'judged') {
        learn(place, news.right, nowMs - ageMs);
        if (news.forgotten !== undefined) levels.forget(news.forgotten);
        return true;
      }
      return hearEntry(news, place, nowMs - ageMs, nowMs, { config: current, store, get, levels, embedder });
    },
    drain: kept.drain,
    fill: kept.fill,
    places: places.view,
    share(key, place, exchange, nowMs) {
      if (!current.singleFlight) return alone;
      // What was in flight when something was purged may be older than that.
      const { maxAgeMs } = cacheControl(exchange);
      const stored = (): StoredReply | null => {
        const reply = get(place, key, nowMs);
        return reply !== null && nowMs - reply.askedMs <= maxAgeMs ? reply : null;
      };
      return flights.share(key, places.purges, exchange, stored);
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
