/** How well tiers were told: the confusion matrix, the cost saved, and the complex prompts sent too low. */
import { costNanoUsd, type Price } from '../../src/catalog/facts.ts';
import { type Tier, tiers } from '../../src/native/classify.ts';
import { replyTypicalTokens } from '../../src/route/tree.ts';

/** One prompt's labelled and given tier, by their places, and its length. */
export interface Told {
  readonly label: number;
  readonly given: number;
  readonly bytes: number;
}

/** What a model of each tier costs, nano-dollars a token: list prices of GPT-4o mini, o4-mini and GPT-4o. */
export const tierPrices: Readonly<Record<Tier, Price>> = {
  simple: { input: 150, cacheWrite: 150, cachedInput: 75, output: 600 },
  moderate: { input: 1100, cacheWrite: 1100, cachedInput: 275, output: 4400 },
  complex: { input: 2500, cacheWrite: 2500, cachedInput: 1250, output: 10_000 },
};

export interface Score {
  readonly prompts: number;
  /** Rows: labels; columns: what was given. */
  readonly matrix: readonly (readonly number[])[];
  readonly accuracy: number;
  /** Of what all prompts would cost at the complex tier. */
  readonly costSaved: number;
  /** The same by the labels: what a faultless classifier would save. */
  readonly costSavedIdeal: number;
  /** Of complex prompts, those given another tier. */
  readonly complexTooLow: number;
}

/** About four bytes a token, as a new route would estimate. */
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

/** Sums up; shares of nothing are 0. */
export function score(all: readonly Told[]): Score {
  const matrix = tiers.map((_, label) =>
    tiers.map((_, given) => all.filter((told) => told.label === label && told.given === given).length),
  );
  const total = (of: (told: Told) => number): number => all.reduce((sum, told) => sum + of(told), 0);
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

/** For people: the matrix with its labels, and the shares. */
export function scoreText({ prompts, matrix, accuracy, ...rest }: Score): string {
  const line = (head: string, cells: readonly (string | number)[]): string =>
    head.padEnd(22) + cells.map((cell) => String(cell).padStart(10)).join('');
  return [
    line('labelled \\ given', tiers),
    ...matrix.map((row, label) => line(tiers[label] ?? '', row)),
    `${prompts} prompts, ${percent(accuracy)} as labelled; complex ones sent too low: ${percent(rest.complexTooLow)}`,
    `cost saved against always-complex: ${percent(rest.costSaved)} (with every label right: ${percent(rest.costSavedIdeal)})`,
  ].join('\n');
}
