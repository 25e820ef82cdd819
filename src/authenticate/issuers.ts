/** The issuers in use. Their public keys survive reloads that don't change the issuer. */
import { createKeySet, type KeySet, type KeySetWorld } from './jwks.ts';
import type { IssuerConfig } from './settings.ts';
import type { Issuer } from './tokens.ts';

/** The issuers of the current configuration, with their public keys. */
export interface Issuers {
  /** The issuers of a configuration; unchanged ones keep their keys. */
  update(configs: readonly IssuerConfig[]): readonly Issuer[];
  /** Stops fetching public keys. */
  close(): void;
}

/** Creates an empty set of issuers. */
export function createIssuers(world: KeySetWorld): Issuers {
  const open = new Map<string, KeySet>();
  return {
    update(configs) {
      const issuers = configs.map((config): [string, Issuer] => {
        const { id, issuer, jwksUrl, refreshSeconds, cooldownMs, waitMs } = config;
        const settings = JSON.stringify([id, issuer, jwksUrl, refreshSeconds, cooldownMs, waitMs]);
        return [settings, { config, keys: open.get(settings) ?? createKeySet(config, world) }];
      });
      const kept = new Map(issuers.map(([settings, { keys }]) => [settings, keys]));
      for (const [settings, keys] of open) if (!kept.has(settings)) keys.close();
      open.clear();
      for (const [settings, keys] of kept) open.set(settings, keys);
      return issuers.map(([, issuer]) => issuer);
    },
    close() {
      for (const keys of open.values()) keys.close();
      open.clear();
    },
  };
}
