/** What stage attempt needs, and what it gives. */

import type { AdmissionDeps } from '../upstream/admission.ts';
import type { AttemptSettings } from '../upstream/settings.ts';
import type { Credential, Target } from '../upstream/target.ts';
import type { Hedges } from './hedges.ts';

/** What one attempt needs besides the request. */
export interface AttemptDeps extends AdmissionDeps {
  readonly policy: AttemptSettings;
  readonly wallClock: () => number;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  /** Retry budget in the native core. */
  readonly budgetId: number;
  /** Null: no route is hedged. */
  readonly hedges: Hedges | null;
  /** Told when a credential of the gateway's own is refused; `index`: which of the provider's. */
  readonly onCredential: (target: Target, status: number, index: number) => void;
  /** Told when a 429 lets a credential rest at a target. */
  readonly onRest: (target: Target, credential: Credential, restMs: number) => void;
  /** Told when the retry budget refuses a call. */
  readonly onBudgetSpent: (kind: 'retry' | 'hedge') => void;
  /** Told of a hedge sent, and of one that answered first. */
  readonly onHedge: (what: 'sent' | 'won') => void;
}
