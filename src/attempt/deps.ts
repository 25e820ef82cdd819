/** What stage attempt needs, and what it gives. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../base/errors.ts';
import type { Config } from '../config/schema.ts';
import type { ModelRequest } from '../exchange.ts';
import type { ReplyFacts } from '../native.ts';
import type { Credential } from '../upstream/credential.ts';
import type { HealthBook, Subject } from '../upstream/health.ts';
import type { Target } from '../upstream/target.ts';
import type { Hedges } from './hedge.ts';
import type { AnswerStream } from './read-answer.ts';
import type { Trail } from './trail.ts';

/** What one attempt needs besides the request. */
export interface AttemptDeps {
  readonly policy: Config['attempt'];
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly wallClock: () => number;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly health: HealthBook;
  /** Retry budget in the native core. */
  readonly budgetId: number;
  /** Null: no route is hedged. */
  readonly hedges: Hedges | null;
  /** Tokens of a request's prompt, by estimate. */
  readonly estimate: (request: ModelRequest) => number;
  /** Told of each call's end, for metrics. */
  readonly onCall: (target: Target, outcome: string) => void;
  /** Told when a credential of the gateway's own is refused; `index`: which of the provider's. */
  readonly onCredential: (target: Target, status: number, index: number) => void;
  /** Told when a 429 lets a credential rest at a target. */
  readonly onRest: (target: Target, credential: Credential, restMs: number) => void;
  /** Told when a breaker opens or closes: the target's, or its provider's. */
  readonly onBreaker: (subject: Subject, target: Target, open: boolean) => void;
  /** Told when the retry budget refuses a call. */
  readonly onBudgetSpent: (kind: 'retry' | 'hedge') => void;
  /** Told of a hedge sent, and of one that answered first. */
  readonly onHedge: (what: 'sent' | 'won') => void;
}

interface Answer {
  readonly target: Target;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trail: Trail;
  /** When the first call was sent, monotonic ms. */
  readonly begunMs: number;
  /** Fields that the target's dialect has no words for, left out of what it was sent. */
  readonly dropped: readonly string[];
}

/** A reply to pass on. `facts` null: the provider's own refusal. */
export type AttemptReply =
  | (Answer & { readonly kind: 'whole'; readonly body: Buffer; readonly facts: ReplyFacts | null })
  | (Answer & { readonly kind: 'stream'; readonly stream: AnswerStream });

/** No target answered. */
export interface AttemptFailure {
  readonly kind: 'failed';
  readonly refusal: Refusal;
  readonly trail: Trail;
}
