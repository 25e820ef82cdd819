/** Who made an object is remembered within bounds, and the first word counts. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openStore, type Store } from '../../src/store/database.ts';
import { createOwners, ownerTables } from '../../src/store/owners.ts';

const rarelyMs = 1_000_000;

async function open(): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-owners-'));
  const store = await openStore(join(folder, 'store.db'), [ownerTables]);
  onTestFinished(async () => {
    store.close();
    await rm(folder, { recursive: true });
  });
  return store;
}

describe('an owner', () => {
  test('is who was noted first, at one provider', () => {
    const owners = createOwners(null, rarelyMs);
    owners.note('p', 'a', 'first');
    owners.note('p', 'a', 'second');
    owners.note('q', 'a', 'second');
    expect([owners.of('p', 'a'), owners.of('q', 'a'), owners.of('p', 'b')]).toEqual([
      'first',
      'second',
      undefined,
    ]);
    owners.note('p', '', 'first');
    owners.note('p', 'x'.repeat(300), 'first');
    expect([owners.of('p', ''), owners.of('p', 'x'.repeat(300))]).toEqual([undefined, undefined]);
  });

  test('is forgotten in the order of notes, past the bound', () => {
    const owners = createOwners(null, rarelyMs);
    for (let at = 0; at <= 100_000; at++) owners.note('p', String(at), 't');
    expect([owners.of('p', '0'), owners.of('p', '1'), owners.of('p', '100000')]).toEqual([
      undefined,
      't',
      't',
    ]);
  });

  test('is found in the database by another process, and what it cannot write is kept', async () => {
    const store = await open();
    const first = createOwners(store, rarelyMs);
    for (let at = 0; at < 1200; at++) first.note('p', String(at), `t${at % 2}`);
    first.close();
    const second = createOwners(store, rarelyMs);
    expect([second.of('p', '0'), second.of('p', '1199'), second.of('p', '1200')]).toEqual([
      't0',
      't1',
      undefined,
    ]);
    second.note('p', '0', 'other');
    second.close();
    expect(createOwners(store, rarelyMs).of('p', '0')).toBe('t0');
  });

  test('is known although nothing can be written, and written once that works', async () => {
    const store = await open();
    let broken = true;
    const failing: Store = {
      ...store,
      transaction(work) {
        if (broken) throw new Error('database or disk is full');
        return store.transaction(work);
      },
    };
    const owners = createOwners(failing, rarelyMs);
    owners.note('p', 'a', 't');
    owners.close();
    expect(owners.of('p', 'a')).toBe('t');
    expect(createOwners(store, rarelyMs).of('p', 'a')).toBeUndefined();
    broken = false;
    owners.close();
    expect(createOwners(store, rarelyMs).of('p', 'a')).toBe('t');
  });
});
