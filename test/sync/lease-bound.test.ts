/** The published bound of shared limits, over random schedules of grants, losses, delays, crashes and clock steps. */
import { describe, expect, test } from 'vitest';
import { fileRedis } from '../support/file-redis.ts';
import { type Faults, runSchedules, timedScript } from '../support/lease-model.ts';

const redis = fileRedis();

const batch = 250;
const steps = 60;
const schedules = Number(process.env.SIDEGATE_LEASE_SCHEDULES ?? 2000);
const off: Faults = { losses: false, crashes: false, clockSteps: false, outages: false };
const clockSteps: Faults = { ...off, losses: true, clockSteps: true };
const kinds: readonly Faults[] = [
  off,
  { ...off, losses: true },
  { ...off, losses: true, crashes: true },
  clockSteps,
  { losses: true, crashes: true, clockSteps: true, outages: true },
];

/** What is above the bound is more than rounding. */
const excessMax = 1e-6;

/**
 * The worst of so many schedules, with all kinds of faults in turn, or the first batch that breaks the bound.
 * @param first the kind to begin with
 */
async function worstOf(script: string, count: number, first = off) {
  let worst = { excess: Number.NEGATIVE_INFINITY, worst: '', admitted: 0 };
  let round = kinds.indexOf(first);
  for (let from = 0; from < count && worst.excess <= excessMax; from += batch, round++) {
    const seeds = Array.from({ length: Math.min(batch, count - from) }, (_, i) => 1 + from + i);
    const faults = kinds[round % kinds.length] as Faults;
    const found = await runSchedules(redis(), script, seeds, steps, faults);
    expect(found.admitted).toBeGreaterThan(0);
    if (found.excess > worst.excess) worst = found;
  }
  return worst;
}

describe('the bound of shared limits', () => {
  test(`holds in ${schedules} random schedules`, { timeout: 1_200_000 }, async () => {
    const { excess, worst } = await worstOf(timedScript(), schedules);
    expect(excess, worst).toBeLessThanOrEqual(excessMax);
  });

  test.each<[what: string, from: string, to: string, first?: Faults]>([
    ['a grant that is not counted as leased', 'leased = leased + hold\n', '\n'],
    ['use that is not debited', 'use(debit)', 'use(0)'],
    [
      'a lease that is taken back and stays granted',
      'leased = leased - hold\n',
      'leased = leased - 2 * hold\n',
    ],
    [
      'a clock that is not checked against the caller',
      'if passed < 0 then',
      'if true then step = step elseif passed < 0 then',
      clockSteps,
    ],
    ['an expired lease that is not counted as used', 'use(h)', 'use(0)'],
  ])('a seeded mistake is found: %s', { timeout: 120_000 }, async (_, from, to, first = off) => {
    const script = timedScript((text) => {
      expect(text).toContain(from);
      return text.replace(from, to);
    });
    const { excess } = await worstOf(script, 5 * batch, first);
    expect(excess).toBeGreaterThan(excessMax);
  });
});
