/** Ranges of the simulator's settings and per-request overrides. */

/** Which retry hints a 429 carries: all, one kind, or none. */
export const retryHints = ['all', 'seconds', 'ms', 'reset', 'none'] as const;

/** One of `retryHints`. */
export type RetryHint = (typeof retryHints)[number];

/** Lowest and highest value of every numeric setting. */
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
