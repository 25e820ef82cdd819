/** Estimates tokens from bytes by a ratio learned from each model's real usage: no tokenizer on the hot path. */

export interface Estimator {
  /** Tokens of so many UTF-8 bytes of text. */
  tokens(model: string, bytes: number): number;
  /** Learns from a reply that stated its usage. */
  learn(model: string, bytes: number, tokens: number): void;
}

/** About four bytes a token, which is what English text takes; a little more, so that the first guess isn't low. */
const ratioStart = 0.28;
const ratioMin = 0.02;
const ratioMax = 2;
/** Weight of a new observation: forty requests or so make up the ratio. */
const learnRate = 0.05;
/** Shorter prompts are mostly overhead and would spoil the ratio. */
const learnBytesMin = 64;
const modelsMax = 1000;

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
