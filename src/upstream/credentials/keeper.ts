/**
 * Credentials that are fetched ahead of need, so that no request ever waits for one: the machine's own at the platform it
 * runs on.
 */

/** A credential, and when it ends in Unix ms. */
export interface Kept<T> {
  readonly value: T;
  readonly expiresMs: number;
}

/** One provider's credential, kept fresh. */
export interface Keeper<T> {
  /** Null: none was given yet, or the last one is over. */
  current(): T | null;
  /** It was refused: asks for another now, unless it was asked for a moment ago. */
  renew(): void;
  close(): void;
}

/** A bearer token. */
export type Token = Kept<string>;
export type TokenKeeper = Keeper<string>;

/** A credential is replaced so long before its end. */
const aheadMs = 10 * 60_000;
/** Between tries when none is given. */
const retryMs = 15_000;
/** A try that hangs is given up, since the start of the process waits for the first one. */
const tryMs = 10_000;
/** Credentials are asked for again at least this often, so that a changed key file is taken over. */
export const everyMs = 30 * 60_000;

function inTime<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${tryMs} ms`)), tryMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Keeps a credential fresh until it is closed. Resolves with the first try, good or bad; never rejects.
 * @param onFailure told of each try that gave none
 */
export async function keepToken<T>(
  fetchToken: () => Promise<Kept<T>>,
  wallClock: () => number,
  onFailure: (cause: unknown) => void,
): Promise<Keeper<T>> {
  let kept: Kept<T> | null = null;
  /** Null while it is asked for. */
  let timer: NodeJS.Timeout | null = null;
  let triedMs = 0;
  let closed = false;

  const refresh = async (): Promise<void> => {
    let nextMs = retryMs;
    triedMs = wallClock();
    try {
      const { value, expiresMs } = await inTime(fetchToken());
      // An end that can't be read, as of AWS_CREDENTIAL_EXPIRATION: the provider says when it has come.
      kept = { value, expiresMs: Number.isNaN(expiresMs) ? Number.POSITIVE_INFINITY : expiresMs };
      nextMs = Math.min(everyMs, Math.max(retryMs, kept.expiresMs - wallClock() - aheadMs));
    } catch (cause) {
      // The old one serves until it ends.
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
      if (timer === null || wallClock() - triedMs < retryMs) return;
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

/** What may be reported of an error: messages about a key file that can't be read may quote it. */
export const nameOf = (cause: unknown): string => (cause instanceof Error ? cause.name : 'unknown');
