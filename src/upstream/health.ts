/** The state of targets and providers across requests: breakers and upstream limits. Kept over reloads. */

import { type Shared, unshared } from '../base/shared.ts';
import { type BreakerSettings, breaker } from '../native/breaker.ts';
import { meter } from '../native/meters.ts';
import { createModelStates } from './models.ts';
import { PeakEwma } from './peak-ewma.ts';
import { closeQuota, type OwnLimits, openQuota, type Quota } from './quota.ts';
import type { AttemptSettings, UpstreamConfig } from './settings.ts';
import type { TargetHealth } from './target.ts';

/** A provider's state across its targets. */
export interface ProviderHealth {
  /** Breaker of the provider as a whole; null: it has a single target. */
  readonly breakerId: number | null;
  readonly quota: Quota | null;
}

/** Whose breaker: a target's, identified by label, or a provider's, by name. */
export type Subject = 'target' | 'provider';

/** The state of all targets and providers. An update calls `begin`, then `target` for each target, then `settle`. */
export interface HealthBook {
  /** Adopts settings. Targets not requested by `target` until `settle` are released then. */
  begin(config: UpstreamConfig): void;
  /**
   * The state of a target, created if it is new: for updates and calls, not for those who only look.
   * @param limits its upstream limits
   * @param pattern for a model that only a request names: the label as configured
   */
  target(label: string, limits?: OwnLimits, pattern?: string): TargetHealth;
  /** The breaker of a target; a model of a pattern gets one with its first call. */
  open(health: TargetHealth): number;
  /** Ends an update: opens and closes breakers and upstream limits as the configuration now needs. */
  settle(config: UpstreamConfig): void;
  /** Null: the provider has neither a breaker nor upstream limits. */
  provider(name: string): ProviderHealth | null;
  /** A configured target's upstream limits; null: it has none. */
  quota(label: string): Quota | null;
  /** Id of a breaker; null: there is none. */
  breakerId(subject: Subject, name: string): number | null;
  /** Whether the configuration names a target. */
  isConfigured(label: string): boolean;
  /** Calls in flight at a target; 0: it isn't known. */
  inFlight(label: string): number;
  /** Label or name → 0 closed, 1 open, 2 half-open; and whether it is of the configuration, not of a request. */
  states(subject: Subject): (readonly [name: string, state: number, configured: boolean])[];
}

/** Failures must come from this many targets before they count against the provider. */
const targetsMin = 2;

/** Settings of one breaker. @param targets how many targets must fail to open it; 1: a target's own breaker */
export function breakerSettings(attempt: AttemptSettings, targets: number): BreakerSettings {
  const { failures, failureRate, callsMin, windowMs, cooldownMs, cooldownMaxMs } = attempt.breaker;
  return {
    // As many as would open all those targets' breakers: one failure next to a broken target is no outage.
    failures: failures * targets,
    rate: failureRate,
    // Across several targets the share means little: one target with much traffic would decide it.
    callsMin: targets > 1 ? 0 : callsMin,
    windowMs,
    cooldownMs,
    cooldownMaxMs: Math.max(cooldownMs, cooldownMaxMs),
    // No call lasts longer.
    probeMaxMs: attempt.totalTimeoutMs,
    sourcesMin: targets,
  };
}

/** @param clock monotonic ms @param shared names what workers share */
export function createHealthBook(clock: () => number, shared: Shared = unshared): HealthBook {
  const targets = new Map<string, TargetHealth>();
  const providers = new Map<string, ProviderHealth>();
  const quotas = new Map<string, Quota>();
  // The meters of all quotas are in one table, so that those of a call are checked together.
  const table = meter.openTable(shared.name('quotas'));
  /** Targets of the configuration, and their upstream limits. */
  const asked = new Map<string, OwnLimits | undefined>();
  let attempt: AttemptSettings | null = null;
  // The longest that any configuration so far lets a request be in flight, and a batch request wait before.
  let inFlightMaxMs = 0;
  let queuedMaxMs = 0;

  const settings = (): AttemptSettings => {
    if (attempt === null) throw new Error('a target before its configuration');
    return attempt;
  };

  const settleProvider = (name: string, limits: OwnLimits | undefined, targetCount: number): void => {
    const known = providers.get(name);
    const knownId = known?.breakerId ?? null;
    const several = targetCount >= targetsMin;
    if (knownId !== null && !several) closeLater(() => breaker.close(knownId));
    const quota = renew(known?.quota ?? null, limits, shared.name(`quota of ${name}`));
    if (!several && quota === null) return void providers.delete(name);
    const set = breakerSettings(settings(), targetsMin);
    const breakerId = several ? (knownId ?? breaker.open(set, shared.name(`breaker of ${name}`))) : null;
    if (breakerId !== null) breaker.set(breakerId, set);
    providers.set(name, { breakerId, quota });
  };

  /** Requests in flight may still ask a removed breaker, and waiting batch requests may still read it. */
  const closeLater = (close: () => void): void => void setTimeout(close, inFlightMaxMs + queuedMaxMs).unref();

  /** Keeps buckets whose limits are unchanged; of those that are changed, what was taken. */
  const renew = (known: Quota | null, limits: OwnLimits | undefined, name?: string): Quota | null => {
    if (known !== null && JSON.stringify(known.limits) === JSON.stringify(limits)) return known;
    if (limits !== undefined) return openQuota(table, limits, clock(), name, known);
    if (known !== null) closeQuota(known);
    return null;
  };

  const models = createModelStates({ settings: () => breakerSettings(settings(), 1), renew, clock, shared });

  const configured = (label: string, limits: OwnLimits | undefined): TargetHealth => {
    asked.set(label, limits ?? asked.get(label));
    const set = breakerSettings(settings(), 1);
    const known = targets.get(label);
    if (known !== undefined) {
      breaker.set(known.breakerId, set);
      return known;
    }
    const breakerId = breaker.open(set, shared.name(`breaker of ${label}`));
    const made = { breakerId, inFlight: 0, latency: new PeakEwma() };
    targets.set(label, made);
    return made;
  };

  return {
    begin(config) {
      attempt = config.attempt;
      models.update();
      inFlightMaxMs = Math.max(inFlightMaxMs, config.attempt.totalTimeoutMs);
      queuedMaxMs = Math.max(queuedMaxMs, config.batch.deadlineMs);
      asked.clear();
    },

    target(label, limits, pattern) {
      if (pattern === undefined) return configured(label, limits);
      // A route may name the same model.
      return targets.get(label) ?? models.of(label, limits, targets.get(pattern)?.breakerId ?? 0);
    },
    open: models.open,

    settle(config) {
      for (const [label, { breakerId }] of targets) {
        if (asked.has(label)) continue;
        targets.delete(label);
        closeLater(() => breaker.close(breakerId));
      }
      for (const name of Object.keys(config.providers)) {
        const own = [...asked.keys()].filter((label) => label.startsWith(`${name}/`));
        settleProvider(name, config.providers[name]?.limits, own.length);
      }
      for (const [name, { breakerId, quota }] of providers) {
        if (name in config.providers) continue;
        providers.delete(name);
        if (breakerId !== null) closeLater(() => breaker.close(breakerId));
        if (quota !== null) closeQuota(quota);
      }
      for (const label of new Set([...quotas.keys(), ...asked.keys()])) {
        const quota = renew(quotas.get(label) ?? null, asked.get(label), shared.name(`quota of ${label}`));
        if (quota === null) quotas.delete(label);
        else quotas.set(label, quota);
      }
    },

    provider: (name) => providers.get(name) ?? null,
    quota: (label) => quotas.get(label) ?? null,
    breakerId: (subject, name) =>
      subject === 'provider'
        ? (providers.get(name)?.breakerId ?? null)
        : (targets.get(name) ?? models.known(name))?.breakerId || null,
    isConfigured: (label) => targets.has(label),
    inFlight: (label) => (targets.get(label) ?? models.known(label))?.inFlight ?? 0,
    states(subject) {
      const own = [...(subject === 'target' ? targets : providers)].flatMap(([name, { breakerId }]) =>
        // Calls go to the models of a pattern, so its own breaker never opens.
        breakerId === null || name.endsWith('*')
          ? []
          : [[name, breaker.state(breakerId, clock()), true] as const],
      );
      // A reload may have named a model that only requests named before.
      return subject === 'target'
        ? [...own, ...models.states().filter(([label]) => !targets.has(label))]
        : own;
    },
  };
}
