/**
 * Tokens that are fetched ahead of need, so that no request ever waits for one: the machine's own at the platform it
 * runs on.
 */

/** A token, and when it ends in Unix ms. */
export interface Token {
  readonly value: string;
  readonly expiresMs: number;
}

/** One provider's token, kept fresh. */
export interface TokenKeeper {
  /** Null: none was given yet, or the last one is over. */
  current(): string | null;
  close(): void;
}

/** A token is replaced so long before its end. */
const aheadMs = 10 * 60_000;
/** Between tries when none is given. */
const retryMs = 15_000;
/** Tokens are asked for again at least this often, so that a changed key file is taken over. */
export const everyMs = 30 * 60_000;

/**
 * Keeps a token fresh until it is closed. Resolves with the first try, good or bad; never rejects.
 * @param onFailure told of each try that gave none
 */
export async function keepToken(
  fetchToken: () => Promise<Token>,
  wallClock: () => number,
  onFailure: (cause: unknown) => void,
): Promise<TokenKeeper> {
  let token: Token | null = null;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const refresh = async (): Promise<void> => {
    let nextMs = retryMs;
    try {
      token = await fetchToken();
      nextMs = Math.min(everyMs, Math.max(retryMs, token.expiresMs - wallClock() - aheadMs));
    } catch (cause) {
      // The old one serves until it ends.
      onFailure(cause);
    }
    if (closed) return;
    timer = setTimeout(() => void refresh(), nextMs);
    timer.unref();
  };

  await refresh();
  return {
    current: () => (token !== null && token.expiresMs > wallClock() ? token.value : null),
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
