/** What stage authenticate keeps across reloads: stored keys and the issuers' public keys. */

import type { Variables } from '../base/proxy.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { Issuers } from './issuers.ts';
import { createKeyring, type Keyring } from './keyring.ts';
import type { AuthenticateSettings } from './settings.ts';
import type { StoredKeys } from './stored-keys.ts';
import type { Tokens } from './tokens.ts';

/** The part of a configuration that decides who may call. */
export interface CallersConfig {
  readonly authenticate: AuthenticateSettings;
  readonly mode: 'enforce' | 'observe';
  /** With a Redis, the store also has the keys that other pods made. */
  readonly sync: { readonly redis?: string | undefined };
}

/** Makes the keyrings of successive configurations. */
export interface Callers {
  /** The keyring of a configuration. Rejects if one of its keys is also in the store. */
  keyring(config: CallersConfig): Promise<Keyring>;
  /** Stops fetching public keys. */
  close(): void;
}

/** Clocks, randomness, and where reports go. */
export interface CallersWorld {
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Ms since 1970. */
  readonly wallClock: () => number;
  /** Where a proxy for the issuers is named. */
  readonly env: Variables;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly telemetry: Pick<Telemetry, 'issuerKeys'>;
}

/** @param stored null: there is no store */
export function createCallers(stored: StoredKeys | null, world: CallersWorld): Callers {
  let issuers: Issuers | null = null;

  /** Loads the code for tokens only if an issuer is configured, since it loads a library. */
  const tokensOf = async ({ authenticate }: CallersConfig): Promise<Tokens | null> => {
    if (authenticate.oidc.length === 0 && issuers === null) return null;
    const { createIssuers } = await import('./issuers.ts');
    const { createTokens } = await import('./tokens.ts');
    issuers ??= createIssuers(world);
    const open = issuers.update(authenticate.oidc);
    return open.length === 0 ? null : createTokens(authenticate, open, world.wallClock);
  };

  return {
    async keyring(config) {
      refuseSharedKeys(config, stored);
      const { authenticate, mode } = config;
      const tokens = await tokensOf(config);
      return createKeyring(authenticate, {
        stored,
        tokens,
        observe: mode === 'observe',
        wallClock: world.wallClock,
      });
    },
    close: () => issuers?.close(),
  };
}

/**
 * Throws if a key or an id is both in the configuration and in the store, even revoked: each must belong to one caller.
 * An id that another pod may have given to a key must not keep this one from starting: that key opens nothing here.
 */
function refuseSharedKeys({ authenticate, sync }: CallersConfig, stored: StoredKeys | null): void {
  if (stored === null || stored.list('').length === 0) return;
  const shared = authenticate.keys.find(({ sha256 }) => stored.has(Buffer.from(sha256, 'hex')));
  if (shared !== undefined)
    throw new Error(`the key ${shared.id} is already in the store: remove it from the configuration`);
  if (sync.redis !== undefined) return;
  const named = [...authenticate.keys, ...authenticate.oidc].find(({ id }) => stored.hasId(id));
  if (named !== undefined)
    throw new Error(
      `a key with the id ${named.id} is in the store: give the one in the configuration another id`,
    );
}
