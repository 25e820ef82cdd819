/** What several workers have spent is their sum, in every amount there is; what fails for one of them is told of all. */
import { expect, test } from 'vitest';
import { mergedText, metricsOf, type WorkerMetrics } from '../../src/observe/merge.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { createRecent } from '../../src/observe/recent.ts';
import { createSpend, type SpendRow } from '../../src/observe/spend.ts';
import { createTargetNames } from '../../src/observe/target-names.ts';
import { createOthers } from '../../src/sidecar/others.ts';
import { noWorkers } from '../../src/sidecar/workers.ts';
import { metricIn } from '../support/chain.ts';
import { idleGauges } from '../support/gauges.ts';
import { recordOf } from '../support/segments.ts';

/** A row whose amounts count from `first`. */
function rowFrom(first: number): SpendRow {
  const spend = createSpend((target) => target);
  spend.add(recordOf('r', { tenant: 'acme', target: 'p/m' }));
  const [row] = spend.rows();
  let next = first;
  const filled = Object.entries(row ?? {}).map(([name, value]) => [
    name,
    typeof value === 'number' ? next++ : value,
  ]);
  return Object.fromEntries(filled);
}

test('each amount of a row is that of all workers', async () => {
  const state = {
    inFlight: 0,
    batchWaiting: 0,
    targets: {},
    places: [],
    spend: [rowFrom(100)],
    recent: [],
  };
  const workers = { ...noWorkers, states: async () => [state, state] };
  const others = createOthers(() => workers, { recent: createRecent(1) });
  const own = rowFrom(1);
  expect(others.spend([own])).toEqual([own]);
  await others.refresh();
  const [sum, ...more] = others.spend([own]);
  expect(more).toEqual([]);
  const theirs = new Map(Object.entries(rowFrom(100)));
  for (const [name, value] of Object.entries(own))
    expect([name, sum?.[name as keyof SpendRow]]).toEqual([
      name,
      typeof value === 'number' ? value + 2 * Number(theirs.get(name)) : value,
    ]);
  // Adding changes no worker's own row.
  expect(own).toEqual(rowFrom(1));
});

test.each([
  [0, 1],
  [1, 0],
])('what worker %i is refused, and worker %i isn’t, is seen in the metrics of both', async (failing) => {
  const metricsFor = (resting: number) =>
    createMetrics(
      idleGauges(
        createSpend((target) => target),
        { restingKeys: () => [['p', resting]] },
      ),
      createTargetNames(() => true),
    );
  const workers = [0, 1].map((each) => metricsFor(each === failing ? 2 : 0));
  for (const { recogniser } of workers) recogniser(true);
  workers[failing]?.recogniser(false);
  const [own, other] = workers.map(({ registry }) => registry);
  if (own === undefined || other === undefined) throw new Error('there are two');
  const text = await mergedText(own, [await metricsOf(other)]);
  expect(metricIn(text, 'sidegate_recogniser_up', {})).toBe(0);
  expect(metricIn(text, 'sidegate_resting_keys', { provider: 'p' })).toBe(2);
});

test('a recogniser that answers all workers is up', async () => {
  const made = createMetrics(
    idleGauges(createSpend((target) => target)),
    createTargetNames(() => true),
  );
  const text = await mergedText(made.registry, [await metricsOf(made.registry)]);
  expect(metricIn(text, 'sidegate_recogniser_up', {})).toBe(1);
});

test('no counter goes down while a worker doesn’t answer: what it told last counts', async () => {
  const metricsFor = () =>
    createMetrics(
      idleGauges(createSpend((target) => target)),
      createTargetNames(() => true),
    );
  const [own, second] = [metricsFor(), metricsFor()];
  const usage = { inputTokens: 10, outputTokens: 5, cachedInputTokens: 0, cacheWriteTokens: 0, known: true };
  const charge = { target: 'p/m', usage, costNanoUsd: 1e9 };
  own.charge('acme', charge);
  second.charge('acme', charge);
  let told: (WorkerMetrics | null)[] = [await metricsOf(second.registry)];
  const workers = { ...noWorkers, metrics: async () => told };
  const others = createOthers(() => workers, { recent: createRecent(1) });
  const spent = async () => metricIn(await others.metricsText(own.registry), 'sidegate_cost_usd_total');
  expect(await spent()).toBe(2);
  told = [null];
  own.charge('acme', charge);
  expect(await spent()).toBe(3);
  second.charge('acme', charge);
  told = [await metricsOf(second.registry)];
  expect(await spent()).toBe(4);
});
