/** The embedded database: one SQLite file for what must outlive the process, opened once and shared by its users. */
import { chmodSync, existsSync, mkdirSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** An open database. Its calls block, so they belong off the request path. */
export interface Store {
  /** Null: in memory only, lost with the process. */
  readonly path: string | null;
  /** @throws for invalid SQL */
  prepare(sql: string): StatementSync;
  /** Commits all writes of `work`, or none if it throws. Must not be nested. */
  transaction<T>(work: () => T): T;
  /** Sets how long a write waits for another process's write before it throws; see `isBusy`. */
  setBusyTimeout(timeoutMs: number): void;
  close(): void;
}

/** Tables of one user of the database: step n migrates from version n to n + 1, and is never edited later. */
export interface Migrations {
  readonly part: string;
  readonly steps: readonly string[];
}

/** How long a write waits for another process, such as `sidegate keys`, when no request is waiting. */
export const busyTimeoutMs = 1000;
/** How long a write waits while requests are served: the wait blocks them all. */
export const loopBusyTimeoutMs = 5;
/** SQLITE_BUSY: the low byte of an error code. */
const busyCode = 5;

/**
 * Opens the database and migrates its tables.
 * @param path the file, created if missing, readable by its owner only; null: in memory
 * @throws when the file can't be opened, is no SQLite database, or was written by a newer version
 */
export async function openStore(path: string | null, parts: readonly Migrations[]): Promise<Store> {
  // Loaded here, since most sidecars store nothing.
  const sqlite = await import('node:sqlite');
  const fresh = path !== null && !existsSync(path);
  let opened: DatabaseSync | null = null;
  try {
    if (path !== null) mkdirSync(dirname(path), { recursive: true });
    opened = new sqlite.DatabaseSync(path ?? ':memory:', { timeout: busyTimeoutMs });
    if (fresh) chmodSync(path, 0o600);
    // With a write-ahead log a killed process loses nothing that was committed, and commits need no fsync.
    opened.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON');
  } catch (cause) {
    opened?.close();
    throw new Error(`The store ${path} can't be opened: ${reason(cause, path)}.`, { cause });
  }
  const database = opened;
  const store: Store = {
    path,
    prepare: (sql) => database.prepare(sql),
    transaction(work) {
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        database.exec('COMMIT');
        return result;
      } catch (cause) {
        // Some failures, such as a full disk, have ended the transaction already.
        if (database.isTransaction) database.exec('ROLLBACK');
        throw cause;
      }
    },
    setBusyTimeout: (timeoutMs) => database.exec(`PRAGMA busy_timeout = ${timeoutMs}`),
    close: () => database.close(),
  };
  try {
    migrate(database, store, parts);
  } catch (cause) {
    database.close();
    throw new Error(`The store ${path} can't be used: ${reason(cause, path)}.`, { cause });
  }
  return store;
}

/** What keeps a second process away from a store. */
export interface StoreLock {
  release(): void;
}

/**
 * Makes a store this process's own, so that no second sidecar counts the same budgets. Commands may still use it. The
 * system releases the lock when the process ends, however it does.
 * @throws when another sidecar uses the store
 */
export async function lockStore(path: string): Promise<StoreLock> {
  const sqlite = await import('node:sqlite');
  let lock: DatabaseSync | null = null;
  try {
    mkdirSync(dirname(path), { recursive: true });
    lock = new sqlite.DatabaseSync(`${path}.lock`, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock?.close();
    if (!isBusy(cause))
      throw new Error(`The store ${path} can't be used: ${reason(cause, path)}.`, { cause });
    throw new Error(
      `The store ${path} is used by another sidecar. Each needs a file of its own: change store.path, or stop the other one.`,
      { cause },
    );
  }
  const held = lock;
  return { release: () => held.close() };
}

function migrate(database: DatabaseSync, store: Store, parts: readonly Migrations[]): void {
  store.transaction(() => {
    database.exec(
      'CREATE TABLE IF NOT EXISTS store_version (part TEXT PRIMARY KEY, version INTEGER NOT NULL)',
    );
    const read = database.prepare('SELECT version FROM store_version WHERE part = ?');
    const write = database.prepare('INSERT OR REPLACE INTO store_version (part, version) VALUES (?, ?)');
    for (const { part, steps } of parts) {
      const version = Number(read.get(part)?.version ?? 0);
      if (version > steps.length) throw new Error(`its ${part} were written by a newer version of Sidegate`);
      for (const step of steps.slice(version)) database.exec(step);
      if (version < steps.length) write.run(part, steps.length);
    }
  });
}

/** Whether a write failed because another process's write took longer than the timeout: it may be retried. */
export function isBusy(cause: unknown): boolean {
  if (!(cause instanceof Error) || !('errcode' in cause)) return false;
  return typeof cause.errcode === 'number' && (cause.errcode & 0xff) === busyCode;
}

/** Free space below which a disk counts as full: SQLite's files beside the database need as much. */
const freeMinBytes = 64 * 1024;

/** Why a database can't be used. On a full disk SQLite may say "disk I/O error" only. */
function reason(cause: unknown, path: string | null): string {
  const said = cause instanceof Error ? cause.message : String(cause);
  if (path === null) return said;
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < freeMinBytes ? `${said}: the disk of ${dirname(path)} is full` : said;
  } catch {
    return said;
  }
}
