/** Tokens of one reply. */
import type { MediaUsage } from '../native/reply.ts';

/** Tokens of one reply. `known`: the provider said so; else counted from its text, or estimated from bytes. */
export interface Usage {
  /** All of the prompt, in both dialects: read from the provider's cache, written to it, and neither. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the input, read from the provider's cache. */
  readonly cachedInputTokens: number;
  /** Of the input, written to it. */
  readonly cacheWriteTokens: number;
  readonly known: boolean;
  /** Of images and sound, where there are any. */
  readonly media?: MediaUsage;
  /** What a rerank is billed by; left out: nothing of the kind. */
  readonly searchUnits?: number;
}

export const noUsage: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  known: true,
};
