/** Creates a provider from its configuration: its address, credentials and connection pool. */
import { hash } from 'node:crypto';
import { entryOf } from '../base/json.ts';
import { proxyOf, type Variables } from '../base/proxy.ts';
import { defaultProbe } from '../catalog/engines.ts';
import { defaultRegion, endpointIn, regionOf } from '../dialects/bedrock/region.ts';
import { dialects } from '../dialects/index.ts';
import { presets } from '../dialects/presets.ts';
import { quirksOfEngine } from '../dialects/quirks.ts';
import type { Quirks } from '../dialects/wire.ts';
import { createAddressCheck } from './addresses.ts';
import { openConnections } from './connect.ts';
import { createCredential } from './credential.ts';
import type { TokenKeeper } from './credentials/keeper.ts';
import type { Signer } from './credentials/signer.ts';
import { createEngine } from './engine.ts';
import type { Reach } from './reach.ts';
import type { AttemptSettings, ProviderConfig } from './settings.ts';
import type { Credential, Provider } from './target.ts';

/** Settings that tests may leave out. */
type Defaulted = 'passHeaders' | 'passthrough';

/**
 * @param simulatorUrl base URL of the embedded simulator, for providers with its presets; null: not simulated
 * @param tokens supplies a bearer token that expires; null: the credential is fixed
 * @param signers credentials that sign each request
 * @param env where `HTTPS_PROXY` and its like are looked up
 * @throws when neither the configuration nor its preset sets a base URL and a dialect
 */
export function createProvider(
  name: string,
  config: Omit<ProviderConfig, Defaulted> & Partial<Pick<ProviderConfig, Defaulted>>,
  policy: AttemptSettings,
  simulatorUrl: string | null,
  tokens: TokenKeeper | null = null,
  signers: readonly Signer[] = [],
  env: Variables = {},
): Provider {
  const preset = config.preset === undefined ? undefined : presets[config.preset];
  const baseUrl = config.baseUrl ?? ownUrl(preset?.baseUrl, config.region) ?? simulatorUrl;
  const dialectName = config.dialect ?? preset?.dialect;
  if (baseUrl === null || dialectName === undefined)
    throw new Error(`provider ${name} lacks a base URL or dialect`);
  const dialect = dialects[dialectName];
  const { origin, host, pathname, search } = new URL(baseUrl);
  const apiVersion = config.apiVersion === undefined ? [] : [`api-version=${config.apiVersion}`];
  const headers = ['content-type', 'application/json', 'accept-encoding', 'identity'];
  const engineQuirks =
    config.dialect === 'openai' ? entryOf<Quirks>(quirksOfEngine, config.engine ?? '') : undefined;
  const known = preset?.quirks ?? engineQuirks ?? {};
  const { reasoningBack } = config;
  const quirks: Quirks = reasoningBack === undefined ? known : { ...known, reasoningBack };
  const region = config.region ?? regionOf(baseUrl) ?? defaultRegion;
  const pinned = Object.keys(config.headers).map((key) => key.toLowerCase());
  for (const [key, value] of Object.entries(config.headers)) headers.push(key.toLowerCase(), value);
  const keys = [config.apiKey, ...(config.apiKeys ?? [])].filter((key) => key !== undefined);
  const provider: Provider = {
    name,
    dialect,
    baseUrl,
    basePath: pathname.replace(/\/+$/, ''),
    version: versionOf(baseUrl, config),
    query: [search.slice(1), ...apiVersion].filter((part) => part !== '').join('&'),
    pinned: new Set(pinned),
    passed: (config.passHeaders ?? []).filter((each) => !pinned.includes(each)),
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
    passthrough: config.passthrough ?? false,
    simulated: preset?.baseUrl === null,
    pool: openConnections(
      origin,
      policy.connectTimeoutMs,
      createAddressCheck(config.allowedAddresses ?? []),
      reachOf(baseUrl, config, env),
    ),
    load: { inFlight: 0, inFlightMax: policy.connectionsMax ?? null },
    engine: config.engine === undefined ? null : createEngine(config.engine, config.probe ?? defaultProbe),
    withClientCredential: () => asClient,
  };
  const asClient: Provider = {
    ...provider,
    credentials: [createCredential('', headers)],
    clientCredential: true,
  };
  return provider;
}

/** Its address, with a digest of what else the configuration adds to its requests, since headers may hold secrets. */
function versionOf(
  baseUrl: string,
  { headers, apiVersion }: Pick<ProviderConfig, 'headers' | 'apiVersion'>,
): string {
  const added = Object.entries(headers).map(([name, value]) => `${name.toLowerCase()}: ${value}`);
  if (added.length === 0 && apiVersion === undefined) return baseUrl;
  return `${baseUrl} ${hash('sha256', JSON.stringify([added.sort(), apiVersion]))}`;
}

/** How a provider is reached: by its own settings, or as the environment says. */
export function reachOf(
  baseUrl: string,
  { proxy, tls }: Pick<ProviderConfig, 'proxy' | 'tls'>,
  env: Variables,
): Reach {
  if (proxy !== undefined) return { proxy: proxy === 'none' ? null : proxy, tls };
  return { proxy: proxyOf(baseUrl, env), tls };
}

/** The preset's base URL, in the configured region. */
const ownUrl = (presetUrl: string | null | undefined, region: string | undefined): string | null =>
  presetUrl === undefined || presetUrl === null
    ? null
    : region === undefined || regionOf(presetUrl) === null
      ? presetUrl
      : endpointIn(region);

/** A credential that signs requests and is never sent. */
const signing = (signer: Signer, host: string, region: string, headers: readonly string[]): Credential => ({
  ...createCredential(signer.name, headers),
  sign: (path, all, body) => signer.sign(host, region, path, all, body),
  renew: () => signer.renew(),
});

/** A credential whose token is renewed in the background. */
const tokenCredential = (headers: readonly string[], tokens: TokenKeeper): Credential => ({
  ...createCredential('', headers),
  renew: () => tokens.renew(),
  get headers() {
    return withToken(headers, tokens.current());
  },
});

/** Without a token the provider refuses the call, and the credential cools down. */
const withToken = (headers: readonly string[], token: string | null): readonly string[] =>
  token === null ? headers : [...headers, 'authorization', `Bearer ${token}`];
