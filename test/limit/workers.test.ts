/** Limits of two workers, who have the same meters: the first one shows, saves and leases them all. */
import { expect, onTestFinished, test } from 'vitest';
import { silent } from '../../src/base/telemetry.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createEstimator } from '../../src/count/estimate.ts';
import { createLimiter } from '../../src/limit/limit.ts';
import type { Opened, SpentRow } from '../../src/limit/scopes.ts';
import { granted, price } from '../support/limit-stage.ts';
import { sampleAsking, sampleIdentity, samplePlan, sampleRequest } from '../support/samples.ts';

type Config = Parameters<typeof configSchema.parse>[0];

const hourMs = 3_600_000;
let crews = 0;

/** @param saved of budgets, from before a restart */
function pair(config: Config, { scopesMax = 100, saved = [] as readonly SpentRow[] } = {}) {
  const crew = ++crews;
  const time = { nowMs: 0 };
  const wall = [0, 0];
  const news: Opened[] = [];
  let full = 0;
  const workerOf = (worker: number) =>
    createLimiter(configSchema.parse(config), {
      estimator: createEstimator(),
      clock: () => time.nowMs,
      wallClock: () => time.nowMs + (wall[worker] ?? 0),
      telemetry: silent,
      scopesMax,
      saved,
      shared: { worker, workers: 2, name: (table) => `${table} of crew ${crew}` },
      onOpened: (opened) => {
        if (worker > 0) news.push(structuredClone(opened));
      },
      onFull: () => {
        if (worker === 0) full += 1;
      },
    });
  const [first, second] = [workerOf(0), workerOf(1)];
  onTestFinished(() => {
    for (const limiter of [first, second]) limiter.close();
  });
  return {
    time,
    wall,
    first,
    second,
    /** The first worker hears what the other has told. */
    hear() {
      for (const opened of news.splice(0)) first.join(opened);
    },
    full: () => full,
    reload(next: Config) {
      for (const limiter of [first, second]) limiter.update(configSchema.parse(next));
    },
    admit: (limiter: typeof first, user = 'u') =>
      limiter.admit(
        sampleAsking({
          identity: sampleIdentity({ user }),
          plan: samplePlan([{ price }]),
          request: sampleRequest({ maxTokens: 1000 }),
        }),
        time.nowMs,
      ),
  };
}

const budgets = (usd: number) => [{ name: 'hour', per: [], usd, window: 'hour' }];
const rowsOf = (rows: readonly SpentRow[]) => rows.map(({ nanoUsd }) => nanoUsd);

test('a budget that is removed and added again goes on, whichever worker opens it first', () => {
  const { first, second, hear, reload, admit } = pair({ budgets: budgets(1) });
  granted(admit(first)).settle(null, 0);
  const [spent = 0] = rowsOf(first.changed(10));
  expect(spent).toBeGreaterThan(0);
  reload({});
  reload({ budgets: budgets(1) });
  expect(rowsOf(first.changed(10))).toEqual([spent]);
  granted(admit(second)).settle(null, 0);
  hear();
  expect(rowsOf(first.changed(10))).toEqual([2 * spent]);
});

test('what is remembered of it is added once', () => {
  const row = { budget: 'hour', place: '', window: 0, nanoUsd: 1000 };
  const { first, second, hear, reload, admit } = pair({ budgets: budgets(1) }, { saved: [row] });
  // Both remember it; the first worker has spent more since.
  granted(admit(first)).settle(null, 0);
  const [spent = 0] = rowsOf(first.changed(10));
  expect(spent).toBeGreaterThan(1000);
  reload({});
  reload({ budgets: budgets(1) });
  first.changed(10);
  granted(admit(second)).settle(null, 0);
  // The first worker uses it before it hears that it was opened.
  granted(admit(first)).settle(null, 0);
  hear();
  expect(rowsOf(first.changed(10))).toEqual([spent + 2 * (spent - 1000)]);
});

test('the first worker keeps what others use, and takes part in it beyond the maximum', () => {
  const limits = [{ name: 'calls', per: ['user'], capacity: 1, refillPerSecond: 1 }];
  const { first, second, time, hear, full, admit } = pair({ limits }, { scopesMax: 2 });
  for (const user of ['a', 'b']) granted(admit(second, user));
  hear();
  expect(first.scopes).toBe(2);
  time.nowMs = 2000;
  // All are idle, but held by the second worker: its own new user shares a meter.
  granted(admit(first, 'c'));
  expect([first.scopes, full()]).toEqual([3, 1]);
  granted(admit(second, 'd'));
  hear();
  const seen = () => first.view().map(({ scope }) => scope);
  expect(seen()).toEqual(expect.arrayContaining(['user "a"', 'user "d"']));
  time.nowMs = 4000;
  second.sweep();
  granted(admit(first, 'e'));
  expect(seen()).toEqual(['user "e"']);
});

test('the first worker lets go of what it only takes part in, too', () => {
  const limits = [{ name: 'calls', per: ['user'], capacity: 1, refillPerSecond: 1 }];
  const { first, second, time, hear, admit } = pair({ limits }, { scopesMax: 2 });
  for (let i = 0; i < 50; i++) {
    granted(admit(second, `user-${i}`));
    hear();
    time.nowMs += 2000;
    second.sweep();
  }
  expect(first.scopes).toBeLessThanOrEqual(3);
});

test('a worker whose calendar lags behind spends of the window that the other has begun', () => {
  const { first, second, time, wall, hear, admit } = pair({ budgets: budgets(1) });
  // The clock is set back before the second worker looks at it.
  granted(admit(first));
  wall[1] = -500;
  granted(admit(second));
  hear();
  time.nowMs = hourMs + 100;
  granted(admit(first)).settle(null, 0);
  const [spent = 0] = rowsOf(first.changed(10));
  const late = granted(admit(second));
  expect(rowsOf(first.changed(10))).toEqual([2 * spent]);
  late.settle(null, 0);
  expect(rowsOf(first.changed(10))).toEqual([2 * spent]);
});
