/** Each algorithm of the core against a slow reference, over random schedules: the same decisions, waits and levels. */
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type AlgorithmName, algorithms } from '../../src/exchange/algorithm.ts';
import { AskEntries, MeterAlgorithm, meter, meterAsk, SettleEntries } from '../../src/native/meters.ts';
import {
  heldMs,
  type Reference,
  slowBucket,
  slowBudget,
  slowGauge,
  slowLeaky,
  slowWindow,
  type Verdict,
} from '../support/limit-references.ts';

const table = meter.openTable();
afterAll(() => meter.closeTable(table));

const numRuns = 10_000;
const capacity = 100;
const perMs = 2;
const windowMs = 600;

interface Kind {
  readonly name: AlgorithmName;
  readonly rate: number;
  readonly slow: () => Reference;
  /** Its amounts are held, never spent at once. */
  readonly keeps?: true;
}

const kinds: readonly Kind[] = [
  { name: 'token_bucket', rate: perMs * 1000, slow: () => slowBucket(capacity, perMs) },
  { name: 'leaky_bucket', rate: perMs * 1000, slow: () => slowLeaky(capacity, perMs) },
  { name: 'sliding_window', rate: windowMs, slow: () => slowWindow(capacity, windowMs) },
  { name: 'concurrency', rate: 0, slow: () => slowGauge(capacity), keeps: true },
  { name: 'budget', rate: 0, slow: () => slowBudget(capacity, windowMs) },
];

const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass'),
      ms: fc.oneof(fc.integer({ min: 0, max: 150 }), fc.integer({ min: 400, max: 700 })),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('ask'),
      cost: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 90, max: 105 })),
      keep: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('settle'),
      which: fc.nat(2),
      used: fc.integer({ min: 0, max: 80 }),
    }),
  },
) as fc.Arbitrary<
  | { kind: 'pass'; ms: number }
  | { kind: 'ask'; cost: number; keep: boolean }
  | { kind: 'settle'; which: number; used: number }
>;
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
const schedule = fc.array(step, { minLength: 1, maxLength: 30 });

interface Hold {
  readonly cost: number;
  readonly window: number;
}

const asks = new AskEntries();
const ends = new SettleEntries();

/** Runs a schedule over meters asked together, and over their twins. */
function play(asked: readonly Kind[], steps: readonly Step[]): void {
  const ids = asked.map(({ name, rate }) => meter.open(table, algorithms[name].meter, capacity, rate, 1, 0));
  const twins = asked.map(({ slow }) => slow());
  const holds: Hold[] = [];
  let nowMs = 0;
  const window = (): number => Math.floor(nowMs / windowMs);
  for (const each of steps) {
    if (each.kind === 'pass') {
      nowMs += each.ms;
      for (const twin of twins) twin.pass(each.ms);
    } else if (each.kind === 'ask') {
      const keep = each.keep || asked.some(({ keeps }) => keeps === true);
      const left = (window() + 1) * windowMs - nowMs;
      asks.clear();
      for (const id of ids) asks.ask(id, each.cost, keep ? 0 : meterAsk.spent, window(), left);
      const answer = asks.admit(table, Number.MAX_VALUE, nowMs);
      const verdicts = twins.map((twin) => twin.ask(each.cost));
      compare(answer, verdicts);
      if (answer < 0) continue;
      for (const twin of twins) twin.take(each.cost, keep);
      if (keep) holds.push({ cost: each.cost, window: window() });
    } else {
      // The oldest of its size first, as the twin of budgets does.
      const chosen = holds[each.which];
      const at = holds.findIndex(({ cost }) => cost === chosen?.cost);
      const [hold] = at < 0 ? [] : holds.splice(at, 1);
      if (hold === undefined) continue;
      ends.clear();
      for (const id of ids) ends.settle(id, hold.cost, each.used, hold.window);
      ends.end(table, nowMs);
      for (const twin of twins) twin.settle(hold.cost, each.used);
    }
    // A budget looks at the calendar only when it is asked.
    asks.clear();
    for (const id of ids) asks.ask(id, 0, meterAsk.spent, window(), 1);
    asks.admit(table, Number.MAX_VALUE, nowMs);
    const levels = ids.map((id) => meter.left(table, id, nowMs));
    levels.forEach((level, i) => {
      expect(level).toBeCloseTo(twins[i]?.left() ?? Number.NaN, 6);
    });
  }
  for (const id of ids) meter.close(table, id);
}

/** Whether the core decided as the twins did, and named the longest wait. */
function compare(answer: number, verdicts: readonly Verdict[]): void {
  const waits = verdicts.map((verdict) =>
    'never' in verdict
      ? Number.POSITIVE_INFINITY
      : 'go' in verdict
        ? 0
        : Math.max(0.001, verdict.waitMs ?? heldMs),
  );
  const longest = Math.max(...waits);
  if (longest === 0) {
    const delays = verdicts.map((verdict) => ('go' in verdict ? verdict.go : 0));
    return expect(answer).toBeCloseTo(Math.max(...delays), 6);
  }
  expect(answer).toBeLessThan(0);
  const said = asks.waitMs(-answer - 1);
  if (longest === Number.POSITIVE_INFINITY) expect(said).toBe(-1);
  else expect(said).toBeCloseTo(longest, 6);
}

describe('the core decides as the slow reference', () => {
  test.each(kinds)('$name', (kind) => {
    fc.assert(
      fc.property(schedule, (steps) => play([kind], steps)),
      { numRuns },
    );
  });

  test('all of them for the same requests, all or nothing', () => {
    fc.assert(
      fc.property(schedule, (steps) => play(kinds, steps)),
      { numRuns },
    );
  });
});

test('no more than the capacity is used in any interval as long as the window', () => {
  fc.assert(
    fc.property(schedule, (steps) => {
      const id = meter.open(table, MeterAlgorithm.SlidingWindow, capacity, windowMs, 1, 0);
      const uses: { atMs: number; cost: number }[] = [];
      let nowMs = 0;
      for (const each of steps) {
        if (each.kind === 'pass') nowMs += each.ms;
        if (each.kind !== 'ask') continue;
        asks.clear();
        asks.ask(id, each.cost, meterAsk.spent, 0, 0);
        if (asks.admit(table, 0, nowMs) === 0) uses.push({ atMs: nowMs, cost: each.cost });
      }
      for (const { atMs: fromMs } of uses) {
        const within = uses.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + windowMs);
        expect(within.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(capacity);
      }
      meter.close(table, id);
    }),
    { numRuns },
  );
});
