/** Google's OAuth tokens for Vertex: from a key file (GOOGLE_APPLICATION_CREDENTIALS), gcloud or the metadata server. */
import { everyMs, type Token } from './keeper.ts';

const scope = 'https://www.googleapis.com/auth/cloud-platform';

/** What to look at when there is none. */
export const advice = 'check GOOGLE_APPLICATION_CREDENTIALS or the metadata server';

/** Asks for a token with whatever credentials the machine has now. Loads Google's library, which is large. */
export async function fetchToken(): Promise<Token> {
  const { GoogleAuth } = await import('google-auth-library');
  // A new one each time, since it keeps the key file it read first.
  const client = await new GoogleAuth({ scopes: scope }).getClient();
  const { token } = await client.getAccessToken();
  if (typeof token !== 'string' || token === '') throw new Error('Google gave no access token');
  return { value: token, expiresMs: client.credentials.expiry_date ?? Date.now() + everyMs };
}
