/** Dollar budgets in the database: what is written and when, what is read again, and what a failing disk does. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { silent } from '../../src/base/telemetry.ts';
import { budgetTables, readBudgets, saveBudgets } from '../../src/limit/saved.ts';
import type { SpentRow } from '../../src/limit/scopes.ts';
import { openStore, type Store } from '../../src/store/database.ts';
import { until } from '../support/until.ts';

const dayMs = 86_400_000;
const now = Date.parse('2026-11-23T12:00:00Z');
const row = (place: string, nanoUsd: number, window = now): SpentRow => ({
  budget: 'b',
  place,
  window,
  nanoUsd,
});

/** Returns rows as a limiter does: once, and at most `max`. */
function changes() {
  const rows: SpentRow[] = [];
  return { rows, changed: (max: number): SpentRow[] => rows.splice(0, max) };
}

async function open(): Promise<Store> {
  const store = await openStore(null, [budgetTables]);
  onTestFinished(() => store.close());
  return store;
}

test('the newest row of each budget and meter is kept, and old windows are forgotten', async () => {
  const store = await open();
  const { rows, changed } = changes();
  const saved = saveBudgets(store, changed, 60_000, silent);
  rows.push(
    row('a', 1),
    row('b', 2),
    row('a', 3),
    row('old', 4, now - 41 * dayMs),
    row('month', 5, now - 31 * dayMs),
  );
  saved.close();
  expect(readBudgets(store, now).sort((a, b) => a.nanoUsd - b.nanoUsd)).toEqual([
    row('b', 2),
    row('a', 3),
    row('month', 5, now - 31 * dayMs),
  ]);
});

test('a saved window later than the current one doesn’t prevent writing', async () => {
  const store = await open();
  const { rows, changed } = changes();
  const saved = saveBudgets(store, changed, 60_000, silent);
  // The clock was ahead, or the budget was one of days and is one of months.
  rows.push(row('a', 1, now + 5 * dayMs), row('b', 2, now + 41 * dayMs), row('c', 3, now + 5 * dayMs));
  expect(saved.flush()).toBe(true);
  expect(readBudgets(store, now)).toEqual([row('a', 1, now + 5 * dayMs), row('c', 3, now + 5 * dayMs)]);
  rows.push(row('a', 4));
  saved.close();
  expect(readBudgets(store, now)).toEqual([row('a', 4), row('c', 3, now + 5 * dayMs)]);
});

test('more rows than fit in one transaction are all written, with the event loop free in between', async () => {
  const store = await open();
  const { rows, changed } = changes();
  for (let i = 0; i < 2_300; i++) rows.push(row(`p${i}`, i));
  const saved = saveBudgets(store, changed, 10, silent);
  await until(() => readBudgets(store, now).length === 2_300);
  saved.close();
});

test('failed writes are retried later, and both changes of state are reported once', async () => {
  const store = await open();
  const { rows, changed } = changes();
  let failing = true;
  const states: (string | null)[] = [];
  const broken: Store = {
    ...store,
    transaction(work) {
      if (failing) throw new Error('disk full');
      return store.transaction(work);
    },
  };
  const saved = saveBudgets(broken, changed, 60_000, { budgetsSaved: (reason) => void states.push(reason) });
  rows.push(row('a', 1), row('b', 1));
  saved.flush();
  rows.push(row('a', 2));
  saved.flush();
  expect(states).toEqual(['disk full']);
  failing = false;
  saved.close();
  expect(states).toEqual(['disk full', null]);
  expect(readBudgets(store, now)).toEqual([row('a', 2), row('b', 1)]);
});

test('nothing waits for another process that writes, and failed writes are retried next', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-saved-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'store.db');
  const store = await openStore(path, [budgetTables]);
  onTestFinished(() => store.close());
  const timeoutMs = (): unknown => store.prepare('PRAGMA busy_timeout').get()?.timeout;
  const { rows, changed } = changes();
  const states: (string | null)[] = [];
  const saved = saveBudgets(store, changed, 60_000, { budgetsSaved: (reason) => void states.push(reason) });
  const other = new DatabaseSync(path);
  onTestFinished(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  rows.push(row('a', 1));
  expect([saved.flush(), timeoutMs()]).toEqual([false, 5]);
  other.exec('ROLLBACK');
  expect(saved.flush()).toBe(true);
  expect(states).toEqual(['database is locked', null]);
  expect(readBudgets(store, now)).toEqual([row('a', 1)]);
  saved.close();
  // The last write has nothing to hold up.
  expect(timeoutMs()).toBe(1000);
});
