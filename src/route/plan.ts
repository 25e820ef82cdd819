/** What stage route hands to stage attempt: whom to ask, in which order, and on what condition. */
import type { Provider } from '../attempt/connection.ts';
import type { Priority } from '../batch/priority.ts';
import type { ModelFacts } from '../catalog/facts.ts';
import type { Overflow } from './least-loaded.ts';

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
}

/** How a route puts its targets in order. */
export const strategies = ['fallback', 'least_loaded'] as const;
export type StrategyName = (typeof strategies)[number];

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
}

/** Whom to ask for one request. */
export interface Plan {
  /** The configured name or pattern of the route. */
  readonly pattern: string;
  readonly steps: readonly Step[];
  /** Changes with the targets; part of the cache's scope. */
  readonly version: string;
  /** Class of the requests that name none. */
  readonly priority: Priority;
  readonly strategy: StrategyName;
  /** Of `least_loaded`. */
  readonly overflow: Overflow | null;
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
