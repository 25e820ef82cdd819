/** Whether there is one tenant only, to whom then everything belongs. */
import type { AuthenticateSettings } from './settings.ts';
import type { StoredKeys } from './stored-keys.ts';

/**
 * Returns a function that tells the tenant of everyone who may call, or has ever had a stored key; null: there may be
 * several. It looks into the store each time, since keys are made while the process runs.
 * @param stored null: no keys are stored
 */
export function createOnlyTenant(
  { anonymousTenant, keys, oidc }: AuthenticateSettings,
  stored: Pick<StoredKeys, 'tenants'> | null,
): () => string | null {
  // The tenant of an issuer's tokens may be named by each of them.
  const configured = new Set<string | undefined>([...keys, ...oidc].map(({ tenant }) => tenant));
  if (anonymousTenant !== undefined) configured.add(anonymousTenant);
  return () => {
    if (configured.size > 1) return null;
    try {
      const [only, ...others] = new Set([...configured, ...(stored?.tenants() ?? [])]);
      return others.length > 0 ? null : (only ?? null);
    } catch {
      return null;
    }
  };
}
