/** The state of targets and providers over all requests: breakers and own limits. It outlives a reload. */

import { type BreakerSettings, breaker } from '../native/breaker.ts';
import { meter } from '../native/meters.ts';
import { PeakEwma } from './peak-ewma.ts';
import { closeQuota, type OwnLimits, openQuota, type Quota } from './quota.ts';
import type { AttemptSettings, UpstreamConfig } from './settings.ts';
import type { TargetHealth } from './target.ts';

/** A provider's state over all its targets. */
export interface ProviderHealth {
  /** Breaker above those of the targets; null where there is one target only. */
  readonly breakerId: number | null;
  readonly quota: Quota | null;
}

/** Whose breaker: a target's, by label, or a provider's, by name. */
export type Subject = 'target' | 'provider';

export interface HealthBook {
  /** Takes over settings; what no `target` asks for until `settle` is let go of then. */
  begin(config: UpstreamConfig): void;
  /** The state of a target, made when it is new. @param limits its own */
  target(label: string, limits?: OwnLimits): TargetHealth;
  settle(config: UpstreamConfig): void;
  /** Null: the provider has nothing of its own to be asked. */
  provider(name: string): ProviderHealth | null;
  /** A target's own limits. */
  quota(label: string): Quota | null;
  /** Id of a breaker; null: there is none. */
  breakerId(subject: Subject, name: string): number | null;
  /** Label or name → 0 closed, 1 open, 2 half-open. */
  states(subject: Subject): (readonly [string, number])[];
}

/** From so many targets failures must come before they are the provider's. */
const targetsMin = 2;

/** @param targets whose failures it takes to open it */
export function breakerSettings(attempt: AttemptSettings, targets: number): BreakerSettings {
  const { failures, failureRate, callsMin, windowMs, cooldownMs, cooldownMaxMs } = attempt.breaker;
  return {
    // As much as would open so many of its targets: one failure beside a broken target is no outage.
    failures: failures * targets,
    rate: failureRate,
    // Over several targets the share says little: one with much traffic would stand for all.
    callsMin: targets > 1 ? 0 : callsMin,
    windowMs,
    cooldownMs,
    cooldownMaxMs: Math.max(cooldownMs, cooldownMaxMs),
    // No call lasts longer.
    probeMaxMs: attempt.totalTimeoutMs,
    sourcesMin: targets,
  };
}

export function createHealthBook(clock: () => number): HealthBook {
  const targets = new Map<string, TargetHealth>();
  const providers = new Map<string, ProviderHealth>();
  const quotas = new Map<string, Quota>();
  // Meters of all quotas: a call's are asked together.
  const table = meter.openTable();
  /** Targets of the configuration, and their own limits. */
  const asked = new Map<string, OwnLimits | undefined>();
  let attempt: AttemptSettings | null = null;
  // The longest that any configuration so far lets a batch request wait.
  let queuedMaxMs = 0;

  const settings = (): AttemptSettings => {
    if (attempt === null) throw new Error('a target before its configuration');
    return attempt;
  };

  const settleProvider = (name: string, limits: OwnLimits | undefined, targetCount: number): void => {
    const known = providers.get(name);
    const knownId = known?.breakerId ?? null;
    const several = targetCount >= targetsMin;
    if (knownId !== null && !several) later(() => breaker.close(knownId));
    const quota = renew(known?.quota ?? null, limits);
    if (!several && quota === null) return void providers.delete(name);
    const set = breakerSettings(settings(), targetsMin);
    const breakerId = several ? (knownId ?? breaker.open(set)) : null;
    if (breakerId !== null) breaker.set(breakerId, set);
    providers.set(name, { breakerId, quota });
  };

  /** Requests at work may still report to what is no more, and batch requests that wait may still ask it. */
  const later = (close: () => void): void =>
    void setTimeout(close, settings().totalTimeoutMs + queuedMaxMs).unref();

  /** Keeps buckets whose limits are as they were; others begin full. */
  const renew = (known: Quota | null, limits: OwnLimits | undefined): Quota | null => {
    if (known !== null && JSON.stringify(known.limits) === JSON.stringify(limits)) return known;
    if (known !== null) closeQuota(known);
    return limits === undefined ? null : openQuota(table, limits, clock());
  };

  return {
    begin(config) {
      attempt = config.attempt;
      queuedMaxMs = Math.max(queuedMaxMs, config.batch.deadlineMs);
      asked.clear();
    },

    target(label, limits) {
      asked.set(label, limits ?? asked.get(label));
      const set = breakerSettings(settings(), 1);
      const known = targets.get(label);
      if (known !== undefined) {
        breaker.set(known.breakerId, set);
        return known;
      }
      const made = { breakerId: breaker.open(set), restsUntilMs: 0, inFlight: 0, latency: new PeakEwma() };
      targets.set(label, made);
      return made;
    },

    settle(config) {
      for (const [label, { breakerId }] of targets) {
        if (asked.has(label)) continue;
        targets.delete(label);
        later(() => breaker.close(breakerId));
      }
      const names = Object.keys(config.providers);
      for (const name of names) {
        const own = [...asked.keys()].filter((label) => providerOf(label, names) === name);
        settleProvider(name, config.providers[name]?.limits, own.length);
      }
      for (const [name, { breakerId, quota }] of providers) {
        if (name in config.providers) continue;
        providers.delete(name);
        if (breakerId !== null) later(() => breaker.close(breakerId));
        if (quota !== null) closeQuota(quota);
      }
      for (const label of new Set([...quotas.keys(), ...asked.keys()])) {
        const quota = renew(quotas.get(label) ?? null, asked.get(label));
        if (quota === null) quotas.delete(label);
        else quotas.set(label, quota);
      }
    },

    provider: (name) => providers.get(name) ?? null,
    quota: (label) => quotas.get(label) ?? null,
    breakerId: (subject, name) =>
      (subject === 'target' ? targets.get(name)?.breakerId : providers.get(name)?.breakerId) ?? null,
    states: (subject) =>
      [...(subject === 'target' ? targets : providers)].flatMap(([name, { breakerId }]) =>
        breakerId === null ? [] : [[name, breaker.state(breakerId, clock())] as const],
      ),
  };
}

/** The name a label begins with: the longest, since names may hold slashes. */
function providerOf(label: string, names: readonly string[]): string | undefined {
  const fitting = names.filter((name) => label.startsWith(`${name}/`));
  return fitting.sort((a, b) => b.length - a.length)[0];
}
