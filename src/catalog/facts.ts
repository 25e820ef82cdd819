/** What is known of a model: what it can do, how much it takes, and what it costs. */
import type { Usage } from '../exchange/usage.ts';

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
  /** Nano-dollars a token of images or sound in the prompt, and of images in the reply; left out: as any other. */
  readonly mediaInput?: number;
  readonly mediaOutput?: number;
  /** Nano-dollars for a second of sound that is heard; tokens cost nothing then. */
  readonly soundSecond?: number;
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

/** It costs nothing, whatever is asked. */
export const freeFacts: ModelFacts = {
  ...unknownFacts,
  price: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0 },
};

/** Cost of one reply in whole nano-dollars, rounded up. `inputTokens` includes the cached and the written ones. */
export function costNanoUsd(price: Price, usage: Usage): number {
  const { inputTokens } = usage;
  const cached = Math.min(usage.cachedInputTokens, inputTokens);
  const written = Math.min(usage.cacheWriteTokens, inputTokens - cached);
  const plain = inputTokens - cached - written;
  const each: TokenPrice = price.tiers?.find(({ aboveTokens }) => inputTokens > aboveTokens) ?? price;
  const input = plain * each.input + cached * each.cachedInput + written * each.cacheWrite;
  const media = usage.media === undefined ? 0 : mediaNanoUsd(price, each, plain, usage);
  const beside = (price.request ?? 0) + (usage.searchUnits ?? 0) * (price.search ?? 0);
  const cost = input + media + usage.outputTokens * each.output + beside;
  // A sum of decimal fractions may miss a whole number by a hair, which must not cost a nano-dollar more.
  return Math.ceil(cost * (1 - 2 * Number.EPSILON));
}

/** What images and sound cost more than so many tokens of text. */
function mediaNanoUsd(price: Price, each: TokenPrice, plain: number, { media, outputTokens }: Usage): number {
  if (media === undefined) return 0;
  const heard = Math.min(media.inputTokens, plain) * ((price.mediaInput ?? each.input) - each.input);
  const drawn =
    Math.min(media.outputTokens, outputTokens) * ((price.mediaOutput ?? each.output) - each.output);
  return heard + drawn + (media.soundMs / 1000) * (price.soundSecond ?? 0);
}

/** Whether a price is of what was used: a minute of sound says nothing about tokens, nor tokens about a minute. */
export const isPriceOf = (price: Price, { media, inputTokens, outputTokens }: Usage): boolean => {
  const sound = (media?.soundMs ?? 0) > 0;
  const tokens = inputTokens > 0 || outputTokens > 0;
  return price.soundSecond === undefined ? tokens || !sound : sound || !tokens;
};
