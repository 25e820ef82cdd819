/**
 * Platform credentials (of the machine Sidegate runs on), fetched before they are needed so that no request ever waits
 * for one.
 */

/** A credential and when it expires, in Unix ms. */
export interface Expiring<T> {
  readonly value: T;
  readonly expiresMs: number;
}

/** Keeps one provider's credential fresh. */
export interface Keeper<T> {
  /** Null: none has been obtained yet, or the last one has expired. */
  current(): T | null;
  /** The provider refused it: fetches another now, unless the last try was less than 15 s ago. */
  renew(): void;
  close(): void;
}

/** A bearer token. */
export type Token = Expiring<string>;
/** Keeps a bearer token fresh. */
export type TokenKeeper = Keeper<string>;

/** How long before its expiry a credential is replaced. */
const aheadMs = 10 * 60_000;
/** Time between failed tries. */
const retryMs = 15_000;
/** A try that hangs is abandoned after this, since the start of the process waits for the first one. */
const tryMs = 10_000;
/** Credentials are fetched at least this often, so that a changed key file is noticed. */
export const everyMs = 30 * 60_000;

function withTimeout<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${tryMs} ms`)), tryMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Keeps a credential fresh until it is closed. Resolves after the first try, successful or not; never rejects.
 * @param wallClock Unix ms
 * @param onFailure called for each failed try
 */
export async function keepToken<T>(
  fetchToken: () => Promise<Expiring<T>>,
  wallClock: () => number,
  onFailure: (cause: unknown) => void,
): Promise<Keeper<T>> {
  let kept: Expiring<T> | null = null;
  /** Null while a fetch is in progress. */
  let timer: NodeJS.Timeout | null = null;
  let triedMs = 0;
  let closed = false;

  const refresh = async (): Promise<void> => {
    let nextMs = retryMs;
    triedMs = wallClock();
    try {
      const { value, expiresMs } = await withTimeout(fetchToken());
      // An unreadable expiry, such as of AWS_CREDENTIAL_EXPIRATION: the provider will refuse it once it has expired.
      kept = { value, expiresMs: Number.isNaN(expiresMs) ? Number.POSITIVE_INFINITY : expiresMs };
      nextMs = Math.min(everyMs, Math.max(retryMs, kept.expiresMs - wallClock() - aheadMs));
    } catch (cause) {
      // The old credential serves until it expires.
      onFailure(cause);
    }
    if (closed) return;
    timer = setTimeout(next, nextMs);
    timer.unref();
  };

  const next = (): void => {
    timer = null;
    void refresh();
  };

  await refresh();
  return {
    current: () => (kept !== null && kept.expiresMs > wallClock() ? kept.value : null),
    renew() {
      const sinceMs = wallClock() - triedMs;
      // Less than nothing: the clock was set back.
      if (timer === null || (sinceMs >= 0 && sinceMs < retryMs)) return;
      clearTimeout(timer);
      next();
    },
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}

/** The part of an error that is safe to report: a message about an unreadable key file may quote the file. */
export const nameOf = (cause: unknown): string => (cause instanceof Error ? cause.name : 'unknown');
