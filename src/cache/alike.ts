/**
 * The levels beyond the exact one: questions that are equal in their normal form, and questions that are worded
 * otherwise and ask the same. All else of the two requests must be equal to the byte.
 */
import { hash } from 'node:crypto';
import { type Shared, setsBounds, unshared } from '../base/shared.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { CacheLevel, StoredReply } from '../exchange/reply.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { bodyFlags } from '../native/inspect.ts';
import { readQuestion } from '../native/question.ts';
import { type Decision, search } from '../native/search.ts';
import { store } from '../native/store.ts';
import type { NotedReply, StoreBounds } from '../store/replies.ts';
import { agree, comparedBytesMax, spokenText } from './agree.ts';
import type { Embedder, QuestionVector } from './embedder.ts';
import {
  type CacheKey,
  cacheControl,
  keyAgain,
  type QuestionScope,
  questionScope,
  scopeAgain,
} from './key.ts';
import { normalForm } from './normal.ts';
import { isUsed, type Place, type Places } from './places.ts';
import type { CacheSettings } from './settings.ts';
import type { Use } from './trust.ts';
import type { Verifier } from './verifier.ts';

/** A question that may be answered by the reply to another one. */
export interface Asked {
  /** Of its request. */
  readonly key: CacheKey;
  readonly scope: QuestionScope;
  readonly text: string;
  readonly normal: string;
  /** Nothing else in its request tells what is to be done with its words. */
  readonly alone: boolean;
  readonly place: Place;
  /** No reply that was asked for longer ago answers it, ms. */
  readonly maxAgeMs: number;
  /** Name of what makes its vector. */
  readonly embedder: string;
  /** Its vector, once a provider was asked for it; null: none was. */
  vector: Promise<QuestionVector | null> | null;
}

/** A stored reply that answers a question. */
export interface NearHit {
  readonly reply: StoredReply;
  readonly level: Exclude<CacheLevel, 'exact'>;
  /** Cosine of the two questions, -1 to 1; 1 for equal ones. */
  readonly similarity: number;
  /** The stored question's number in the index; null: the normal forms are equal. */
  readonly entry: number | null;
}

/** A reply that would have been served, and is compared with a fresh one instead. */
export interface Judging {
  readonly key: CacheKey;
  readonly place: Place;
  readonly similarity: number;
  readonly why: 'shadow' | 'sample';
}

/** What takes time to find out: the question's vector, a closer look at what was found, or both. */
export interface Later {
  readonly asked: Asked;
  /** The candidate that needs a closer look; null: candidates are found once there is a vector. */
  readonly unsure: Likest | null;
  /** What is done with what is found: only to serve it, a request has to wait. */
  readonly use: Use;
  /** The most time it takes. */
  readonly mostMs: number;
  /** When it was looked for, monotonic ms. */
  readonly nowMs: number;
}

/** What was found for a question. */
export interface Near {
  readonly hit: NearHit | null;
  readonly judging: Judging | null;
  readonly later: Later | null;
}

/** A candidate whose reply is here. */
interface Found {
  readonly entry: number;
  readonly key: CacheKey;
  readonly reply: StoredReply;
  readonly similarity: number;
}

/** A reply that would be served: to a question in other words, or to one of the same normal form. */
type Served = Omit<Found, 'entry'> & Pick<NearHit, 'entry'>;

/** The surest candidate, and what the small model makes of it if a closer look has to decide; null: it needs none. */
interface Likest {
  readonly found: Found;
  readonly decision: Decision | null;
}

/** The replies by their exact keys. */
export interface ExactLevel {
  get(place: Place, key: CacheKey, nowMs: number): NotedReply | null;
}

/** The levels beyond the exact one. */
export interface AlikeLevels {
  /**
   * What was decided on the same request before, without reading its question; null: nothing that still holds.
   * @param nowMs monotonic ms
   */
  again(key: CacheKey, exchange: Exchange, request: ModelRequest, place: Place, nowMs: number): Near | null;
  /** Null: only the exact level applies. */
  ask(key: CacheKey, exchange: Exchange, request: ModelRequest, place: Place): Asked | null;
  /** @param nowMs monotonic ms */
  find(asked: Asked, nowMs: number): Near;
  /** Finds out what takes milliseconds. */
  finish(later: Later): Promise<Near>;
  /** The question's reply is stored under `key`. @returns the question's vector, where a provider makes it */
  keep(asked: Asked, key: CacheKey, nowMs: number): Promise<QuestionVector | null> | null;
  /** Compares the reply that would have been served with a fresh one. Null: it isn't here any more, or can't be compared. */
  compare(judging: Judging, fresh: StoredReply, nowMs: number): boolean | null;
  /** Drops what leads to a reply that was found wrong. */
  forget(entry: number): void;
  /** Takes out what leads to replies, as records of so many bytes; empty if none are left. */
  drain(kind: 'links' | 'questions', bytesMax: number): Buffer;
  /** Adopts what was drained; false: it isn't that. @param shiftMs is added to its times */
  fill(kind: 'links' | 'questions', records: Buffer, shiftMs: number, nowMs: number): boolean;
  update(config: CacheSettings): void;
  readonly bytes: number;
}

/** Nothing that answers it. */
export const nothing: Near = { hit: null, judging: null, later: null };
const empty = Buffer.alloc(0);

/** Candidates looked at for one question. */
const candidatesMax = 4;

/** Searches for one question: those whose replies are gone may hide others. */
const roundsMax = 4;

/** Index and links share the memory: an entry takes about as much of both. */
const boundsOf = (config: CacheSettings): StoreBounds => ({
  entriesMax: 3 * config.entriesMax,
  bytesMax: isUsed(config) ? config.semantic.bytesMax / 2 : 0,
  ttlMs: config.ttlSeconds * 1000,
});

/** The number of a reply's question in the index: the same one whenever that reply is stored. */
const entryOf = (key: CacheKey): number => hash('sha256', key, 'buffer').readUIntBE(0, 6);

/** Two numbers stand behind the key of what was found for a request: its entry, and the similarity. */
const decidedBytes = 16;

function numbersOf({ entry, similarity }: Found): Buffer {
  const numbers = Buffer.alloc(decidedBytes);
  numbers.writeDoubleLE(similarity, numbers.writeDoubleLE(entry));
  return numbers;
}

const ofEntry = (entry: number): string => `entry ${entry}`;
const ofNormal = ({ scope, normal }: Asked): string => `${scope}\0${normal}`;

/** Whether the client takes a reply of this age. */
const isYoung = ({ askedMs }: NotedReply, maxAgeMs: number, nowMs: number): boolean =>
  nowMs - askedMs <= maxAgeMs;

/** What is stored for a question of the same normal form; null: nothing that the client takes. @param key of its request */
function equalTo(
  { place, maxAgeMs }: Asked,
  key: CacheKey | null,
  exact: ExactLevel,
  nowMs: number,
): Served | null {
  const reply = key === null ? null : exact.get(place, key, nowMs);
  if (key === null || reply === null || !isYoung(reply, maxAgeMs, nowMs)) return null;
  return { entry: null, key, reply, similarity: 1 };
}

/** What becomes of a reply that would be served. @param found its entry is null where the normal forms are equal */
function used({ entry, key, reply, similarity }: Served, place: Place, use: Use): Near {
  const level = entry === null ? 'normalised' : 'semantic';
  return use === 'serve'
    ? { ...nothing, hit: { reply, level, similarity, entry } }
    : { ...nothing, judging: { key, place, similarity, why: use } };
}

/** A question that another pod told of. @param vector null: a provider makes none, or didn't */
export const askedOf = (
  key: CacheKey,
  place: Place,
  { scope, text, embedder }: { readonly scope: string; readonly text: string; readonly embedder: string },
  vector: QuestionVector | null,
): Asked => ({
  key,
  scope: scopeAgain(scope),
  text,
  normal: normalForm(text),
  alone: false,
  place,
  maxAgeMs: Number.POSITIVE_INFINITY,
  embedder,
  vector: Promise.resolve(vector),
});

/** Whether more than the same request may be answered alike. @param sampled varied answers count, too */
const mayAsk = (sampled: boolean, { endpoint }: Exchange, { questionEnd, flags }: ModelRequest): boolean =>
  endpoint.kind === 'chat' &&
  questionEnd > 0 &&
  (sampled || (flags & bodyFlags.sampled) === 0) &&
  // Personal data enters neither index nor links; what stands elsewhere in the body is only hashed.
  (flags & bodyFlags.questionPersonal) === 0;

/** @param sampled varied answers count, too @param embedder name of what makes its vector */
function readAsked(
  sampled: boolean,
  embedder: string,
  ...[key, exchange, request, place]: Parameters<AlikeLevels['ask']>
): Asked | null {
  if (!mayAsk(sampled, exchange, request)) return null;
  const { questionStart: start, questionEnd: end, flags } = request;
  const question = readQuestion(exchange.body, start, end, (flags & bodyFlags.questionEscaped) !== 0);
  if (question === null) return null;
  const { text } = question;
  const scope = questionScope(key, request, question, embedder);
  const { maxAgeMs } = cacheControl(exchange);
  const [normal, alone] = [normalForm(text), (flags & bodyFlags.questionAlone) !== 0];
  return { key, scope, text, normal, alone, place, maxAgeMs, embedder, vector: null };
}

/** Null: there is none, or it was made by another embedder than is asked now. */
async function vectorOf(asked: Asked, embedder: Omit<Embedder, 'update'>): Promise<QuestionVector | null> {
  asked.vector ??= embedder.embed(asked.scope, asked.text);
  const vector = await asked.vector;
  return asked.embedder === embedder.name ? vector : null;
}

/** The index of vectors of so many dimensions, that of all workers. */
const openIndex = (bytesMax: number, dimensions: number, shared: Shared): number =>
  search.open(bytesMax, dimensions, shared.name(`questions in ${dimensions} dimensions`));

/**
 * @param random from 0 up to 1
 * @param verifier takes the closer look, where it has a model
 * @param embedder makes the vectors by which candidates are found; what decides on them is always the native core
 */
export function createAlikeLevels(
  first: CacheSettings,
  exact: ExactLevel,
  places: Places,
  random: () => number,
  verifier: Pick<Verifier, 'ready' | 'wants' | 'verify'>,
  embedder: Omit<Embedder, 'update'>,
  shared = unshared,
): AlikeLevels {
  let config = first;
  const bounds = boundsOf(first);
  let index = openIndex(bounds.bytesMax, embedder.dimensions, shared);
  let { dimensions } = embedder;
  // Leads from normal forms, and from the index's entries, to exact keys, and from other wordings to entries.
  const links = store.open(bounds.entriesMax, bounds.bytesMax, bounds.ttlMs, shared.name('links'));

  const link = ({ owner }: Place, name: string, to: string, nowMs: number): void => {
    const bytes = Buffer.from(to);
    store.put(links, owner, name, bytes, bytes.length, empty, nowMs);
  };
  const follow = ({ owner }: Place, name: string, nowMs: number): CacheKey | null => {
    const found = store.get(links, owner, name, nowMs);
    return found === null ? null : (found.bytes.toString('utf8', 0, found.headLength) as CacheKey);
  };

  /** The name of what was decided on the same request. The closer look decides otherwise than the small model alone. */
  const ofDecided = (key: CacheKey): string =>
    `${key}\0${embedder.name}\0${config.semantic.threshold ?? (verifier.ready ? 'verified' : '')}`;

  /** What was found for the same request before: deciding costs more than all the rest of a hit. */
  const decided = (asked: CacheKey, place: Place, maxAgeMs: number, nowMs: number): Found | null => {
    const found = store.get(links, place.owner, ofDecided(asked), nowMs);
    if (found === null) return null;
    const { bytes, headLength, length } = found;
    if (length - headLength !== decidedBytes) return null;
    const [entry, similarity] = [bytes.readDoubleLE(headLength), bytes.readDoubleLE(headLength + 8)];
    const key = keyAgain(bytes.toString('utf8', 0, headLength));
    // A question that was forgotten as wrong is no longer in the index.
    if (!search.has(index, entry)) return null;
    const reply = exact.get(place, key, nowMs);
    return reply !== null && isYoung(reply, maxAgeMs, nowMs) ? { entry, key, reply, similarity } : null;
  };

  const remember = ({ key, place }: Asked, found: Found, nowMs: number): void => {
    const head = Buffer.from(found.key);
    store.put(links, place.owner, ofDecided(key), head, head.length, numbersOf(found), nowMs);
  };

  /** The surest candidate that would be served, or may be after a closer look. @param vector of a provider */
  const likest = (asked: Asked, nowMs: number, vector?: QuestionVector): Likest | null => {
    const { scope, text, place } = asked;
    const { threshold } = config.semantic;
    for (let round = 0; round < roundsMax; round++) {
      let gone = false;
      const candidates = search.candidates(index, scope, text, candidatesMax, verifier.ready, vector);
      for (const { entry, similarity, ...decision } of candidates) {
        const unsure = threshold === undefined && verifier.wants(decision);
        const serves = threshold === undefined ? decision.verdict === 'same' : similarity >= threshold;
        if (!serves && !unsure) continue;
        const key = follow(place, ofEntry(entry), nowMs);
        const reply = key === null ? null : exact.get(place, key, nowMs);
        if (key !== null && reply !== null) {
          if (!isYoung(reply, asked.maxAgeMs, nowMs)) continue;
          const found = { entry, key, reply, similarity };
          if (!unsure) remember(asked, found, nowMs);
          return { found, decision: unsure ? decision : null };
        }
        gone = search.remove(index, entry);
      }
      if (!gone) return null;
    }
    return null;
  };

  return {
    again(key, exchange, request, place, nowMs) {
      if (place.mode === 'off' || !mayAsk(config.semantic.sampled, exchange, request)) return null;
      const found = decided(key, place, cacheControl(exchange).maxAgeMs, nowMs);
      return found && used(found, place, places.use(place, random()));
    },
    ask: (...of) => readAsked(config.semantic.sampled, embedder.name, ...of),
    find(asked, nowMs) {
      const { place } = asked;
      const equal = equalTo(asked, follow(place, ofNormal(asked), nowMs), exact, nowMs);
      if (equal !== null && asked.alone) return used(equal, place, 'serve');
      if (place.mode === 'off') return nothing;
      if (!places.looks(place, nowMs)) return nothing;
      // Instructions may be about courtesy, marks and capitals too, as those to translate are.
      if (equal !== null) return used(equal, place, places.use(place, random()));
      const unsure = embedder.external ? null : likest(asked, nowMs);
      if (unsure === null && !embedder.external) return nothing;
      const use = places.use(place, random());
      if (unsure?.decision === null) return used(unsure.found, place, use);
      const mostMs = embedder.timeoutMs + config.semantic.verifierTimeoutMs;
      return { ...nothing, later: { asked, unsure, use, mostMs, nowMs } };
    },
    async finish({ asked, unsure, use, nowMs }) {
      const vector = unsure === null ? await vectorOf(asked, embedder) : null;
      const likely = unsure ?? (vector && likest(asked, nowMs, vector));
      if (likely === null) return nothing;
      const { found, decision } = likely;
      if (decision === null) return used(found, asked.place, use);
      const cached = search.text(index, found.entry);
      if (cached === null || !(await verifier.verify(cached, asked.text, decision))) return nothing;
      remember(asked, found, nowMs);
      // Meanwhile it may have been purged, or found wrong.
      const still = decided(asked.key, asked.place, asked.maxAgeMs, nowMs);
      return still === null ? nothing : used(still, asked.place, use);
    },
    keep(asked, key, nowMs) {
      const { place, scope, text } = asked;
      link(place, ofNormal(asked), key, nowMs);
      if (place.mode === 'off') return null;
      const entry = entryOf(key);
      const insert = (vector?: QuestionVector): void => {
        if (search.insert(index, place.owner, scope, entry, text, vector))
          link(place, ofEntry(entry), key, nowMs);
      };
      const made = embedder.external ? vectorOf(asked, embedder) : null;
      if (made === null) insert();
      else void made.then((vector) => vector && insert(vector));
      return made;
    },
    compare({ key, place }, fresh, nowMs) {
      const stored = exact.get(place, key, nowMs);
      if (stored === null || Math.max(stored.body.length, fresh.body.length) > comparedBytesMax) return null;
      return agree(spokenText(stored.body, stored.stream), spokenText(fresh.body, fresh.stream));
    },
    forget: (entry) => void search.remove(index, entry),
    drain: (kind, bytesMax) =>
      kind === 'links' ? store.drain(links, bytesMax) : search.drain(index, bytesMax),
    fill: (kind, records, shiftMs, nowMs) =>
      kind === 'links' ? store.fill(links, records, shiftMs, nowMs) : search.fill(index, records),
    update(next) {
      config = next;
      const { entriesMax, bytesMax, ttlMs } = boundsOf(next);
      if (dimensions !== embedder.dimensions) {
        search.close(index);
        ({ dimensions } = embedder);
        index = openIndex(bytesMax, dimensions, shared);
      } else if (setsBounds(shared)) search.set(index, bytesMax);
      if (setsBounds(shared)) store.set(links, entriesMax, bytesMax, ttlMs);
    },
    get bytes() {
      return search.bytes(index) + store.bytes(links);
    },
  };
}
