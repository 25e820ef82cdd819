/**
 * Keys created at run time, in the embedded database. Each use looks the key up there (4 µs, by primary key), so a key
 * revoked by another process stops working at once without any notification.
 */
import { hash, randomBytes } from 'node:crypto';
import { keyPrefix } from '../exchange/credential.ts';
import type { Migrations, Store } from '../store/database.ts';
import { type Caller, callerOf } from './caller.ts';
import { type NewKey, newKeySchema } from './settings.ts';

/** The database tables of stored keys. */
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
    // What Redis has been told of a key: 0 nothing, 1 that it was made, 2 that it was revoked.
    `ALTER TABLE key ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;
     CREATE INDEX key_unsent ON key (id) WHERE sent < 1 + (revoked_ms IS NOT NULL);
     CREATE TABLE key_place (born TEXT NOT NULL, version INTEGER NOT NULL);
     INSERT INTO key_place VALUES ('', 0)`,
    `CREATE INDEX key_tenant ON key (json_extract(body, '$.tenant'))`,
  ],
};

const keyRandomBytes = 32;
/** Most keys stored, revoked ones included. */
const storedMax = 1_000_000;
/** Most keys on one page of the list. */
export const pageMax = 1000;
/** Most parsed callers kept in memory; each use still reads the key's row. */
const readMax = 10_000;

/** A stored key, without the key itself. */
export interface StoredKey {
  readonly id: string;
  readonly grant: NewKey;
  /** Ms since 1970. */
  readonly createdMs: number;
  /** Ms since 1970; null: it isn't revoked. */
  readonly revokedMs: number | null;
}

/** The keys in the embedded database. */
export interface StoredKeys {
  /** The caller whose key has this digest; null: there is none. @throws if the database can't be read */
  find(digest: Buffer): Caller | 'revoked' | null;
  /** Creates a key and returns it, which is the only time it can be seen. Null: the id is taken. */
  create(grant: NewKey, nowMs: number): string | null;
  /** A page of keys, ordered by id, beginning after the id `after`. */
  list(after: string): StoredKey[];
  /** False: there is no such key. */
  revoke(id: string, nowMs: number): boolean;
  /** Whether a key of this digest is stored, revoked or not. */
  has(digest: Buffer): boolean;
  /** Whether a key of this id is stored, revoked or not. */
  hasId(id: string): boolean;
  /** The first and the last name of a tenant with a key, revoked or not; none if no key is stored. @throws like `find` */
  tenants(): string[];
}

/** Opens the stored keys of a database. @param random returns that number of random bytes */
export function openStoredKeys(store: Store, random: (bytes: number) => Buffer = randomBytes): StoredKeys {
  const select = store.prepare('SELECT body, revoked_ms FROM key WHERE digest = ?');
  const selectId = store.prepare('SELECT 1 FROM key WHERE id = ?');
  const insert = store.prepare(
    'INSERT OR IGNORE INTO key (digest, id, body, created_ms) VALUES (?, ?, ?, ?)',
  );
  const count = store.prepare('SELECT count(*) AS n FROM key');
  const page = store.prepare('SELECT * FROM key WHERE id > ? ORDER BY id LIMIT ?');
  const revoke = store.prepare('UPDATE key SET revoked_ms = coalesce(revoked_ms, ?) WHERE id = ?');
  const tenants = (['min', 'max'] as const).map((which) =>
    store.prepare(`SELECT ${which}(json_extract(body, '$.tenant')) AS tenant FROM key`),
  );
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
        if (Number(count.get()?.n) >= storedMax)
          throw new Error(`the store is full: it holds ${storedMax} keys`);
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
    tenants: () =>
      tenants
        .map((each) => each.get()?.tenant ?? null)
        .flatMap((name) => (name === null ? [] : [String(name)])),
  };
}
