/** The embedded database: what it keeps, what it refuses to open, and that a failed transaction leaves nothing. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../src/store/database.ts';

const things = { part: 'things', steps: ['CREATE TABLE things (name TEXT PRIMARY KEY)'] };
const grown = { part: 'things', steps: [...things.steps, 'ALTER TABLE things ADD COLUMN size INTEGER'] };

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'sidegate-store-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

test('written rows are there after a restart, in a file only its owner can read, and tables are migrated', async () => {
  const path = join(folder(), 'deep', 'store.db');
  const first = await openStore(path, [things]);
  first.prepare('INSERT INTO things VALUES (?)').run('a');
  first.close();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const second = await openStore(path, [grown]);
  expect(second.prepare('SELECT * FROM things').all()).toEqual([{ name: 'a', size: null }]);
  second.close();
  await expect(openStore(path, [things])).rejects.toThrow(/things were written by a newer version/);
});

test('a transaction that fails leaves nothing', async () => {
  const store = await openStore(null, [things]);
  const failing = (): void =>
    store.transaction(() => {
      store.prepare('INSERT INTO things VALUES (?)').run('a');
      throw new Error('half way');
    });
  expect(failing).toThrow('half way');
  expect(store.prepare('SELECT * FROM things').all()).toEqual([]);
  store.transaction(() => store.prepare('INSERT INTO things VALUES (?)').run('b'));
  expect(store.prepare('SELECT * FROM things').all()).toHaveLength(1);
  store.close();
});

test('a file that is no database, or a path that is no file, is refused with its name', async () => {
  const path = join(folder(), 'text');
  writeFileSync(path, 'no database '.repeat(100));
  await expect(openStore(path, [things])).rejects.toThrow(/text can't be opened: .*not a database/);
  await expect(openStore(folder(), [things])).rejects.toThrow(/can't be opened/);
});
