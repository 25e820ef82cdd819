/** Complexity of requests in the native core. */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** Names of the features that requests are put in tiers by. */
export const featureNames = native.featureNames;

/** What puts a request in a tier: its features in eighths, by `featureNames`, and the tiers' scores; the greatest decides. */
export interface Complexity {
  readonly features: readonly number[];
  readonly scores: readonly number[];
}

/** Explains what `inspect` decides by the way; null: the body has a fault. */
export function classify(body: Buffer, endpoint: Binding.Endpoint): Complexity | null {
  const all = native.classify(body, endpoint);
  if (all.length === 0) return null;
  return { features: all.slice(0, -tiers.length), scores: all.slice(-tiers.length) };
}

/** How much a request asks of a model, from least to most. */
export const tiers = ['simple', 'moderate', 'complex'] as const;

export type Tier = (typeof tiers)[number];
