/**
 * Google's OAuth tokens for Vertex: from a key file (GOOGLE_APPLICATION_CREDENTIALS), gcloud or the metadata server.
 * They are fetched ahead of need, so that no request ever waits for one.
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

const scope = 'https://www.googleapis.com/auth/cloud-platform';
/** A token is replaced so long before its end. */
const aheadMs = 10 * 60_000;
/** Between tries when none is given. */
const retryMs = 15_000;
/** Tokens are asked for again at least this often, so that a changed key file is taken over. */
const everyMs = 30 * 60_000;

/** Asks for a token with whatever credentials the machine has now. Loads Google's library, which is large. */
export async function fetchGoogleToken(): Promise<Token> {
  const { GoogleAuth } = await import('google-auth-library');
  // A new one each time, since it keeps the key file it read first.
  const client = await new GoogleAuth({ scopes: scope }).getClient();
  const { token } = await client.getAccessToken();
  if (typeof token !== 'string' || token === '') throw new Error('Google gave no access token');
  return { value: token, expiresMs: client.credentials.expiry_date ?? Date.now() + everyMs };
}

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
