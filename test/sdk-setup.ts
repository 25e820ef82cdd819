/** Both official SDKs before a sidecar before a scripted provider. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { onTestFinished } from 'vitest';
import { testModel } from './replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from './sidecar.ts';
import { type Script, startUpstream, type Upstream } from './upstream.ts';

/** Both SDKs before a sidecar before a provider, and both SDKs straight at the provider. */
export interface SdkSetup {
  readonly upstream: Upstream;
  readonly sidecar: TestSidecar;
  readonly openai: OpenAI;
  readonly anthropic: Anthropic;
  readonly straight: { readonly openai: OpenAI; readonly anthropic: Anthropic };
}

/** Starts all of it; it ends with the test. Nothing is cached or retried unless `more` says so. */
export async function startSdks(scripts: readonly Script[], more: ConfigInput = {}): Promise<SdkSetup> {
  const upstream = await startUpstream(...scripts);
  const { baseUrl } = upstream;
  const sidecar = await startTestSidecar({
    providers: {
      o: { dialect: 'openai', baseUrl, apiKey: 'provider-key' },
      a: { dialect: 'anthropic', baseUrl, apiKey: 'provider-key' },
    },
    routes: [
      { model: testModel, targets: [{ provider: 'o' }, { provider: 'a' }] },
      { model: 'alias', targets: ['o', 'a'].map((provider) => ({ provider, model: 'the-real-one' })) },
    ],
    cache: { enabled: false },
    ...more,
    attempt: { backoffBaseMs: 0, retriesMax: 0, breaker: { failures: 1000 }, ...more.attempt },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const options = { apiKey: 'app-key', maxRetries: 0 };
  return {
    upstream,
    sidecar,
    openai: new OpenAI({ ...options, baseURL: `${sidecar.url}/v1` }),
    anthropic: new Anthropic({ ...options, baseURL: sidecar.url }),
    straight: {
      openai: new OpenAI({ ...options, baseURL: baseUrl }),
      anthropic: new Anthropic({ ...options, baseURL: baseUrl.replace('/v1', '') }),
    },
  };
}
