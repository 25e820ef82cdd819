/** The issuers in use: their public keys live on over reloads that don't change them. */
import { createKeySet, type KeySet, type KeySetWorld } from './jwks.ts';
import type { IssuerConfig } from './settings.ts';
import type { Issuer } from './tokens.ts';

export interface Issuers {
  /** The issuers of a configuration; unchanged ones keep their keys. */
  update(configs: readonly IssuerConfig[]): readonly Issuer[];
  close(): void;
}

export function createIssuers(world: KeySetWorld): Issuers {
  const open = new Map<string, KeySet>();
  return {
    update(configs) {
      const issuers = configs.map((config): [string, Issuer] => {
        const { id, issuer, jwksUrl, refreshSeconds, cooldownMs, waitMs } = config;
        const made = JSON.stringify([id, issuer, jwksUrl, refreshSeconds, cooldownMs, waitMs]);
        return [made, { config, keys: open.get(made) ?? createKeySet(config, world) }];
      });
      const kept = new Map(issuers.map(([made, { keys }]) => [made, keys]));
      for (const [made, keys] of open) if (!kept.has(made)) keys.close();
      open.clear();
      for (const [made, keys] of kept) open.set(made, keys);
      return issuers.map(([, issuer]) => issuer);
    },
    close() {
      for (const keys of open.values()) keys.close();
      open.clear();
    },
  };
}
