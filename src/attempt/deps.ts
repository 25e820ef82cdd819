/** What stage attempt needs, and what it gives. */

import type { Telemetry } from '../base/telemetry.ts';
import type { AdmissionDeps } from '../upstream/admission.ts';
import type { AttemptSettings } from '../upstream/settings.ts';
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
  readonly telemetry: Telemetry;
}
