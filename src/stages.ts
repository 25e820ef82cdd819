/** The type of everything that the pipeline works with. */
import type { AttemptDeps } from './attempt/deps.ts';
import type { Keyring } from './authenticate/keyring.ts';
import type { Aside } from './base/aside.ts';
import type { Batch } from './batch/batch.ts';
import type { Cache } from './cache/cache.ts';
import type { Config } from './config/schema.ts';
import type { TokenCounter } from './count/counter.ts';
import type { Estimator } from './count/estimate.ts';
import type { Limiter } from './limit/limit.ts';
import type { Observer } from './observe/telemetry.ts';
import type { Replay } from './replay/replay.ts';
import type { ObjectTable } from './route/objects.ts';
import type { RouteTable } from './route/route.ts';
import type { ScrubPolicies } from './scrub/policy.ts';
import type { Recogniser } from './scrub/recogniser/recogniser.ts';

/** What the stages work with: long-lived state, and what was built from the current configuration. */
export interface Stages {
  readonly config: Config;
  readonly keyring: Keyring;
  readonly policies: ScrubPolicies;
  /** Null: none is configured. */
  readonly recogniser: Recogniser | null;
  readonly digestKey: Buffer;
  readonly replay: Replay;
  readonly limiter: Limiter;
  readonly estimator: Estimator;
  readonly counter: TokenCounter;
  readonly cache: Cache;
  readonly routes: RouteTable;
  readonly objects: ObjectTable;
  readonly batch: Batch;
  readonly attempt: AttemptDeps;
  readonly aside: Aside;
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly observer: Observer;
}
