/** Who is known: the keys of the configuration, those of the store, and tokens. */
import type { Config } from '../config/schema.ts';
import type { Identity } from '../exchange.ts';
import type { KeyConfig } from './settings.ts';
import type { StoredKeys } from './stored-keys.ts';
import type { Tokens } from './tokens.ts';

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
  config: Config['authenticate'],
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
