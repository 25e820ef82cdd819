/** The embedded database: one SQLite file for what must outlive the process, opened once and shared by its users. */
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
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
  let database: DatabaseSync;
  try {
    if (path !== null) mkdirSync(dirname(path), { recursive: true });
    database = new sqlite.DatabaseSync(path ?? ':memory:', { timeout: busyTimeoutMs });
    if (fresh) chmodSync(path, 0o600);
    // With a write-ahead log a killed process loses nothing that was committed, and commits need no fsync.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON');
  } catch (cause) {
    throw new Error(`The store ${path} can't be opened: ${reason(cause)}.`, { cause });
  }
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
    throw new Error(`The store ${path} can't be used: ${reason(cause)}.`, { cause });
  }
  return store;
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

const reason = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
