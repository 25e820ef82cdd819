/** What several workers have spent is their sum, in every amount there is. */
import { expect, test } from 'vitest';
import { createRecent } from '../../src/observe/recent.ts';
import { createSpend, type SpendRow } from '../../src/observe/spend.ts';
import { createOthers } from '../../src/sidecar/others.ts';
import { noWorkers } from '../../src/sidecar/workers.ts';
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
