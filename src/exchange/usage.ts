/** Tokens of one reply. */
import type { MediaUsage, Pricing } from '../native/reply.ts';

/** Tokens of one reply. `known`: stated by the provider; otherwise counted from its text, or estimated from bytes. */
export interface Usage {
  /** The whole prompt in every dialect, including tokens read from and written to the provider's cache. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of those: spent on reasoning; undefined: nobody says. */
  readonly reasoningTokens?: number;
  /** Input tokens read from the provider's cache. */
  readonly cachedInputTokens: number;
  /** Input tokens written to the provider's cache. */
  readonly cacheWriteTokens: number;
  readonly known: boolean;
  /** Tokens and durations of images and audio, if there are any. */
  readonly media?: MediaUsage;
  /** Units that a rerank is billed in; undefined: it isn't. */
  readonly searchUnits?: number;
  /** What else decides the price; undefined: nothing. */
  readonly pricing?: Pricing;
}

/** Known to have used nothing. */
export const noUsage: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  known: true,
};
