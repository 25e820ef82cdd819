/** Which tenants metrics name: those of the configuration, and of those that only tokens or stored keys name, so many. */

/** Most tenants that metrics name besides those of the configuration. */
export const tenantsMax = 1000;

/** Name of all others. */
const others = 'other';

/** A tenant's name in metrics. Costs one look-up for a known one. */
export type TenantNames = (tenant: string) => string;

/** No tenant has a name yet. @param isConfigured whether the configuration names a tenant */
export function createTenantNames(isConfigured: (tenant: string) => boolean): TenantNames {
  const named = new Set(['']);
  let made = 0;
  return (tenant) => {
    if (named.has(tenant)) return tenant;
    if (!isConfigured(tenant)) {
      if (made === tenantsMax) return others;
      made += 1;
    }
    named.add(tenant);
    return tenant;
  };
}
