/** Estimates tokens from bytes by a ratio learned from each model's actual usage: no tokenizer on the hot path. */

/** Tokens per byte, by model. */
export interface Estimator {
  /** Estimated tokens of `bytes` UTF-8 bytes of text. */
  tokens(model: string, bytes: number): number;
  /** Learns from a reply that stated its usage. */
  learn(model: string, bytes: number, tokens: number): void;
}

/** About four bytes per token, as in English text; slightly more tokens, so that the first estimate isn't too low. */
const ratioStart = 0.28;
const ratioMin = 0.02;
const ratioMax = 2;
/** Weight of a new observation: about the last forty requests determine the ratio. */
const learnRate = 0.05;
/** Shorter prompts are mostly overhead and would distort the ratio. */
const learnBytesMin = 64;
const modelsMax = 1000;

/** An estimator that hasn't learned anything yet. */
export function createEstimator(): Estimator {
  const ratios = new Map<string, number>();
  return {
    tokens: (model, bytes) => Math.ceil(bytes * (ratios.get(model) ?? ratioStart)),
    learn(model, bytes, tokens) {
      if (bytes < learnBytesMin || tokens <= 0) return;
      const before = ratios.get(model);
      if (before === undefined && ratios.size >= modelsMax) return;
      const seen = Math.min(ratioMax, Math.max(ratioMin, tokens / bytes));
      ratios.set(model, before === undefined ? seen : before + learnRate * (seen - before));
    },
  };
}
