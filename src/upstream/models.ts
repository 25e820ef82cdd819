/**
 * The states of models that only requests name, behind a pattern such as `gpt-*`. Apps make these names up, so a bounded
 * number is kept: a state that is released loses its breaker, and gets a new one with its next call.
 */

import type { Shared } from '../base/shared.ts';
import { type BreakerSettings, breaker, breakerState } from '../native/breaker.ts';
import { PeakEwma } from './peak-ewma.ts';
import { closeQuota, type OwnLimits, type Quota } from './quota.ts';
import type { TargetHealth } from './target.ts';

/** Most states, besides those with calls in flight. */
export const modelsMax = 1000;

/** States looked at to find one that can be released without forgetting anything. */
const lookedAtMax = 32;

/** What the states are made with. */
interface ModelDeps {
  readonly settings: () => BreakerSettings;
  /** Opens upstream limits, or keeps those known if they are unchanged. */
  readonly renew: (known: Quota | null, limits: OwnLimits | undefined, name?: string) => Quota | null;
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Names what workers share. */
  readonly shared: Shared;
}

/** The states of the models of patterns. */
export interface ModelStates {
  /** The state of a model. @param sourceId breaker of the target that is configured with the pattern */
  of(label: string, limits: OwnLimits | undefined, sourceId: number): TargetHealth;
  /** Opens the breaker and upstream limits of a state that has none; returns the breaker's id. */
  open(health: TargetHealth): number;
  /** The state of a model, if there is one; its breaker's id is 0 before its first call. */
  known(label: string): TargetHealth | undefined;
  /** Adopts new settings. */
  update(): void;
  /** Label → 0 closed, 1 open, 2 half-open; and false: not of the configuration. */
  states(): (readonly [string, number, false])[];
}

/** No states yet. */
export function createModelStates({ settings, renew, clock, shared }: ModelDeps): ModelStates {
  // The one opened longest ago first.
  const kept = new Set<TargetHealth>();
  const byLabel = new Map<string, TargetHealth>();

  const release = (health: TargetHealth): void => {
    const { model, breakerId } = health;
    kept.delete(health);
    if (breakerId !== 0) breaker.close(breakerId);
    health.breakerId = 0;
    if (model === undefined) return;
    if (byLabel.get(model.label) === health) byLabel.delete(model.label);
    if (model.quota !== null) closeQuota(model.quota);
    model.quota = null;
  };

  /** Releases an idle model: one that nothing is held against, if there is one among the oldest. */
  const makeRoom = (): void => {
    const nowMs = clock();
    let oldest: TargetHealth | null = null;
    let seen = 0;
    for (const health of kept) {
      if (health.inFlight > 0) continue;
      if (isClosed(health, nowMs)) return release(health);
      oldest ??= health;
      if (++seen === lookedAtMax) break;
    }
    if (oldest !== null) release(oldest);
  };

  const keep = (label: string, health: TargetHealth): void => {
    if (kept.size >= modelsMax) makeRoom();
    kept.add(health);
    byLabel.set(label, health);
  };

  return {
    of(label, limits, sourceId) {
      const known = byLabel.get(label);
      if (known?.model !== undefined) {
        known.model.limits = limits;
        if (known.breakerId !== 0)
          known.model.quota = renew(known.model.quota, limits, shared.name(`quota of ${label}`));
        return known;
      }
      const model = { label, sourceId, limits, quota: null };
      const health = { breakerId: 0, inFlight: 0, latency: new PeakEwma(), model };
      keep(label, health);
      return health;
    },
    open(health) {
      const { breakerId, model } = health;
      if (breakerId !== 0 || model === undefined) return breakerId;
      if (!kept.has(health)) keep(model.label, health);
      health.breakerId = breaker.open(settings(), shared.name(`breaker of ${model.label}`));
      model.quota = renew(null, model.limits, shared.name(`quota of ${model.label}`));
      return health.breakerId;
    },
    known: (label) => byLabel.get(label),
    update() {
      for (const { breakerId } of kept) if (breakerId !== 0) breaker.set(breakerId, settings());
    },
    states: () =>
      [...byLabel].flatMap(([label, { breakerId }]) =>
        breakerId === 0 ? [] : [[label, breaker.state(breakerId, clock()), false] as const],
      ),
  };
}

/** Whether a model's breaker holds nothing against it. Cooldowns are its provider's credentials'. */
const isClosed = ({ breakerId }: TargetHealth, nowMs: number): boolean =>
  breakerId === 0 || breaker.state(breakerId, nowMs) === breakerState.closed;
