/** The keyring: the known callers, by keys of the configuration, stored keys and tokens. */

import type { Identity } from '../exchange/identity.ts';
import { type Caller, callerOf } from './caller.ts';
import type { AuthenticateSettings } from './settings.ts';
import type { StoredKeys } from './stored-keys.ts';
import type { Tokens } from './tokens.ts';

/** The keys of one configuration, and where to look for others. */
export interface Keyring {
  /** By the SHA-256 of the key, hex. */
  readonly byDigest: ReadonlyMap<string, Caller>;
  readonly stored: StoredKeys | null;
  /** Ids of the configuration, which stored keys must not have; empty if none are stored. */
  readonly ids: ReadonlySet<string>;
  readonly tokens: Tokens | null;
  /** Identity of calls without a known key; null: they are refused. */
  readonly anonymous: Identity | null;
  /** Refusals are only reported, and the request passes. */
  readonly observe: boolean;
  /** Ms since 1970. */
  readonly wallClock: () => number;
}

/** The parts of a keyring that aren't in the configuration. */
export interface KeyringParts {
  readonly stored?: StoredKeys | null;
  readonly tokens?: Tokens | null;
  readonly observe?: boolean;
  readonly wallClock?: () => number;
}

/** Creates the keyring of a configuration. */
export function createKeyring(
  config: AuthenticateSettings,
  { stored = null, tokens = null, observe = false, wallClock = Date.now }: KeyringParts = {},
): Keyring {
  const tenant = config.anonymousTenant;
  return {
    byDigest: new Map(config.keys.map((key) => [key.sha256, callerOf(key)])),
    stored,
    ids: new Set(stored === null ? [] : [...config.keys, ...config.oidc].map(({ id }) => id)),
    tokens,
    anonymous: tenant === undefined ? null : anonymousIdentity(tenant),
    observe,
    wallClock,
  };
}

/** The identity of a caller without a known key. */
export const anonymousIdentity = (tenant: string): Identity => ({
  tenant,
  team: null,
  user: null,
  keyId: null,
  tags: [],
  models: null,
  endpoints: null,
  observed: null,
  ownCredential: false,
});
