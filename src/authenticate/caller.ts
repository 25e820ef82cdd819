/** A caller as the configuration or a stored key describes it. */
import type { Identity } from '../exchange/identity.ts';
import type { KeyConfig } from './settings.ts';

/** Names the user where nothing else is configured. */
export const defaultUserHeader = 'x-sidegate-user';

/** Someone a credential stands for. */
export interface Caller {
  readonly identity: Identity;
  /** Request header that may name the user; null: none may. */
  readonly userHeader: string | null;
  /** When the credential ends, ms since 1970. */
  readonly expiresMs: number;
}

/** Whom a key or a token's claims describe. */
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
