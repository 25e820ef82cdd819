/** The places of the cache: for each tenant and route, what is switched on there, how much it is used, and its trust. */
import { hash } from 'node:crypto';
import type { CacheLevel } from '../exchange/reply.ts';
import { type Purge, type Purged, purge, purgedBefore } from './purged.ts';
import type { CacheSettings, SemanticMode } from './settings.ts';
import {
  type Judgements,
  judge,
  judgeAnew,
  noJudgements,
  type Trust,
  trustOf,
  type Use,
  useOf,
} from './trust.ts';
import { createWatch } from './watch.ts';

/** Places kept; the one that is longest unused is forgotten. */
const placesMax = 10_000;

/** Purges remembered for places that are yet to come; of older ones only the latest mark. */
const namedMax = 256;

/** A tenant's route. */
export interface Place {
  readonly tenant: string;
  /** The route's `model`. */
  readonly route: string;
  /** The tenant's number in stores: whoever holds most makes room for others. */
  readonly owner: number;
  enabled: boolean;
  mode: SemanticMode;
  readonly purged: Purged;
  readonly hits: Record<CacheLevel, number>;
  /** Hits of the semantic level that went upstream, to be judged. */
  judgedHits: number;
  savedNanoUsd: number;
  readonly judgements: Judgements;
  /** What was judged up to then is among them, from a snapshot, monotonic ms. */
  judgedMs: number;
}

/** A place as reports show it. */
export interface PlaceView extends Trust {
  readonly tenant: string;
  readonly route: string;
  readonly mode: SemanticMode;
  readonly hits: Place['hits'];
  readonly judgedHits: number;
  readonly savedUsd: number;
  /** Why similar questions are answered from the cache there, or not. */
  readonly why: string;
}

/** All places. */
export interface Places {
  of(tenant: string, route: string): Place;
  /** Whether a hit of the semantic level is looked for: wherever it may be served, and elsewhere so often. @param nowMs monotonic ms */
  looks(place: Place, nowMs: number): boolean;
  /** What to do with a would-be hit of the semantic level. @param chance from 0 up to 1 */
  use(place: Place, chance: number): Use;
  /**
   * @param toldMs when another pod told of it, monotonic ms: one that restarted may have heard it before
   * @returns whether the semantic level is live there from now on, if that changed; otherwise null
   */
  judge(place: Place, right: boolean, toldMs?: number): boolean | null;
  /** Makes entries unreachable. @param nowMs monotonic ms */
  purge(what: Purge, nowMs: number): void;
  /** So often something was purged. */
  readonly purges: number;
  view(): PlaceView[];
  /** What is known of the places, for a snapshot. */
  kept(): KeptPlaces;
  /** Adopts what was known: marks beside those that are here, judgements where there are none yet. @param shiftMs is added to its times @param takenMs when it was taken, monotonic ms */
  restore(kept: KeptPlaces, shiftMs: number, takenMs: number): void;
  update(config: CacheSettings): void;
}

/** What a snapshot knows of the places. */
export interface KeptPlaces {
  /** The latest mark of any purge, monotonic ms; null: none. */
  readonly latestMs: number | null;
  readonly places: readonly KeptPlace[];
  /** See `decidingOf`. */
  readonly deciding: string;
}

interface KeptPlace extends Pick<Place, 'tenant' | 'route' | 'hits' | 'judgedHits' | 'savedNanoUsd'> {
  readonly beforeMs: number | null;
  readonly tags: readonly (readonly [string, number])[];
  /** A digit for each judgement, 1: wrong. */
  readonly latest: string;
  readonly live: boolean;
}

/** From most to least cautious. */
const caution: readonly SemanticMode[] = ['off', 'shadow', 'auto', 'on'];

/** The mode at a place: the more cautious one of its tenant's and its route's, otherwise the general one. */
function modeAt({ tenants, routes, semantic }: CacheSettings, tenant: string, route: string): SemanticMode {
  const own = [tenants[tenant]?.semantic, routes[route]?.semantic].filter((mode) => mode !== undefined);
  return caution.find((mode) => own.includes(mode)) ?? semantic.mode;
}

/** What decides which questions ask the same: judgements tell nothing of what anything else would decide. */
function decidingOf({ semantic: { threshold, verifier, sampled, embedder } }: CacheSettings): string {
  const { provider, model, dimensions, shorten, version } = embedder ?? {};
  return JSON.stringify([threshold, verifier, sampled, provider, model, dimensions, shorten, version]);
}

const isEnabled = ({ enabled, tenants, routes }: CacheSettings, tenant: string, route: string): boolean => {
  const own = [tenants[tenant]?.enabled, routes[route]?.enabled].filter((one) => one !== undefined);
  return own.length === 0 ? enabled : own.every(Boolean);
};

/** Whether anybody's replies are kept. */
export const isUsed = ({ enabled, tenants, routes }: CacheSettings): boolean =>
  enabled || [...Object.values(tenants), ...Object.values(routes)].some((own) => own.enabled === true);

/** No place yet. */
export function createPlaces(first: CacheSettings): Places {
  let config = first;
  const watch = createWatch(() => config.semantic.watchPerSecond);
  const places = new Map<string, Place>();
  let purges = 0;
  /** What was purged, with its mark, so that a place that was forgotten, or is yet to come, doesn't find its old entries. */
  const named = new Map<string, { readonly what: Purge; readonly beforeMs: number }>();
  /** The latest mark of those that aren't remembered one by one. */
  let othersMs = Number.NEGATIVE_INFINITY;
  let [lastName, last]: [string, Place | undefined] = ['', undefined];

  const adopt = (place: Place): void => {
    place.enabled = isEnabled(config, place.tenant, place.route);
    place.mode = modeAt(config, place.tenant, place.route);
  };
  const create = (tenant: string, route: string): Place => {
    const hits = { exact: 0, normalised: 0, semantic: 0 };
    const judgements = noJudgements();
    const counts = { hits, judgedHits: 0, savedNanoUsd: 0, judgements, judgedMs: Number.NEGATIVE_INFINITY };
    const owner = hash('sha256', tenant, 'buffer').readUInt32LE();
    const purged = purgedBefore(othersMs);
    for (const { what, beforeMs } of named.values())
      if (isNamed(what, tenant, route)) purge(purged, what.tag, beforeMs);
    const place: Place = { tenant, route, owner, enabled: false, mode: 'off', purged, ...counts };
    adopt(place);
    return place;
  };
  const remember = (what: Purge, beforeMs: number): void => {
    const name = JSON.stringify([what.tenant, what.route, what.tag]);
    const known = named.get(name)?.beforeMs ?? beforeMs;
    named.delete(name);
    named.set(name, { what, beforeMs: Math.max(known, beforeMs) });
    const [oldest] = named.size > namedMax ? named : [];
    if (oldest === undefined) return;
    named.delete(oldest[0]);
    othersMs = Math.max(othersMs, oldest[1].beforeMs);
  };

  return {
    of(tenant, route) {
      const name = `${tenant}\0${route}`;
      if (last !== undefined && name === lastName) return last;
      const place = places.get(name) ?? create(tenant, route);
      places.delete(name);
      places.set(name, place);
      const [oldest] = places.size > placesMax ? places.keys() : [];
      if (oldest !== undefined) places.delete(oldest);
      [lastName, last] = [name, place];
      return place;
    },
    looks: ({ mode, judgements }, nowMs) =>
      mode === 'on' || (mode === 'auto' && judgements.live) || watch.take(nowMs),
    use({ mode, judgements }, chance) {
      if (mode === 'on') return 'serve';
      return mode === 'auto' ? useOf(judgements, chance, config.semantic) : 'shadow';
    },
    judge: ({ judgements, judgedMs }, right, toldMs = Number.POSITIVE_INFINITY) =>
      toldMs > judgedMs ? judge(judgements, right, config.semantic) : null,
    purge(what, nowMs) {
      purges += 1;
      const beforeMs = nowMs - (what.olderThanMs ?? 0);
      remember(what, beforeMs);
      for (const place of places.values())
        if (isNamed(what, place.tenant, place.route)) purge(place.purged, what.tag, beforeMs);
    },
    get purges() {
      return purges;
    },
    kept() {
      const marks = [...named.values()].map(({ beforeMs }) => beforeMs);
      const latestMs = finite(Math.max(othersMs, ...marks));
      return { latestMs, places: [...places.values()].map(keptOf), deciding: decidingOf(config) };
    },
    restore(kept, shiftMs, takenMs) {
      const at = (markMs: number | null): number =>
        markMs === null ? Number.NEGATIVE_INFINITY : markMs + shiftMs;
      const unknown = new Set(places.values());
      const holds = kept.deciding === decidingOf(config);
      for (const one of kept.places) {
        const name = `${one.tenant}\0${one.route}`;
        const here = places.get(name);
        if (here === undefined && places.size >= placesMax) continue;
        const place = here ?? create(one.tenant, one.route);
        places.set(name, place);
        unknown.delete(place);
        purge(place.purged, undefined, at(one.beforeMs));
        for (const [tag, markMs] of one.tags) purge(place.purged, tag, at(markMs));
        addUse(place, one);
        if (holds && addJudged(place, one)) place.judgedMs = takenMs;
      }
      const latestMs = at(kept.latestMs);
      for (const place of unknown) purge(place.purged, undefined, latestMs);
      othersMs = Math.max(othersMs, latestMs);
    },
    view: () => [...places.values()].map((place) => viewOf(place, config)),
    update(next) {
      const holds = decidingOf(config) === decidingOf(next);
      const { wrongMax } = config.semantic;
      config = next;
      for (const place of places.values()) {
        adopt(place);
        if (!holds) Object.assign(place.judgements, noJudgements());
        else if (wrongMax !== next.semantic.wrongMax) judgeAnew(place.judgements, next.semantic);
      }
    },
  };
}

const isNamed = (what: Purge, tenant: string, route: string): boolean =>
  (what.tenant ?? tenant) === tenant && (what.route ?? route) === route;

/** Adds the use that was made of a place to its own. */
function addUse(place: Place, { hits, judgedHits, savedNanoUsd }: KeptPlace): void {
  place.hits.exact += hits.exact;
  place.hits.normalised += hits.normalised;
  place.hits.semantic += hits.semantic;
  place.judgedHits += judgedHits;
  place.savedNanoUsd += savedNanoUsd;
}

/** Adopts what was judged at a place; false: something is here already. */
function addJudged({ judgements }: Place, { latest, live }: KeptPlace): boolean {
  if (judgements.latest.length > 0) return false;
  const judged = [...latest].map((digit) => digit === '1');
  Object.assign(judgements, { latest: judged, wrong: judged.filter(Boolean).length, live });
  return true;
}

const finite = (markMs: number): number | null => (Number.isFinite(markMs) ? markMs : null);

function keptOf({ tenant, route, hits, judgedHits, savedNanoUsd, purged, judgements }: Place): KeptPlace {
  const { latest, live } = judgements;
  const marks = { beforeMs: finite(purged.beforeMs), tags: [...purged.tags] };
  const judged = { latest: latest.map(Number).join(''), live };
  return { tenant, route, hits, judgedHits, savedNanoUsd, ...marks, ...judged };
}

function viewOf(place: Place, { semantic: { wrongMax } }: CacheSettings): PlaceView {
  const { tenant, route, mode, hits, judgedHits, savedNanoUsd, judgements } = place;
  const trust = trustOf(judgements);
  const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
  const why = {
    off: 'switched off',
    shadow: 'only watched, as configured',
    on: 'switched on, whatever was judged',
    auto: trust.live
      ? `at most ${percent(trust.upper)} wrong, with 95% confidence`
      : `up to ${percent(trust.upper)} may be wrong; ${percent(wrongMax)} is allowed`,
  }[mode];
  const live = mode === 'on' || (mode === 'auto' && trust.live);
  return { tenant, route, mode, hits, judgedHits, savedUsd: savedNanoUsd / 1e9, why, ...trust, live };
}
