/** Facts of a model: its capabilities, its limits of tokens and its prices. */
import type { Refuses } from '../dialects/refuses.ts';
import type { Usage } from '../exchange/usage.ts';
import type { Service } from '../native/reply.ts';

/** Capabilities that a request may need. */
export const capabilities = [
  'vision',
  'tools',
  'schema',
  'reasoning',
  'code',
  'embeddings',
  'audio',
] as const;
/** One of these capabilities. */
export type Capability = (typeof capabilities)[number];

/** Nano-dollars per token, fractions allowed: a dollar per million tokens is 1000. */
export interface TokenPrice {
  readonly input: number;
  /** Read from the provider's prompt cache. */
  readonly cachedInput: number;
  /** Written into the provider's prompt cache. */
  readonly cacheWrite: number;
  readonly output: number;
}

/** Prices of a model. */
export interface Price extends TokenPrice {
  /** Prices for long prompts, longest first: they apply to all tokens of a request whose prompt exceeds `aboveTokens`. */
  readonly tiers?: readonly ({ readonly aboveTokens: number } & TokenPrice)[];
  /** Nano-dollars per request, in addition to its tokens. */
  readonly request?: number;
  /** Nano-dollars per token of images or audio in the prompt, and of images in the reply; absent: as text. */
  readonly mediaInput?: number;
  readonly mediaOutput?: number;
  /** The same of sound, where it is told apart from images; absent: as above. */
  readonly soundInput?: number;
  readonly soundOutput?: number;
  /** Nano-dollars per second of audio input; tokens then cost nothing. */
  readonly soundSecond?: number;
  /** Nano-dollars per search unit of a rerank. */
  readonly search?: number;
  /** What a class of service costs, as a multiple; absent: as `usualServices` has it. */
  readonly services?: Readonly<Partial<Record<Service, number>>>;
}

/** What classes of service cost of most models, as a multiple of the usual price. */
const usualServices: Readonly<Record<Service, number>> = { flex: 0.5, priority: 2, fast: 2 };

/**
 * What is written to a cache for an hour costs twice as much as input.
 * https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pricing
 */
const hourFactor = 2;
/** What Claude costs that is served in the US only. https://platform.claude.com/docs/en/about-claude/pricing */
const residentFactor = 1.1;

/** Facts of one model at one provider. Null: unknown, which never means zero or none. */
export interface ModelFacts {
  readonly price: Price | null;
  /** Tokens of prompt and reply together. */
  readonly contextTokens: number | null;
  readonly outputMaxTokens: number | null;
  readonly capabilities: ReadonlySet<Capability> | null;
  /** Its replies state what they cost, which is what is billed. */
  readonly statesCost?: true;
  /** What it refuses of a request; undefined: nothing is known. */
  readonly refuses?: Refuses;
}

/** Nothing is known of the model. */
export const unknownFacts: ModelFacts = {
  price: null,
  contextTokens: null,
  outputMaxTokens: null,
  capabilities: null,
};

/** Every request is free of charge. */
export const freeFacts: ModelFacts = {
  ...unknownFacts,
  price: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0 },
};

/** Cost of one reply in whole nano-dollars, rounded up. `inputTokens` includes tokens read from and written to caches. */
export function costNanoUsd(price: Price, usage: Usage): number {
  const { inputTokens } = usage;
  const cached = Math.min(usage.cachedInputTokens, inputTokens);
  const written = Math.min(usage.cacheWriteTokens, inputTokens - cached);
  const plain = inputTokens - cached - written;
  const { service, resident, cacheWriteHourTokens = 0, longestPromptTokens } = usage.pricing ?? {};
  const longest = longestPromptTokens ?? inputTokens;
  const each: TokenPrice = price.tiers?.find(({ aboveTokens }) => longest > aboveTokens) ?? price;
  const forHour = Math.min(cacheWriteHourTokens, written);
  const input =
    (plain + hourFactor * forHour) * each.input +
    cached * each.cachedInput +
    (written - forHour) * each.cacheWrite;
  const served = service === undefined ? 1 : (price.services?.[service] ?? usualServices[service]);
  const factor = resident === true ? served * residentFactor : served;
  const media = usage.media === undefined ? 0 : mediaNanoUsd(price, each, plain, usage);
  const extra = (price.request ?? 0) + (usage.searchUnits ?? 0) * (price.search ?? 0);
  const cost = (input + media + usage.outputTokens * each.output) * factor + extra;
  // Rounding errors of decimal fractions must not add a nano-dollar.
  return Math.ceil(cost * (1 - 2 * Number.EPSILON));
}

/** What images and audio cost in addition to the price of the same number of text tokens. */
function mediaNanoUsd(price: Price, each: TokenPrice, plain: number, { media, outputTokens }: Usage): number {
  if (media === undefined) return 0;
  const { soundInput, soundOutput } = media.sound === true ? price : {};
  const input = soundInput ?? price.mediaInput ?? each.input;
  const output = soundOutput ?? price.mediaOutput ?? each.output;
  const heard = Math.min(media.inputTokens, plain) * (input - each.input);
  const drawn = Math.min(media.outputTokens, outputTokens) * (output - each.output);
  return heard + drawn + (media.soundMs / 1000) * (price.soundSecond ?? 0);
}

/** Whether a price applies to what was used: a price per second says nothing about tokens, and vice versa. */
export const isPriceOf = (price: Price, { media, inputTokens, outputTokens }: Usage): boolean => {
  const sound = (media?.soundMs ?? 0) > 0;
  const tokens = inputTokens > 0 || outputTokens > 0;
  return price.soundSecond === undefined ? tokens || !sound : sound || !tokens;
};
