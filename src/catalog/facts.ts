/** What is known of a model: what it can do, how much it takes, and what it costs. */
import type { Usage } from '../exchange.ts';

/** What a request may need of a model. */
export const capabilities = [
  'vision',
  'tools',
  'schema',
  'reasoning',
  'code',
  'embeddings',
  'audio',
] as const;
export type Capability = (typeof capabilities)[number];

/** Prices in nano-dollars a token: a dollar for a million tokens is 1000. */
export interface Price {
  readonly input: number;
  /** Input read from the provider's cache, and written to it. */
  readonly cachedInput: number;
  readonly cacheWrite: number;
  readonly output: number;
}

/** Facts of one model at one provider. Null: unknown, which is never taken for nothing. */
export interface ModelFacts {
  readonly price: Price | null;
  /** Tokens of prompt and reply together. */
  readonly contextTokens: number | null;
  readonly outputMaxTokens: number | null;
  readonly capabilities: ReadonlySet<Capability> | null;
}

export const unknownFacts: ModelFacts = {
  price: null,
  contextTokens: null,
  outputMaxTokens: null,
  capabilities: null,
};

/** Cost of one reply in whole nano-dollars, rounded up. `inputTokens` includes what was read from or written to a cache. */
export function costNanoUsd(price: Price, usage: Usage): number {
  const cached = Math.min(usage.cachedInputTokens, usage.inputTokens);
  const written = Math.min(usage.cacheWriteTokens, usage.inputTokens - cached);
  const plain = usage.inputTokens - cached - written;
  const input = plain * price.input + cached * price.cachedInput + written * price.cacheWrite;
  return Math.ceil(input + usage.outputTokens * price.output);
}
