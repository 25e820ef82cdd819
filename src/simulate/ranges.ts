/** Ranges of what a simulated provider may be told to do. */

/** Which hints a 429 carries: all of them, one kind, or none. */
export const retryHints = ['all', 'seconds', 'ms', 'reset', 'none'] as const;

export type RetryHint = (typeof retryHints)[number];

/** Lowest and highest value of every number that can be set, in the settings or per request. */
export const ranges = {
  seed: [0, 4_294_967_295],
  ttftMs: [0, 600_000],
  tokensPerSecond: [0, 100_000],
  jitter: [0, 1],
  delayMs: [0, 600_000],
  replyTokens: [1, 100_000],
  contextTokens: [0, 100_000_000],
  failureRate: [0, 1],
  afterTokens: [0, 100_000],
  retryAfterMs: [0, 86_400_000],
  holdMs: [1, 600_000],
  times: [1, 1_000_000],
  sizeMb: [1, 16_384],
} as const;
