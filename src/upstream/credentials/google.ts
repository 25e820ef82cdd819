/** Google's OAuth tokens for Vertex: from a key file (GOOGLE_APPLICATION_CREDENTIALS), gcloud or the metadata server. */
import { everyMs, type Token } from './keeper.ts';

const scope = 'https://www.googleapis.com/auth/cloud-platform';

/** What to check when no token is obtained. */
export const advice = 'check GOOGLE_APPLICATION_CREDENTIALS or the metadata server';

/** Requests a token with the machine's credentials. Loads Google's library, which is large. Rejects if there are none. */
export async function fetchToken(): Promise<Token> {
  const { GoogleAuth, gcpMetadata } = await import('google-auth-library');
  // It would remember for good that the metadata server, which a new pod may have to wait for, didn't answer once.
  gcpMetadata.resetIsAvailableCache();
  // A new client each time, since a client keeps the key file it first read.
  // No token needs the project, and unless one is given gcloud is run to find it, which takes a busy machine too long.
  const client = await new GoogleAuth({ scopes: scope, projectId: 'unused' }).getClient();
  const { token } = await client.getAccessToken();
  if (typeof token !== 'string' || token === '') throw new Error('Google gave no access token');
  return { value: token, expiresMs: client.credentials.expiry_date ?? Date.now() + everyMs };
}
