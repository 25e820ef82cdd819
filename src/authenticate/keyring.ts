/** Who is known: the keys of the configuration, those of the store, and tokens. */

import type { Identity } from '../exchange/identity.ts';
import { type Caller, callerOf } from './caller.ts';
import type { AuthenticateSettings, KeyConfig } from './settings.ts';
import type { StoredKeys } from './stored-keys.ts';
import type { Tokens } from './tokens.ts';

/** A key of the configuration. */
export interface KnownKey extends Caller {
  readonly digest: Buffer;
}

/** The keys of one configuration, and where others are found. */
export interface Keyring {
  readonly byDigest: ReadonlyMap<string, KnownKey>;
  readonly stored: StoredKeys | null;
  readonly tokens: Tokens | null;
  /** Whom calls without a known key are counted for; null: they are refused. */
  readonly anonymous: Identity | null;
  /** Report whom the rules refuse, and let pass. */
  readonly observe: boolean;
  /** Ms since 1970. */
  readonly wallClock: () => number;
}

/** What a keyring is made of besides the configuration. */
export interface KeyringParts {
  readonly stored?: StoredKeys | null;
  readonly tokens?: Tokens | null;
  readonly observe?: boolean;
  readonly wallClock?: () => number;
}

export function createKeyring(
  config: AuthenticateSettings,
  { stored = null, tokens = null, observe = false, wallClock = Date.now }: KeyringParts = {},
): Keyring {
  const tenant = config.anonymousTenant;
  return {
    byDigest: new Map(config.keys.map((key) => [key.sha256, known(key)])),
    stored,
    tokens,
    anonymous: tenant === undefined ? null : nobody(tenant),
    observe,
    wallClock,
  };
}

/** A caller without a key. */
export const nobody = (tenant: string): Identity => ({
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

function known(key: KeyConfig): KnownKey {
  const { identity, userHeader, expiresMs } = callerOf(key);
  return { digest: Buffer.from(key.sha256, 'hex'), identity, userHeader, expiresMs };
}
