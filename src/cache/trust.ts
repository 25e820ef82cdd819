/**
 * Learns where similar questions may be answered from the cache: would-be hits are judged by asking upstream as well and
 * comparing both answers.
 */
import { isAbove, isAtMost, lowerBound, upperBound } from './bounds.ts';

/** The latest judgements of a place that count. */
const judgedMax = 1000;
/** A place that turned bad is seen in so many of its latest judgements, however good it was before. */
const latestMax = 100;

/** When a place is trusted. */
export interface TrustSettings {
  /** The largest share of wrong answers, 0 to 1. */
  readonly wrongMax: number;
  /** Share of hits that go upstream as well once a place is trusted, 0 to 1. */
  readonly sampleShare: number;
}

/** What was judged at a place. */
export interface Judgements {
  /** The latest ones, oldest first; true: wrong. */
  latest: boolean[];
  /** How many of them are wrong. */
  wrong: number;
  /** Similar questions are answered from the cache. */
  live: boolean;
}

/** What is known of a place. */
export interface Trust {
  /** Judgements that count, and how many of them found the cached answer wrong. */
  readonly judged: number;
  readonly wrong: number;
  /** Bounds of the true share of wrong answers, each with 95% confidence. */
  readonly upper: number;
  readonly lower: number;
  readonly live: boolean;
}

/** What is done with a would-be hit: it is served; it goes upstream, since its place isn't trusted, or as a sample. */
export type Use = 'serve' | 'shadow' | 'sample';

/** Nothing was judged yet. */
export const noJudgements = (): Judgements => ({ latest: [], wrong: 0, live: false });

/** What to do with a would-be hit. @param chance from 0 up to 1 */
export function useOf({ live }: Judgements, chance: number, { sampleShare }: TrustSettings): Use {
  if (!live) return 'shadow';
  return chance < sampleShare ? 'sample' : 'serve';
}

/** Whether the share of wrong answers is surely too large, in all judgements or in the last of them. */
function isBad({ latest, wrong }: Judgements, wrongMax: number): boolean {
  const last = latest.slice(-latestMax);
  const wrongOfLast = last.filter(Boolean).length;
  return isAbove(wrongMax, wrong, latest.length) || isAbove(wrongMax, wrongOfLast, last.length);
}

/** Notes a judgement. @returns whether the place is live from now on, if that changed; otherwise null */
export function judge(place: Judgements, right: boolean, { wrongMax }: TrustSettings): boolean | null {
  place.latest.push(!right);
  if (!right) place.wrong += 1;
  if (place.latest.length > judgedMax && place.latest.shift() === true) place.wrong -= 1;
  const { live } = place;
  // What it was trusted for no longer holds, so it has to earn trust anew.
  if (live && isBad(place, wrongMax)) Object.assign(place, noJudgements());
  else if (!live) place.live = isAtMost(wrongMax, place.wrong, place.latest.length);
  return place.live === live ? null : place.live;
}

/** Adopts another `wrongMax`: whether a place is live, as if it had earned its trust with it. */
export function judgeAnew(place: Judgements, { wrongMax }: TrustSettings): void {
  place.live = isAtMost(wrongMax, place.wrong, place.latest.length);
}

/** What is known of a place. */
export function trustOf({ latest, wrong, live }: Judgements): Trust {
  const judged = latest.length;
  return { judged, wrong, upper: upperBound(wrong, judged), lower: lowerBound(wrong, judged), live };
}
