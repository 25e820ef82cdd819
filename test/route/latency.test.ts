/** Strategy latency with a passed-in clock: three targets, of which the best one degrades. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { PeakEwma } from '../../src/upstream/peak-ewma.ts';
import { seeded } from '../support/native-random.ts';
import { idleProvider, type Routing, startRouting } from '../support/routing.ts';

interface Run {
  /** Times of all requests, ms. */
  readonly times: number[];
  /** Where each request from here on went. */
  readonly after: string[];
}

const perSecond = 100;
const halfMs = 10_000;
/** When traffic should have left the degraded target. */
const settledMs = halfMs + 5_000;
const degradedMs = 2_000;
const usualMs: Readonly<Record<string, number>> = { 'p/a': 50, 'p/b': 100, 'p/c': 400 };

/** @param choose the target to call at a time */
function simulate(routing: Routing, stream: boolean, choose: (index: number) => string): Run {
  const run: Run = { times: [], after: [] };
  const due: { readonly atMs: number; readonly end: () => void }[] = [];
  for (let index = 0; index < (2 * halfMs * perSecond) / 1000; index++) {
    const nowMs = (index * 1000) / perSecond;
    due.sort((a, b) => a.atMs - b.atMs);
    while ((due[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) due.shift()?.end();
    routing.nowMs = nowMs;
    const label = choose(index);
    const tookMs = label === 'p/a' && nowMs >= halfMs ? degradedMs : (usualMs[label] ?? 0);
    const { latency } = routing.health(label);
    latency.begin(stream, nowMs);
    due.push({
      atMs: nowMs + tookMs,
      end: () => latency.observe(stream, nowMs, nowMs + tookMs, stream ? 0 : 100),
    });
    run.times.push(tookMs);
    if (nowMs >= settledMs) run.after.push(label);
  }
  return run;
}

const p95 = (times: readonly number[]): number =>
  [...times].sort((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1] ?? 0;

const targets = ['a', 'b', 'c'].map((model) => ({ provider: 'p', model }));
const start = (seed = 1): Routing => {
  const routing = startRouting([{ model: 'm', strategy: 'latency', targets }], [idleProvider('p')]);
  const source = seeded(seed);
  routing.random = () => source.below(1_000_000) / 1_000_000;
  return routing;
};

describe('a target that degrades', () => {
  test.each([
    ['streams', true],
    ['whole replies', false],
  ])('is left at once, and tried again now and then (%s)', (_, stream) => {
    const routing = start();
    const routed = simulate(routing, stream, () => routing.labels('m', { stream })[0] ?? '');
    const robin = simulate(start(), stream, (index) => ['p/a', 'p/b', 'p/c'][index % 3] ?? '');
    expect(p95(routed.times)).toBeLessThanOrEqual(0.3 * p95(robin.times));
    const degraded = routed.after.filter((label) => label === 'p/a').length;
    expect(degraded / routed.after.length).toBeLessThanOrEqual(0.02);
  });

  test('is used again once it has recovered', () => {
    const routing = start();
    const { latency } = routing.health('p/a');
    latency.begin(true, 0);
    latency.observe(true, 0, degradedMs, 0);
    for (const [label, tookMs] of [
      ['p/b', 100],
      ['p/c', 150],
    ] as const) {
      const other = routing.health(label).latency;
      other.begin(true, 0);
      other.observe(true, 0, tookMs, 0);
    }
    const first = (nowMs: number): string => {
      routing.nowMs = nowMs;
      const [label = ''] = routing.labels('m', { stream: true });
      const health = routing.health(label).latency;
      health.begin(true, nowMs);
      health.observe(true, nowMs, nowMs + (usualMs[label] ?? 0), 0);
      return label;
    };
    let nowMs = degradedMs;
    while (first(nowMs) !== 'p/a' && nowMs < 120_000) nowMs += 100;
    expect(nowMs).toBeLessThan(60_000);
    nowMs += 30_000;
    const share = Array.from({ length: 100 }, (_, i) => first(nowMs + i * 100)).filter((l) => l === 'p/a');
    expect(share.length).toBeGreaterThan(50);
  });
});

describe('the choice', () => {
  test('never falls on an outlier or a target that is down while there is another', () => {
    const routing = start();
    for (const [label, tookMs] of [
      ['p/a', 100],
      ['p/b', 110],
      ['p/c', 1000],
    ] as const) {
      const { latency } = routing.health(label);
      latency.begin(false, 0);
      latency.observe(false, 0, tookMs, 0);
    }
    routing.nowMs = 1000;
    for (let i = 0; i < 200; i++) expect(routing.labels('m')[0]).not.toBe('p/c');
    routing.trip('p/a');
    for (let i = 0; i < 50; i++) expect(routing.labels('m')).toEqual(['p/b', 'p/c', 'p/a']);
  });

  test('consecutive failures eject a target for a while', () => {
    const routing = start();
    const { latency } = routing.health('p/a');
    for (let i = 0; i < 3; i++) {
      latency.begin(false, i);
      latency.fail(false, i, i + 1);
    }
    expect(latency.ejected(10)).toBe(true);
    routing.nowMs = 10;
    for (let i = 0; i < 50; i++) expect(routing.labels('m').at(-1)).toBe('p/a');
    expect(latency.ejected(10_000)).toBe(false);
  });

  test('every target is in the plan once, whatever the readings', () => {
    const reading = fc.option(fc.nat(100_000), { nil: null });
    fc.assert(
      fc.property(
        fc.array(reading, { minLength: 1, maxLength: 8 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (readings, chance) => {
          const models = readings.map((_, i) => ({ provider: 'p', model: `m${i}` }));
          const routing = startRouting(
            [{ model: 'm', strategy: 'latency', targets: models }],
            [idleProvider('p')],
          );
          routing.random = () => chance;
          readings.forEach((tookMs, i) => {
            if (tookMs === null) return;
            const { latency } = routing.health(`p/m${i}`);
            latency.begin(true, 0);
            latency.observe(true, 0, tookMs, 0);
          });
          const plan = routing.ask('m', { stream: true });
          if (plan instanceof Refusal) throw new Error(plan.message);
          expect(new Set(plan.steps.map(({ target }) => target.label)).size).toBe(readings.length);
        },
      ),
    );
  });
});

describe('a reading', () => {
  test('jumps to a peak, and falls with time', () => {
    const ewma = new PeakEwma();
    const took = (begunMs: number, tookMs: number): number => {
      ewma.begin(true, begunMs);
      ewma.observe(true, begunMs, begunMs + tookMs, 0);
      return ewma.cost(true, begunMs + tookMs);
    };
    expect(took(0, 100)).toBe(100);
    expect(took(1000, 900)).toBe(900);
    expect(took(2000, 100)).toBeGreaterThan(700);
    expect(took(60_000, 100)).toBeLessThan(110);
    expect(ewma.cost(true, 90_000)).toBeLessThan(10);
    // One request goes to see; the others wait for what it says.
    ewma.begin(true, 90_000);
    expect(ewma.cost(true, 90_000)).toBeGreaterThan(90);
  });

  test('rises while nothing arrives, before the first answer', () => {
    const ewma = new PeakEwma();
    for (let i = 0; i < 10; i++) ewma.begin(false, 0);
    expect(ewma.cost(false, 500)).toBeCloseTo(909.1, 1);
    for (let i = 0; i < 10; i++) ewma.abandon(false, 0);
    expect(ewma.cost(false, 500)).toBe(0);
  });

  test('of whole replies is per token, so that long answers don’t look slow', () => {
    const [short, long] = [new PeakEwma(), new PeakEwma()];
    short.begin(false, 0);
    short.observe(false, 0, 1000, 50);
    long.begin(false, 0);
    long.observe(false, 0, 10_000, 500);
    expect(short.cost(false, 1000)).toBe(20);
    expect(long.cost(false, 10_000)).toBe(20);
  });
});
