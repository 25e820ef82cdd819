/** The providers that the official SDKs are tested with. A new one is a line in each table that applies. */
import type { DialectName } from '../../src/exchange/dialects.ts';

/** Presets of the simulator, one for each dialect with chat. */
export const simulators = {
  openai: 'simulator',
  anthropic: 'simulator-anthropic',
  gemini: 'simulator-gemini',
  responses: 'simulator-responses',
  bedrock: 'simulator-bedrock',
  cohere: 'simulator-cohere',
  replicate: 'simulator-replicate',
} as const;
export type Simulated = keyof typeof simulators;

/** The model to request from a provider that doesn't accept any name. */
export const modelOf: Readonly<Record<string, string>> = { 'simulator-replicate': 'openai/gpt-4o' };

/** Providers whose streams come in one piece. */
export const answersAtOnce: readonly string[] = ['simulator-replicate'];

/** How a provider that `@copilotkit/aimock` plays is configured: its dialect, and its path on the mock. */
interface Mocked {
  readonly dialect: DialectName;
  readonly basePath: string;
}

/** What the mock plays of the providers that chat. */
export const mocked = {
  openai: { dialect: 'openai', basePath: '/v1' },
  anthropic: { dialect: 'anthropic', basePath: '/v1' },
  responses: { dialect: 'responses', basePath: '/v1' },
  gemini: { dialect: 'gemini', basePath: '/v1beta' },
  bedrock: { dialect: 'bedrock', basePath: '' },
  cohere: { dialect: 'cohere', basePath: '/v2' },
} as const satisfies Readonly<Record<string, Mocked>>;
export type MockedName = keyof typeof mocked;

/** Where an SDK is tested: with Sidegate's simulator, and with a third-party mock. */
export const stages = ['simulator', 'mock'] as const;
export type Stage = (typeof stages)[number];

/** Providers of a stage. */
export const providersOn: Readonly<Record<Stage, readonly string[]>> = {
  simulator: Object.keys(simulators),
  mock: Object.keys(mocked),
};
