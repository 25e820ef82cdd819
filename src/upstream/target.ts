/** What stage route hands to stage attempt: whom to ask, in which order, and on what condition. */

import type Pool from 'undici/lib/dispatcher/pool.js';
import type { EngineName, ProbeSettings } from '../catalog/engines.ts';
import type { ModelFacts } from '../catalog/facts.ts';
import type { Dialect } from '../dialects/dialect.ts';
import type { Quirks } from '../dialects/wire.ts';
import type { Priority } from '../exchange/priority.ts';
import type { Tier } from '../native/classify.ts';
import type { PeakEwma } from './peak-ewma.ts';

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

/** Never rejects. @param headers all of the request's, flat */
export type Sign = (path: string, headers: readonly string[], body: Buffer) => Promise<readonly string[]>;

export interface Credential {
  /** All that is sent with a request besides what the request brings, flat: this credential too. */
  readonly headers: readonly string[];
  /** Signs each request with it, and gives all its headers; null: the credential is among them. */
  readonly sign: Sign | null;
  /** The provider has refused it; null: nobody can give another. */
  readonly renew: (() => void) | null;
  /** Names it to peers that have the same one; says nothing of it. */
  readonly digest: string;
  /** Monotonic ms until which it rests after a 401 or 403. */
  refusedUntilMs: number;
  /** Target label → monotonic ms until which a 429 lets it rest there. As bounded as the targets are. */
  readonly limitedUntilMs: Map<string, number>;
  /** The same by the word of a peer: it is taken last until then. */
  readonly hintedUntilMs: Map<string, number>;
}

/** What is known of one engine. Written by its probe and by the calls that go to it; read by the choice of targets. */
export interface Engine {
  readonly kind: EngineName;
  readonly probe: ProbeSettings;
  /** Probes that failed in a row. */
  failures: number;
  /** Requests in its own queue, and at work, by its own word. */
  waiting: number;
  running: number;
  cacheUse: number;
  /** When it last said so, monotonic ms; -Infinity: never. */
  seenMs: number;
  /** Calls of this process that are under way, now and when the numbers were read. */
  inFlight: number;
  inFlightSeen: number;
}

export interface Provider {
  readonly name: string;
  readonly dialect: Dialect;
  readonly baseUrl: string;
  /** Path part of the base URL, without a trailing slash. */
  readonly basePath: string;
  /** What every path ends with, without its `?`; empty: nothing. */
  readonly query: string;
  /** The gateway's own, of which calls take turns; one without a secret where there is none. */
  readonly credentials: readonly Credential[];
  /** Whose turn it is, as an index that is taken modulo their number. */
  turn: number;
  /** The client's own credential is passed on instead. */
  readonly clientCredential: boolean;
  readonly quirks: Quirks;
  /** Tenants that may keep files there; null: all. */
  readonly files: readonly string[] | null;
  /** Answers are invented. */
  readonly simulated: boolean;
  readonly pool: InstanceType<typeof Pool>;
  /** What is known of the self-hosted engine behind it; null: hosted by others. */
  readonly engine: Engine | null;
  /** The same provider, to be asked with the client's own credential. */
  withClientCredential(): Provider;
}
