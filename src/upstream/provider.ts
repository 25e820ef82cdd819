/** A provider as the process knows it: its connections, credentials and where it lives. */
// The whole package also loads fetch, WebSocket and caches: 14 MB of memory and 50 ms of every start for nothing.

import Pool from 'undici/lib/dispatcher/pool.js';
import { usualProbe } from '../catalog/engines.ts';
import { defaultRegion, endpointIn, regionOf } from '../dialects/bedrock/region.ts';
import { dialects } from '../dialects/index.ts';
import { presets } from '../dialects/presets.ts';
import { createCredential } from './credential.ts';
import type { TokenKeeper } from './credentials/keeper.ts';
import type { Signer } from './credentials/signer.ts';
import { createEngine } from './engine.ts';
import type { AttemptSettings, ProviderConfig } from './settings.ts';
import type { Credential, Provider } from './target.ts';

/**
 * @param simulatorUrl base URL of the embedded simulator for providers of its presets
 * @param tokens gives the credential where it changes by itself
 * @param signers credentials that sign each request
 */
export function createProvider(
  name: string,
  config: ProviderConfig,
  policy: AttemptSettings,
  simulatorUrl: string | null,
  tokens: TokenKeeper | null = null,
  signers: readonly Signer[] = [],
): Provider {
  const preset = config.preset === undefined ? undefined : presets[config.preset];
  const baseUrl = config.baseUrl ?? ownUrl(preset?.baseUrl, config.region) ?? simulatorUrl;
  const dialectName = config.dialect ?? preset?.dialect;
  if (baseUrl === null || dialectName === undefined)
    throw new Error(`provider ${name} lacks a base URL or dialect`);
  const dialect = dialects[dialectName];
  const { origin, host, pathname, search } = new URL(baseUrl);
  const version = config.apiVersion === undefined ? [] : [`api-version=${config.apiVersion}`];
  const headers = ['content-type', 'application/json', 'accept-encoding', 'identity'];
  const quirks = preset?.quirks ?? {};
  const region = config.region ?? regionOf(baseUrl) ?? defaultRegion;
  for (const [key, value] of Object.entries(config.headers)) headers.push(key.toLowerCase(), value);
  const keys = [config.apiKey, ...(config.apiKeys ?? [])].filter((key) => key !== undefined);
  const provider: Provider = {
    name,
    dialect,
    baseUrl,
    basePath: pathname.replace(/\/+$/, ''),
    query: [search.slice(1), ...version].filter((part) => part !== '').join('&'),
    credentials:
      keys.length > 0
        ? keys.map((key) => createCredential(key, [...headers, ...dialect.credential(key, quirks)]))
        : signers.length > 0
          ? signers.map((signer) => signing(signer, host, region, headers))
          : [tokens === null ? createCredential('', headers) : tokenCredential(headers, tokens)],
    turn: 0,
    clientCredential: config.credential === 'client',
    quirks,
    files: config.files ?? null,
    simulated: preset?.baseUrl === null,
    pool: new Pool(origin, {
      connections: policy.connectionsMax,
      pipelining: 1,
      connect: { timeout: policy.connectTimeoutMs },
      // `attempt` owns all timeouts.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 30_000,
    }),
    engine: config.engine === undefined ? null : createEngine(config.engine, config.probe ?? usualProbe),
    withClientCredential: () => asClient,
  };
  const asClient: Provider = {
    ...provider,
    credentials: [createCredential('', headers)],
    clientCredential: true,
  };
  return provider;
}

/** The preset's, in the region that is asked for. */
const ownUrl = (presetUrl: string | null | undefined, region: string | undefined): string | null =>
  presetUrl === undefined || presetUrl === null
    ? null
    : region === undefined || regionOf(presetUrl) === null
      ? presetUrl
      : endpointIn(region);

/** A credential that is never sent. */
const signing = (signer: Signer, host: string, region: string, headers: readonly string[]): Credential => ({
  ...createCredential(signer.name, headers),
  sign: (path, all, body) => signer.sign(host, region, path, all, body),
  renew: () => signer.renew(),
});

/** A credential that changes by itself. */
const tokenCredential = (headers: readonly string[], tokens: TokenKeeper): Credential => ({
  ...createCredential('', headers),
  renew: () => tokens.renew(),
  get headers() {
    return withToken(headers, tokens.current());
  },
});

/** Without a token the provider refuses the call, which lets its credential rest. */
const withToken = (headers: readonly string[], token: string | null): readonly string[] =>
  token === null ? headers : [...headers, 'authorization', `Bearer ${token}`];
