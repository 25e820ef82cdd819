/** Opens the providers of a configuration with their background work, keeps unchanged ones over reloads, closes them. */

import type { Telemetry } from '../base/telemetry.ts';
import type { World } from '../base/world.ts';
import { nameOf, type Token, type TokenKeeper } from './credentials/keeper.ts';
import { createKeepers, type Keepers } from './credentials/keepers.ts';
import { openSigners } from './credentials/open.ts';
import { createProvider, reachOf } from './provider.ts';
import type { ProviderConfig, UpstreamConfig } from './settings.ts';
import type { Engine, Provider } from './target.ts';

/** The open providers. */
export interface Upstreams {
  /** Adopts a configuration and returns its providers; unchanged ones keep their connections. */
  update(config: UpstreamConfig): Promise<ReadonlyMap<string, Provider>>;
  provider(name: string): Provider | undefined;
  /** Names of the providers whose answers come from the simulator. */
  simulated(): string[];
  /** Provider name and its engine, for each provider that has one. */
  engines(): (readonly [string, Engine])[];
  /** By provider: how many of its keys are cooling down. @param nowMs monotonic ms */
  restingKeys(nowMs: number): (readonly [string, number])[];
  close(): Promise<void>;
}

/** No providers until the first `update`. */
export function createUpstreams(world: World, telemetry: Telemetry): Upstreams {
  interface Open {
    readonly made: string;
    readonly provider: Provider;
    /** Ends its background work; requests are still served. */
    stop(): void;
    close(): Promise<void>;
  }
  const open = new Map<string, Open>();
  const keepers = createKeepers(world.wallClock);
  // Requests in flight, and those waiting in the batch queue, still go to the provider they were routed to.
  const retired = new Set<Open>();
  // The longest that any configuration so far allows both to take.
  let longestMs = 0;
  const retire = (entry: Open): void => {
    entry.stop();
    retired.add(entry);
    const close = (): void => {
      retired.delete(entry);
      void entry.close();
    };
    setTimeout(close, longestMs).unref();
  };

  const start = async (name: string, config: UpstreamConfig, made: string): Promise<Open> => {
    const settings = config.providers[name];
    if (settings === undefined) throw new Error(`no provider ${name}`);
    const simulator = await embeddedSimulator(settings);
    const tokens = await platformTokens(settings, name, keepers, telemetry);
    const signers = await openSigners(name, settings, keepers, telemetry, world.wallClock);
    const provider = createProvider(
      name,
      settings,
      config.attempt,
      simulator?.url ?? null,
      tokens,
      signers,
      world.env,
    );
    const { engine, baseUrl, credentials } = provider;
    // Loaded only if needed, since it loads HTTPS.
    const probe =
      engine === null
        ? null
        : (await import('./probe.ts')).startProbe(engine, baseUrl, credentials[0]?.headers ?? [], {
            ...world,
            reach: reachOf(baseUrl, settings, world.env),
            onChange: (down) => telemetry.engine(name, down),
          });
    return {
      made,
      provider,
      stop: () => probe?.stop(),
      async close() {
        probe?.stop();
        tokens?.close();
        for (const signer of signers) signer.close();
        await provider.pool.close();
        await simulator?.close();
      },
    };
  };

  return {
    async update(config) {
      const { connectTimeoutMs, connectionsMax, totalTimeoutMs } = config.attempt;
      longestMs = Math.max(longestMs, totalTimeoutMs + config.batch.deadlineMs);
      const changed = Object.keys(config.providers).flatMap((name) => {
        const made = JSON.stringify([config.providers[name], connectTimeoutMs, connectionsMax]);
        return open.get(name)?.made === made ? [] : [{ name, made }];
      });
      // Together, since each may wait seconds for a platform's credential. None takes its place unless all can.
      const starts = await Promise.allSettled(changed.map(({ name, made }) => start(name, config, made)));
      const started = starts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const failed = starts.find((each) => each.status === 'rejected');
      if (failed !== undefined) {
        await Promise.all(started.map((entry) => entry.close()));
        throw failed.reason;
      }
      for (const entry of started) {
        const before = open.get(entry.provider.name);
        open.set(entry.provider.name, entry);
        if (before !== undefined) retire(before);
      }
      for (const [name, entry] of open) {
        if (name in config.providers) continue;
        open.delete(name);
        retire(entry);
      }
      return new Map([...open].map(([name, { provider }]) => [name, provider]));
    },
    provider: (name) => open.get(name)?.provider,
    simulated: () =>
      [...open.values()].flatMap(({ provider }) => (provider.simulated ? [provider.name] : [])),
    engines: () =>
      [...open.values()].flatMap(({ provider: { name, engine } }) =>
        engine === null ? [] : [[name, engine] as const],
      ),
    restingKeys: (nowMs) =>
      [...open.values()].map(({ provider: { name, credentials } }) => [
        name,
        credentials.filter(
          ({ refusedUntilMs, limitedUntilMs }) =>
            Math.max(refusedUntilMs, ...limitedUntilMs.values()) > nowMs,
        ).length,
      ]),
    async close() {
      await Promise.all([...open.values(), ...retired].map((entry) => entry.close()));
    },
  };
}

/** Tokens of the machine's identity; null: not used, and the libraries for them are not loaded. */
async function platformTokens(
  { credential: platform, baseUrl = '' }: ProviderConfig,
  provider: string,
  keepers: Keepers,
  telemetry: Pick<Telemetry, 'platformCredential'>,
): Promise<TokenKeeper | null> {
  if (platform !== 'google' && platform !== 'azure') return null;
  const keep = (name: string, fetch: () => Promise<Token>, advice: string): Promise<TokenKeeper> =>
    keepers.open(name, fetch, (cause) =>
      telemetry.platformCredential(provider, platform, nameOf(cause), advice),
    );
  if (platform === 'google') {
    const { advice, fetchToken } = await import('./credentials/google.ts');
    return keep('google', fetchToken, advice);
  }
  const { advice, fetchToken, resourceOf } = await import('./credentials/azure.ts');
  const resource = resourceOf(baseUrl);
  return keep(resource, () => fetchToken(resource), advice);
}

/** Base paths of the simulator's dialects; others are under `/v1`. */
const simulatedPaths: Readonly<Record<string, string>> = {
  'simulator-gemini': '/v1beta',
  'simulator-bedrock': '',
  'simulator-cohere': '/v2',
};

/** Starts the simulator, only if the configuration names it, so that no typo yields invented answers. */
async function embeddedSimulator(
  config: ProviderConfig,
): Promise<{ url: string; close(): Promise<void> } | null> {
  if (!config.preset?.startsWith('simulator')) return null;
  if (config.baseUrl !== undefined) return null;
  const { startSimulator } = await import('../simulate/server.ts');
  const { simulateSchema } = await import('../simulate/settings.ts');
  const settings = config.simulate ?? simulateSchema.parse({});
  const running = await startSimulator(settings, '127.0.0.1', 0);
  return { url: running.url + (simulatedPaths[config.preset] ?? '/v1'), close: () => running.close() };
}
