/** Whose the objects are that were made at providers through this gateway, such as files, batches and stored responses. */
import type { Migrations, Store } from './database.ts';

/** Remembers which tenant made an object at a provider. */
export interface Owners {
  /** The tenant that made an object; undefined: it isn't known. */
  of(provider: string, id: string): string | undefined;
  /** Notes who made an object, unless that is known already, and tells others. */
  note(provider: string, id: string, tenant: string): void;
  /** Notes who has just made an object, whoever had one of that name before. */
  claim(provider: string, id: string, tenant: string): void;
  /** The tenant has deleted its object: the name may be given to another. */
  forget(provider: string, id: string, tenant: string): void;
  /** Notes what another sidecar tells. */
  hear(provider: string, id: string, tenant: string): void;
  /** Writes what was noted. */
  close(): void;
}

/** Tables of `openStore`. */
export const ownerTables: Migrations = {
  part: 'owners',
  steps: [
    `CREATE TABLE owner (object TEXT PRIMARY KEY, tenant TEXT NOT NULL, noted INTEGER NOT NULL) WITHOUT ROWID;
     CREATE INDEX owner_noted ON owner (noted)`,
  ],
};

/** Objects kept in memory; past it the oldest are only in the database, or forgotten where there is none. */
const heldMax = 100_000;
/** Objects kept in the database. */
const storedMax = 1_000_000;
/** Notes in one transaction, which blocks for a millisecond or two. */
const rowsMax = 500;
const idMaxLength = 256;

const keyOf = (provider: string, id: string): string => `${provider}\0${id}`;

/**
 * @param store null: what was noted is lost with the process
 * @param flushMs how often notes are written, and how much a crash may lose
 * @param tell called for each object that was made here
 */
export function createOwners(
  store: Store | null,
  flushMs: number,
  tell: (provider: string, id: string, tenant: string) => void = () => {},
): Owners {
  const held = new Map<string, string>();
  /** Noted, and not written yet. */
  const unwritten = new Map<string, string>();

  const find = store?.prepare('SELECT tenant FROM owner WHERE object = ?');
  const write = store?.prepare(
    `INSERT INTO owner (object, tenant, noted) VALUES (?, ?, (SELECT ifnull(max(noted), 0) + 1 FROM owner))
     ON CONFLICT (object) DO UPDATE SET tenant = excluded.tenant, noted = excluded.noted`,
  );
  const drop = store?.prepare('DELETE FROM owner WHERE object = ?');
  const trim = store?.prepare('DELETE FROM owner WHERE noted <= (SELECT max(noted) FROM owner) - ?');

  const hold = (key: string, tenant: string): void => {
    held.set(key, tenant);
    if (held.size > heldMax) held.delete(held.keys().next().value ?? '');
  };

  /** Writes one transaction's worth. What can't be written now, as on a full disk, is tried again later. */
  const flush = (): void => {
    if (store === null || unwritten.size === 0) return;
    const some: string[] = [];
    for (const key of unwritten.keys()) if (some.push(key) === rowsMax) break;
    try {
      store.transaction(() => {
        for (const key of some) write?.run(key, unwritten.get(key) ?? '');
        trim?.run(storedMax);
      });
      for (const key of some) unwritten.delete(key);
    } catch {
      // Budgets are written to the same database, and say so.
    }
  };
  const timer = store === null ? null : setInterval(flush, flushMs);
  timer?.unref();

  const stored = (key: string): string | undefined => {
    try {
      const tenant = find?.get(key)?.tenant;
      return tenant === undefined ? undefined : String(tenant);
    } catch {
      return undefined;
    }
  };

  const of = (key: string): string | undefined => {
    const known = held.get(key) ?? unwritten.get(key);
    if (known !== undefined || find === undefined) return known;
    const found = stored(key);
    if (found !== undefined) hold(key, found);
    return found;
  };

  const set = (key: string, tenant: string): void => {
    hold(key, tenant);
    if (store === null) return;
    unwritten.set(key, tenant);
    if (unwritten.size > heldMax) unwritten.delete(unwritten.keys().next().value ?? '');
  };
  const isId = (id: string): boolean => id !== '' && id.length <= idMaxLength;
  /** False: it was the tenant's before. */
  const take = (provider: string, id: string, tenant: string): boolean => {
    const key = keyOf(provider, id);
    if (!isId(id) || of(key) === tenant) return false;
    set(key, tenant);
    return true;
  };

  return {
    of: (provider, id) => of(keyOf(provider, id)),
    note(provider, id, tenant) {
      if (of(keyOf(provider, id)) === undefined && take(provider, id, tenant)) tell(provider, id, tenant);
    },
    claim(provider, id, tenant) {
      if (take(provider, id, tenant)) tell(provider, id, tenant);
    },
    forget(provider, id, tenant) {
      const key = keyOf(provider, id);
      if (of(key) !== tenant) return;
      held.delete(key);
      unwritten.delete(key);
      try {
        drop?.run(key);
      } catch {
        // As when it can't be written.
      }
    },
    hear: (provider, id, tenant) => void take(provider, id, tenant),
    close() {
      if (timer !== null) clearInterval(timer);
      for (let left = -1; unwritten.size > 0 && unwritten.size !== left; ) {
        left = unwritten.size;
        flush();
      }
    },
  };
}
