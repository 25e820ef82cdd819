/** The tenants that a configuration can have. */
import type { AuthenticateSettings } from './settings.ts';

/**
 * The tenant of everyone who may call; null: there may be several.
 * @param storesKeys keys of any tenant can be made while the process runs
 */
export function onlyTenantOf(
  { anonymousTenant, keys, oidc }: AuthenticateSettings,
  storesKeys: boolean,
): string | null {
  const tenants = new Set<string | undefined>([...keys, ...oidc].map(({ tenant }) => tenant));
  if (anonymousTenant !== undefined) tenants.add(anonymousTenant);
  const [only] = tenants;
  return storesKeys || tenants.size !== 1 ? null : (only ?? null);
}
