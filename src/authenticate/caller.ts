/** A caller, as described by the configuration, a stored key or a token. */
import type { Identity } from '../exchange/identity.ts';
import type { KeyConfig } from './settings.ts';

/** Header that names the user if none is configured. */
export const defaultUserHeader = 'x-sidegate-user';

/** The owner of a credential. */
export interface Caller {
  readonly identity: Identity;
  /** Request header that may name the user; null: none may. */
  readonly userHeader: string | null;
  /** When the credential expires, ms since 1970; infinite: never. */
  readonly expiresMs: number;
}

/** The caller described by a key or by a token's claims. */
export function callerOf(grant: Omit<KeyConfig, 'sha256'>): Caller {
  const { user, userHeader = defaultUserHeader, expires } = grant;
  return {
    identity: {
      tenant: grant.tenant,
      team: grant.team ?? null,
      user: user ?? null,
      keyId: grant.id,
      tags: grant.tags,
      models: grant.models ?? null,
      endpoints: grant.endpoints ?? null,
      limits: grant.limits,
      observed: null,
      ownCredential: false,
    },
    userHeader: user !== undefined || userHeader === 'none' ? null : userHeader.toLowerCase(),
    expiresMs: expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires),
  };
}
