/** A provider as the process knows it: its connections, credential and where it lives. */
// The whole package also loads fetch, WebSocket and caches: 14 MB of memory and 50 ms of every start for nothing.
import Pool from 'undici/lib/dispatcher/pool.js';
import type { Config, ProviderConfig } from '../config/schema.ts';
import type { TokenKeeper } from '../credentials/google.ts';
import { dialects } from '../providers/index.ts';
import { presets } from '../providers/presets.ts';
import type { Dialect } from '../providers/provider.ts';

export interface Provider {
  readonly name: string;
  readonly dialect: Dialect;
  readonly baseUrl: string;
  /** Path part of the base URL, without a trailing slash. */
  readonly basePath: string;
  /** Sent with every request, flat: the gateway's credential and the configuration's headers. */
  readonly headers: readonly string[];
  /** The client's own credential is passed on instead. */
  readonly clientCredential: boolean;
  /** Answers are invented. */
  readonly simulated: boolean;
  readonly pool: InstanceType<typeof Pool>;
  /** Monotonic ms until which its credential rests after a 401 or 403; 0: it doesn't. */
  credentialRestsUntilMs: number;
}

/**
 * @param simulatorUrl base URL of the embedded simulator for providers of its presets
 * @param tokens gives the credential where it changes by itself
 */
export function createProvider(
  name: string,
  config: ProviderConfig,
  policy: Config['attempt'],
  simulatorUrl: string | null,
  tokens: TokenKeeper | null = null,
): Provider {
  const preset = config.preset === undefined ? undefined : presets[config.preset];
  const baseUrl = config.baseUrl ?? preset?.baseUrl ?? simulatorUrl;
  const dialectName = config.dialect ?? preset?.dialect;
  if (baseUrl === null || dialectName === undefined)
    throw new Error(`provider ${name} lacks a base URL or dialect`);
  const dialect = dialects[dialectName];
  const { origin, pathname } = new URL(baseUrl);
  const headers = ['content-type', 'application/json', 'accept-encoding', 'identity'];
  if (config.apiKey !== undefined) headers.push(...dialect.credential(config.apiKey));
  for (const [key, value] of Object.entries(config.headers)) headers.push(key.toLowerCase(), value);
  return {
    name,
    dialect,
    baseUrl,
    basePath: pathname.replace(/\/+$/, ''),
    get headers() {
      return tokens === null ? headers : withToken(headers, tokens.current());
    },
    clientCredential: config.credential === 'client',
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
    credentialRestsUntilMs: 0,
  };
}

/** Without a token the provider refuses the call, which lets its credential rest. */
const withToken = (headers: readonly string[], token: string | null): readonly string[] =>
  token === null ? headers : [...headers, 'authorization', `Bearer ${token}`];
