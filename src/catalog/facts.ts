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

/** Nano-dollars a token, fractions allowed: a dollar for a million tokens is 1000. */
export interface TokenPrice {
  readonly input: number;
  /** Read from the provider's prompt cache. */
  readonly cachedInput: number;
  /** Written into the provider's prompt cache. */
  readonly cacheWrite: number;
  readonly output: number;
}

/** What a reply costs. */
export interface Price extends TokenPrice {
  /** Prices of long prompts, longest first: they count for all tokens of a request whose prompt has more. */
  readonly tiers?: readonly ({ readonly aboveTokens: number } & TokenPrice)[];
  /** Nano-dollars for each request, beside its tokens. */
  readonly request?: number;
  /** Nano-dollars for each search unit of a rerank. */
  readonly search?: number;
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

/** Cost of one reply in whole nano-dollars, rounded up. `inputTokens` includes the cached and the written ones. */
export function costNanoUsd(price: Price, usage: Usage): number {
  const { inputTokens } = usage;
  const cached = Math.min(usage.cachedInputTokens, inputTokens);
  const written = Math.min(usage.cacheWriteTokens, inputTokens - cached);
  const plain = inputTokens - cached - written;
  const each: TokenPrice = price.tiers?.find(({ aboveTokens }) => inputTokens > aboveTokens) ?? price;
  const input = plain * each.input + cached * each.cachedInput + written * each.cacheWrite;
  const searches = (usage.searchUnits ?? 0) * (price.search ?? 0);
  const cost = input + usage.outputTokens * each.output + (price.request ?? 0) + searches;
  // A sum of decimal fractions may miss a whole number by a hair, which must not cost a nano-dollar more.
  return Math.ceil(cost * (1 - 2 * Number.EPSILON));
}
