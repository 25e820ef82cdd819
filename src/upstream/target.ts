/** The contract between route and attempt: a plan's targets, their order and conditions, and their providers. */

import type { EngineName, ProbeSettings } from '../catalog/engines.ts';
import type { ModelFacts } from '../catalog/facts.ts';
import type { Dialect } from '../dialects/dialect.ts';
import type { Quirks } from '../dialects/wire.ts';
import type { Priority } from '../exchange/priority.ts';
import type { Tier } from '../native/classify.ts';
import type { Connections } from './connect.ts';
import type { PeakEwma } from './peak-ewma.ts';
import type { OwnLimits, Quota } from './quota.ts';

/** One model at one provider that a request may be sent to. */
export interface Target {
  readonly provider: Provider;
  /** The provider's model name; null: as requested. A trailing * is replaced by what the route's * matched. */
  readonly model: string | null;
  /** The model that is really served, where the configuration says that; undefined: as its name says. */
  readonly served?: string;
  /** `provider/model`, as it is called: the * of a pattern is filled in. Printable ASCII. */
  readonly label: string;
  readonly health: TargetHealth;
  readonly facts: ModelFacts;
}

/** A target's state across requests; kept over reloads. */
export interface TargetHealth {
  /** Circuit breaker in the native core; 0: a model of a pattern that wasn't called yet, so it has none. */
  breakerId: number;
  /** Calls in flight. */
  inFlight: number;
  /** How fast it answers; written by `attempt`, read by strategy `latency`. */
  readonly latency: PeakEwma;
  /** For a model that only requests name; undefined: the configuration names it. */
  readonly model?: PatternModel;
}

/** What is kept of a model that only requests name, behind a pattern. */
export interface PatternModel {
  readonly label: string;
  /** What its failures count as at the provider's breaker: all models of a pattern are one source. */
  readonly sourceId: number;
  limits: OwnLimits | undefined;
  quota: Quota | null;
}

/** Why a step gave no answer: the conditions that a route's `on` may name. */
export const fallbackCauses = [
  'timeout',
  'server',
  'rate_limited',
  'outage',
  'context_window',
  'content_policy',
  'breaker_open',
] as const;

/** One of these causes. */
export type FallbackCause = (typeof fallbackCauses)[number];

/** One entry of a plan: a target, and what leads to it. */
export interface Step {
  readonly target: Target;
  /** Causes that lead from the previous group into this step's; null: every failure does. */
  readonly on: ReadonlySet<FallbackCause> | null;
  /** Alternatives of one group follow each other on every failure; `on` is checked only between groups. */
  readonly group: number;
  /** How many chains its edge is nested in; when a step is skipped, the deeper steps after it are skipped too. */
  readonly depth: number;
}

/** The targets to try for one request, in order. */
export interface Plan {
  /** The configured name or pattern of the route. */
  readonly pattern: string;
  readonly steps: readonly Step[];
  /** A chain in configured order: no strategy chose the first target, so a batch request may order them by price. */
  readonly fixed: boolean;
  /** Changes with the targets and with the choice among them; part of the cache's key. */
  readonly version: string;
  /** The tier that strategy `cost` chose by; null: that strategy wasn't used. */
  readonly tier: Tier | null;
  /** Priority of requests that name none. */
  readonly priority: Priority;
  /** Essential fields that a target's dialect can't express are left out, instead of refused. */
  readonly drops: boolean;
  /** Longest reply of requests that state none, in tokens; null: the model's. */
  readonly defaultMaxTokens: number | null;
}

/**
 * The plan for a caller who brings a provider credential. It is sent to the plan's first provider only, whose it must
 * be; the others, which must not see it, are called with the gateway's.
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

/** Most steps of a route, including nested routes. `sidegate check` rejects more. */
export const stepsMax = 64;

/** Signs a request and returns its headers, flat. Never rejects. @param headers all of the request's, flat */
export type Sign = (path: string, headers: readonly string[], body: Buffer) => Promise<readonly string[]>;

/** One credential at a provider. */
export interface Credential {
  /** Headers added to a request's own, flat: this credential among them. */
  readonly headers: readonly string[];
  /** Signs each request with this credential; null: the credential is sent as a header. */
  readonly sign: Sign | null;
  /** Fetches another after the provider refused it; null: it is fixed. */
  readonly renew: (() => void) | null;
  /** Identifies it to peers that share it, without revealing it. */
  readonly digest: string;
  /** When a call with it was last answered, monotonic ms; -Infinity: never. */
  answeredMs: number;
  /** End of its cooldown after a 401, monotonic ms. */
  refusedUntilMs: number;
  /** Target label → end of its cooldown there after a 403, monotonic ms. Bounded. */
  readonly forbiddenUntilMs: Map<string, number>;
  /** Target label → end of its cooldown there after a 429, monotonic ms. Bounded. */
  readonly limitedUntilMs: Map<string, number>;
  /** The same, where that was for a quota that is spent. Bounded. */
  readonly spentUntilMs: Map<string, number>;
  /** The same as reported by peers: until then it is used last. */
  readonly hintedUntilMs: Map<string, number>;
}

/** State of one engine. Written by its probe and by the calls to it; read when targets are chosen. */
export interface Engine {
  readonly kind: EngineName;
  readonly probe: ProbeSettings;
  /** Consecutive failed probes. */
  failures: number;
  /** Requests queued and running in the engine, as it last reported. */
  waiting: number;
  running: number;
  /** Share of its KV cache in use, 0–1. */
  cacheUse: number;
  /** When it last reported, monotonic ms; -Infinity: never. */
  seenMs: number;
  /** Calls of this process in flight, now and at the last report. */
  inFlight: number;
  inFlightSeen: number;
}

/** One provider: its address, credentials, connections and engine. */
export interface Provider {
  readonly name: string;
  readonly dialect: Dialect;
  readonly baseUrl: string;
  /** Changes with its base URL, and with what the configuration adds to its requests. */
  readonly version: string;
  /** Path part of the base URL, without a trailing slash. */
  readonly basePath: string;
  /** Names of the headers that the configuration sets, which the app can't set too. */
  readonly pinned: ReadonlySet<string>;
  /** Names of the app's own headers that are passed on, none of them pinned. */
  readonly passed: readonly string[];
  /** Query added to every path, without its `?`; empty: none. */
  readonly query: string;
  /** The gateway's credentials, used in turn; a single one without a secret if there are none. */
  readonly credentials: readonly Credential[];
  /** Index of the credential to use next, modulo their number. */
  turn: number;
  /** The client's credential is passed on instead. */
  readonly clientCredential: boolean;
  readonly quirks: Quirks;
  /** Tenants that may use its files and other objects; null: all. */
  readonly files: readonly string[] | null;
  /** Whether endpoints that nothing is known of are passed on to it; `unscrubbed`: whatever their bodies hold. */
  readonly passthrough: boolean | 'unscrubbed';
  /** Its answers come from the simulator. */
  readonly simulated: boolean;
  readonly pool: Connections;
  /** Its calls in flight, each on a connection of its own, and the most allowed; null: as many as are admitted. */
  readonly load: { inFlight: number; readonly inFlightMax: number | null };
  /** State of the self-hosted engine behind it; null: a hosted API. */
  readonly engine: Engine | null;
  /** The same provider, called with the client's credential. */
  withClientCredential(): Provider;
}
