/** What stage route hands to stage attempt: whom to ask, in which order, and on what condition. */

import type { Priority } from '../batch/priority.ts';
import type { ModelFacts } from '../catalog/facts.ts';
import type { PeakEwma } from './peak-ewma.ts';
import type { Provider } from './provider.ts';

/** How much a request asks of a model, from least to most. */
export const tiers = ['simple', 'moderate', 'complex'] as const;
export type Tier = (typeof tiers)[number];

/** One place a request may go to. */
export interface Target {
  readonly provider: Provider;
  /** The provider's model name; null: the one asked for. A trailing * stands for what the route's * does. */
  readonly model: string | null;
  /** `provider/model`, from the configuration alone, so that metrics stay bounded. */
  readonly label: string;
  readonly health: TargetHealth;
  readonly facts: ModelFacts;
}

/** A target's state over all requests; outlives a reload. */
export interface TargetHealth {
  /** Circuit breaker in the native core. */
  readonly breakerId: number;
  /** Monotonic ms until which a 429 lets it rest. */
  restsUntilMs: number;
  /** Calls under way. */
  inFlight: number;
  /** How fast it answers; told by `attempt`, asked by strategy `latency`. */
  readonly latency: PeakEwma;
}

/** Why the step before gave no answer. */
export const fallbackCauses = [
  'timeout',
  'server',
  'rate_limited',
  'outage',
  'context_window',
  'content_policy',
  'breaker_open',
] as const;
export type FallbackCause = (typeof fallbackCauses)[number];

/** One entry of a plan. */
export interface Step {
  readonly target: Target;
  /** Causes that lead into this step's group from the one before; null: every failure does. */
  readonly on: ReadonlySet<FallbackCause> | null;
  /** Alternatives of one group follow each other on every failure; `on` is asked only where the group changes. */
  readonly group: number;
  /** How many chains lie around its edge; a step passed over takes the deeper ones behind it along. */
  readonly depth: number;
}

/** Whom to ask for one request. */
export interface Plan {
  /** The configured name or pattern of the route. */
  readonly pattern: string;
  readonly steps: readonly Step[];
  /** A chain as configured: no strategy has chosen who comes first, so a batch request may go by price. */
  readonly fixed: boolean;
  /** Changes with the targets, and with what was chosen among them; part of the cache's scope. */
  readonly version: string;
  /** The tier that strategy `cost` chose by; null: no such strategy took part. */
  readonly tier: Tier | null;
  /** Class of the requests that name none. */
  readonly priority: Priority;
  /** The route has one target: the app has chosen it, so nothing of the request may be left out for it. */
  readonly chosen: boolean;
}

/**
 * The plan for a caller who has a provider's own credential. It goes to the provider that is asked first, whose it must
 * be; the others, to whom it would be a stranger's secret, are asked with the gateway's.
 */
export function withOwnCredential(plan: Plan): Plan {
  const first = plan.steps[0]?.target.provider;
  if (first === undefined) return plan;
  const provider = first.withClientCredential();
  const steps = plan.steps.map((step) =>
    step.target.provider === first ? { ...step, target: { ...step.target, provider } } : step,
  );
  return { ...plan, steps };
}

/** Steps a route may come to with all routes nested in it. `sidegate check` refuses more. */
export const stepsMax = 64;
