/** Scores the classifier: confusion matrix, cost saved, and complex prompts classified too low. */
import { costNanoUsd, type Price } from '../../src/catalog/facts.ts';
import { type Tier, tiers } from '../../src/native/classify.ts';
import { replyTypicalTokens } from '../../src/route/tree.ts';

/** One prompt: index of its labelled and of its predicted tier, and its length. */
export interface Classified {
  readonly label: number;
  readonly given: number;
  readonly bytes: number;
}

/** Price of a model of each tier, nano-dollars per token: list prices of GPT-4o mini, o4-mini and GPT-4o. */
export const tierPrices: Readonly<Record<Tier, Price>> = {
  simple: { input: 150, cacheWrite: 150, cachedInput: 75, output: 600 },
  moderate: { input: 1100, cacheWrite: 1100, cachedInput: 275, output: 4400 },
  complex: { input: 2500, cacheWrite: 2500, cachedInput: 1250, output: 10_000 },
};

/** Scores over a set of prompts; shares are 0–1. */
export interface Score {
  readonly prompts: number;
  /** Rows: labels; columns: predictions. */
  readonly matrix: readonly (readonly number[])[];
  readonly accuracy: number;
  /** As a share of the cost with all prompts at the complex tier. */
  readonly costSaved: number;
  /** The same for a perfect classifier. */
  readonly costSavedIdeal: number;
  /** Share of complex prompts predicted to be of a lower tier. */
  readonly complexTooLow: number;
}

/** About four bytes per token, as a new route would estimate. */
const tokensPerByte = 0.28;

function costAt(bytes: number, tier: number): number {
  const usage = {
    inputTokens: Math.ceil(bytes * tokensPerByte),
    outputTokens: replyTypicalTokens,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    known: false,
  };
  return costNanoUsd(tierPrices[tiers[tier] ?? 'complex'], usage);
}

/** Computes the scores; shares of nothing are 0. */
export function score(all: readonly Classified[]): Score {
  const matrix = tiers.map((_, label) =>
    tiers.map(
      (_, given) =>
        all.filter((classified) => classified.label === label && classified.given === given).length,
    ),
  );
  const total = (of: (classified: Classified) => number): number =>
    all.reduce((sum, classified) => sum + of(classified), 0);
  const most = total(({ bytes }) => costAt(bytes, 2));
  const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
  const complex = all.filter(({ label }) => label === 2);
  return {
    prompts: all.length,
    matrix,
    accuracy: share(all.filter(({ label, given }) => label === given).length, all.length),
    costSaved: share(most - total(({ bytes, given }) => costAt(bytes, given)), most),
    costSavedIdeal: share(most - total(({ bytes, label }) => costAt(bytes, label)), most),
    complexTooLow: share(complex.filter(({ given }) => given < 2).length, complex.length),
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

/** The scores as text: the matrix with its labels, and the shares. */
export function scoreText({ prompts, matrix, accuracy, ...rest }: Score): string {
  const line = (head: string, cells: readonly (string | number)[]): string =>
    head.padEnd(22) + cells.map((cell) => String(cell).padStart(10)).join('');
  return [
    line('labelled \\ given', tiers),
    ...matrix.map((row, label) => line(tiers[label] ?? '', row)),
    `${prompts} prompts, ${percent(accuracy)} as labelled; complex ones classified too low: ${percent(rest.complexTooLow)}`,
    `cost saved against always-complex: ${percent(rest.costSaved)} (with every label right: ${percent(rest.costSavedIdeal)})`,
  ].join('\n');
}
