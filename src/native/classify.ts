/** Classification of requests by complexity, in the native core. */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** Names of the features by which requests are classified. */
export const featureNames = native.featureNames;

/** A request's features in eighths, as in `featureNames`, and the score of each tier; the highest score decides. */
export interface Complexity {
  readonly features: readonly number[];
  readonly scores: readonly number[];
}

/** Explains the tier that `inspect` assigns; null: the body is invalid. */
export function classify(body: Buffer, endpoint: Binding.Endpoint): Complexity | null {
  const all = native.classify(body, endpoint);
  if (all.length === 0) return null;
  return { features: all.slice(0, -tiers.length), scores: all.slice(-tiers.length) };
}

/** Tiers of complexity, from least to most. */
export const tiers = ['simple', 'moderate', 'complex'] as const;

/** How complex a request is for a model. */
export type Tier = (typeof tiers)[number];
