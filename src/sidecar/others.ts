/** What the other workers know, added to what the first one knows, for people who look. */
import type { Registry } from 'prom-client';
import type { PlaceView } from '../cache/places.ts';
import type { CacheLevel } from '../exchange/reply.ts';
import { mergedText, type WorkerMetrics } from '../observe/merge.ts';
import { addedSpend, type SpendRow } from '../observe/spend.ts';
import type { Observer } from '../observe/telemetry.ts';
import type { WorkerState } from './crew.ts';
import { noWorkers, type Workers } from './workers.ts';

/** The other workers, as they were when they were last asked. */
export interface Others {
  readonly states: readonly WorkerState[];
  /** Asks them, and adds their last records to the first one's. */
  refresh(): Promise<void>;
  /** With the use that all have made of each place. */
  places(own: readonly PlaceView[]): PlaceView[];
  /** With what all have spent. */
  spend(own: Iterable<SpendRow>): SpendRow[];
  /** The metrics of all, for Prometheus. */
  metricsText(own: Registry): Promise<string>;
}

/** @param workers they may be started later */
export function createOthers(workers: () => Workers, { recent }: Pick<Observer, 'recent'>): Others {
  let states: readonly WorkerState[] = [];
  /** What each told last: without one that is busy or has ended, counters would go down, which looks like a restart. */
  const told: WorkerMetrics[] = [];
  return {
    get states() {
      return states;
    },
    async refresh() {
      if (workers() === noWorkers) return;
      states = await workers().states();
      const records = states.flatMap((state) => state.recent).sort((a, b) => a.endedMs - b.endedMs);
      for (const { record, endedMs } of records) recent.add(record, endedMs);
    },
    places: (own) =>
      merged([...own, ...states.flatMap(({ places }) => places)], placeKey, (a, b) => ({
        ...a,
        hits: addedHits(a.hits, b.hits),
        judgedHits: a.judgedHits + b.judgedHits,
        savedUsd: a.savedUsd + b.savedUsd,
      })),
    spend: (own) => merged([...own, ...states.flatMap(({ spend }) => spend)], spendKey, addedSpend),
    async metricsText(own) {
      if (workers() === noWorkers) return own.metrics();
      for (const [i, metrics] of (await workers().metrics()).entries())
        if (metrics !== null) told[i] = metrics;
      return mergedText(
        own,
        told.filter((each) => each !== undefined),
      );
    },
  };
}

const placeKey = ({ tenant, route }: PlaceView): string => `${tenant}\0${route}`;
const spendKey = ({ tenant, team, keyId, target }: SpendRow): string =>
  `${tenant}\0${team}\0${keyId}\0${target}`;

/** One of each key. @param add adds a later one to an earlier one */
function merged<T>(all: readonly T[], keyOf: (one: T) => string, add: (a: T, b: T) => T): T[] {
  const byKey = new Map<string, T>();
  for (const one of all) {
    const key = keyOf(one);
    const before = byKey.get(key);
    byKey.set(key, before === undefined ? one : add(before, one));
  }
  return [...byKey.values()];
}

type Hits = Record<CacheLevel, number>;

const addedHits = (a: Hits, b: Hits): Hits => ({
  exact: a.exact + b.exact,
  normalised: a.normalised + b.normalised,
  semantic: a.semantic + b.semantic,
});
