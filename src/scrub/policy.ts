/** What is done with each kind of personal data. */

import { piiBits } from '../native/inspect.ts';
import type { ScrubSettings } from './settings.ts';

/** The scrub policy as bits for the native core, and what is refused instead of masked. */
export interface ScrubPolicy {
  readonly bits: number;
  readonly blockEmail: boolean;
  readonly blockCard: boolean;
  /** Names the policy in cache keys. */
  readonly name: string;
}

export function createScrubPolicy({ email, card }: ScrubSettings): ScrubPolicy {
  return {
    bits: (email === 'off' ? 0 : piiBits.email) | (card === 'off' ? 0 : piiBits.card),
    blockEmail: email === 'block',
    blockCard: card === 'block',
    name: `${email}/${card}`,
  };
}
