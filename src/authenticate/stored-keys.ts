/**
 * Keys that were made while the gateway runs, in the embedded store. Each is looked up there at each use (4 µs, by
 * primary key), so that one revoked by another process stops at once, and nothing has to be told to anybody.
 */
import { hash, randomBytes } from 'node:crypto';
import type { Migrations, Store } from '../store/database.ts';
import { type Caller, callerOf } from './caller.ts';
import { keyPrefix } from './names.ts';
import { type NewKey, newKeySchema } from './settings.ts';

/** The tables of stored keys. */
export const keyTables: Migrations = {
  part: 'keys',
  steps: [
    `CREATE TABLE key (
       digest BLOB PRIMARY KEY,
       id TEXT NOT NULL UNIQUE,
       body TEXT NOT NULL,
       created_ms INTEGER NOT NULL,
       revoked_ms INTEGER
     ) WITHOUT ROWID`,
  ],
};

const keyRandomBytes = 32;
/** Keys that may be stored, revoked ones included. */
const storedMax = 1_000_000;
/** Keys of one page of the list. */
export const pageMax = 1000;
/** Callers that are kept as they were read; each is held against the store at each use. */
const readMax = 10_000;

/** A stored key as it may be shown: all but the key. */
export interface StoredKey {
  readonly id: string;
  readonly grant: NewKey;
  readonly createdMs: number;
  /** Null: it is in use. */
  readonly revokedMs: number | null;
}

export interface StoredKeys {
  /** Whose key has this digest; null: nobody's. @throws when the store can't be read */
  find(digest: Buffer): Caller | 'revoked' | null;
  /** Makes a key; the only time it can be seen. Null: the id is taken. */
  create(grant: NewKey, nowMs: number): string | null;
  /** A page of keys by id, those after `after`. */
  list(after: string): StoredKey[];
  /** False: there is no such key. */
  revoke(id: string, nowMs: number): boolean;
  has(digest: Buffer): boolean;
  /** Whether a key of this id is stored, revoked or not. */
  hasId(id: string): boolean;
}

/** @param random gives so many random bytes */
export function openStoredKeys(store: Store, random: (bytes: number) => Buffer = randomBytes): StoredKeys {
  const select = store.prepare('SELECT body, revoked_ms FROM key WHERE digest = ?');
  const selectId = store.prepare('SELECT 1 FROM key WHERE id = ?');
  const insert = store.prepare(
    'INSERT OR IGNORE INTO key (digest, id, body, created_ms) VALUES (?, ?, ?, ?)',
  );
  const count = store.prepare('SELECT count(*) AS n FROM key');
  const page = store.prepare('SELECT * FROM key WHERE id > ? ORDER BY id LIMIT ?');
  const revoke = store.prepare('UPDATE key SET revoked_ms = coalesce(revoked_ms, ?) WHERE id = ?');
  const read = new Map<string, Caller>();

  const callerIn = (body: string): Caller => {
    const before = read.get(body);
    if (before !== undefined) return before;
    const caller = callerOf(newKeySchema.parse(JSON.parse(body)));
    if (read.size >= readMax) read.delete(read.keys().next().value ?? '');
    read.set(body, caller);
    return caller;
  };

  return {
    find(digest) {
      const row = select.get(digest);
      if (row === undefined) return null;
      return row.revoked_ms === null ? callerIn(String(row.body)) : 'revoked';
    },
    create(grant, nowMs) {
      const key = keyPrefix + random(keyRandomBytes).toString('base64url');
      return store.transaction(() => {
        if (Number(count.get()?.n) >= storedMax) throw new Error(`more than ${storedMax} keys are stored`);
        const { changes } = insert.run(hash('sha256', key, 'buffer'), grant.id, JSON.stringify(grant), nowMs);
        return changes === 1 ? key : null;
      });
    },
    list: (after) =>
      page.all(after, pageMax).map((row) => ({
        id: String(row.id),
        grant: newKeySchema.parse(JSON.parse(String(row.body))),
        createdMs: Number(row.created_ms),
        revokedMs: row.revoked_ms === null ? null : Number(row.revoked_ms),
      })),
    revoke: (id, nowMs) => revoke.run(nowMs, id).changes === 1,
    has: (digest) => select.get(digest) !== undefined,
    hasId: (id) => selectId.get(id) !== undefined,
  };
}
