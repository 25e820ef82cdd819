/** Both official SDKs in front of a sidecar in front of a scripted provider. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { onTestFinished } from 'vitest';
import type { World } from '../../src/base/world.ts';
import { testModel } from './replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from './sidecar.ts';
import { type Script, startUpstream, type Upstream } from './upstream.ts';

/** Both SDKs through a sidecar, and both SDKs directly at the provider. */
export interface SdkSetup {
  readonly upstream: Upstream;
  readonly records: TestSidecar['records'];
  readonly recordWhere: TestSidecar['recordWhere'];
  readonly openai: OpenAI;
  readonly anthropic: Anthropic;
  readonly straight: { readonly openai: OpenAI; readonly anthropic: Anthropic };
}

/** Starts all of it until the test ends. Nothing is cached or retried unless `more` says so. */
export async function startSdks(
  scripts: readonly Script[],
  more: ConfigInput = {},
  world: Partial<World> = {},
): Promise<SdkSetup> {
  const upstream = await startUpstream(...scripts);
  const { baseUrl } = upstream;
  // One per dialect, so that every request reaches a provider of its own dialect.
  const start = (provider: string): Promise<TestSidecar> => {
    const config: ConfigInput = {
      providers: {
        o: { dialect: 'openai', baseUrl, apiKey: 'provider-key' },
        a: { dialect: 'anthropic', baseUrl, apiKey: 'provider-key' },
      },
      routes: [
        { model: testModel, targets: [{ provider }] },
        { model: 'alias', targets: [{ provider, model: 'the-real-one' }] },
      ],
      cache: { enabled: false },
      ...more,
      attempt: { backoffBaseMs: 0, retriesMax: 0, breaker: { failures: 1000 }, ...more.attempt },
    };
    return startTestSidecar(config, world);
  };
  const [forOpenai, forAnthropic] = await Promise.all([start('o'), start('a')]);
  onTestFinished(async () => {
    await Promise.all([forOpenai.stop(), forAnthropic.stop()]);
    await upstream.close();
  });
  const options = { apiKey: 'app-key', maxRetries: 0 };
  return {
    upstream,
    records: () => [...forOpenai.records(), ...forAnthropic.records()],
    recordWhere: (fits) => Promise.race([forOpenai.recordWhere(fits), forAnthropic.recordWhere(fits)]),
    openai: new OpenAI({ ...options, baseURL: `${forOpenai.url}/v1` }),
    anthropic: new Anthropic({ ...options, baseURL: forAnthropic.url }),
    straight: {
      openai: new OpenAI({ ...options, baseURL: baseUrl }),
      anthropic: new Anthropic({ ...options, baseURL: baseUrl.replace('/v1', '') }),
    },
  };
}
