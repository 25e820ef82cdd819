/** How trust is learned: bounds, and places that are plain, bad, or turn bad. */
import { describe, expect, test } from 'vitest';
import { lowerBound, upperBound } from '../../src/cache/bounds.ts';
import { judge, noJudgements, trustOf, useOf } from '../../src/cache/trust.ts';
import { seeded } from '../support/native-random.ts';

/** Chances from 0 up to 1. */
const chances = (seed: number): (() => number) => {
  const { below } = seeded(seed);
  return () => below(1_000_000) / 1_000_000;
};

const settings = { wrongMax: 0.01, sampleShare: 0.05 };

describe('bounds of a share, with 95% confidence', () => {
  test.each([
    // 1 - 0.05 ** (1 / n) where none was wrong; others from tables of the beta distribution.
    [0, 299, 0, 0.009969],
    [0, 10, 0, 0.258866],
    [1, 10, 0.005116, 0.394163],
    [4, 100, 0.013767, 0.089206],
    [50, 100, 0.413646, 0.586354],
    // So many that the terms are beyond what a number holds.
    [284, 6812, 0.03778, 0.045896],
    [4000, 9000, 0.435788, 0.453128],
  ])('%d of %d: %d to %d', (hits, total, lower, upper) => {
    expect(lowerBound(hits, total)).toBeCloseTo(lower, 4);
    expect(upperBound(hits, total)).toBeCloseTo(upper, 4);
  });

  test('nothing was seen', () => {
    expect([lowerBound(0, 0), upperBound(0, 0), upperBound(3, 3)]).toEqual([0, 1, 1]);
  });
});

describe('a place', () => {
  test('goes live after 299 judgements of which none is wrong, and not before', () => {
    const place = noJudgements();
    for (let i = 0; i < 298; i++) expect(judge(place, true, settings)).toBeNull();
    expect(useOf(place, 0.5, settings)).toBe('shadow');
    expect(judge(place, true, settings)).toBe(true);
    expect(useOf(place, 0.5, settings)).toBe('serve');
    expect(useOf(place, 0.04, settings)).toBe('sample');
    expect(trustOf(place)).toMatchObject({ judged: 299, wrong: 0, live: true });
  });

  test('whose answers depend on what is not seen stays in the shadow in 99 of 100 runs', () => {
    let live = 0;
    for (let run = 0; run < 100; run++) {
      const random = chances(run);
      const place = noJudgements();
      let wasLive = false;
      for (let i = 0; i < 3000; i++) wasLive = judge(place, random() >= 0.05, settings) === true || wasLive;
      live += wasLive ? 1 : 0;
    }
    expect(live).toBeLessThanOrEqual(1);
  });

  test('that is a plain FAQ goes live and stays so', () => {
    for (let run = 0; run < 100; run++) {
      const random = chances(1000 + run);
      const place = noJudgements();
      for (let i = 0; i < 3000; i++) judge(place, random() >= 0.0005, settings);
      expect(place.live).toBe(true);
    }
  });

  test.each([
    // Share of wrong answers, and hits within which it goes off: a twentieth of them is judged.
    [1, 240],
    [0.3, 1200],
  ])('that turns bad, %d wrong, goes off within %d hits in 99 of 100 runs', (wrong, hitsMax) => {
    let late = 0;
    for (let run = 0; run < 100; run++) {
      const random = chances(2000 + run);
      const place = noJudgements();
      for (let i = 0; i < 1000; i++) judge(place, true, settings);
      let hits = 0;
      while (place.live && hits <= 10 * hitsMax) {
        hits += 1;
        if (useOf(place, random(), settings) === 'sample') judge(place, random() >= wrong, settings);
      }
      late += hits > hitsMax ? 1 : 0;
    }
    expect(late).toBeLessThanOrEqual(1);
  });
});
