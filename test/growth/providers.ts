/** The providers that bodies are written for, and how bodies are inspected. */
import { dialects } from '../../src/dialects/index.ts';
import type { Destination } from '../../src/dialects/wire.ts';
import { endpoints } from '../../src/exchange/endpoint.ts';

/** How the chat endpoint of a dialect is inspected. */
export const inspectedAs = (name: string) =>
  endpoints.find(({ dialect, kind }) => dialect === name && kind === 'chat')?.inspectedAs ?? 0;

/** Each dialect of providers. */
export const providers = Object.values(dialects).flatMap(({ name, chatProvider }) =>
  chatProvider === null ? [] : [{ name, chatProvider }],
);

const models: Readonly<Record<string, string>> = {
  anthropic: 'claude-opus-4',
  bedrock: 'anthropic.claude-opus-4',
  gemini: 'gemini-2.5-pro',
  replicate: 'meta/llama',
};

/** A model of a provider. */
export const destinationAt = (provider: string): Destination => ({
  basePath: '',
  model: models[provider] ?? 'some-model',
  served: models[provider] ?? 'some-model',
  headers: [],
  quirks: {},
  outputMaxTokens: null,
});
