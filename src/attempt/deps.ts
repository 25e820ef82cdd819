/** What stage attempt needs. */

import type { Aside } from '../base/aside.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { CallDeps } from '../upstream/open-call.ts';
import type { AttemptSettings } from '../upstream/settings.ts';
import type { Hedges } from './hedges.ts';

/** What one attempt needs besides the request. */
export interface AttemptDeps extends CallDeps {
  readonly policy: AttemptSettings;
  /** Unix ms. */
  readonly wallClock: () => number;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  /** Id of the retry budget in the native core. */
  readonly budgetId: number;
  /** Null: no route uses hedging. */
  readonly hedges: Hedges | null;
  readonly telemetry: Telemetry;
  /** Largest message of a session, bytes. */
  readonly messageMaxBytes: number;
  /** Where large bodies are translated. */
  readonly aside: Aside;
}
