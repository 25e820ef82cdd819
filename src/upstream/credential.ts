/** The credentials of a provider: calls use them in turn, and one that is rate-limited or refused cools down. */

import { createHash } from 'node:crypto';
import type { Credential, Provider, Target } from './target.ts';

/** Cooldown of a credential that the provider refused. */
const refusedCooldownMs = 60_000;

/** Cooldown after a 429 that names no time. */
const limitedCooldownMs = 1_000;

/** Cooldown after an exhausted quota that names no time: money rarely comes back within seconds. */
const quotaCooldownMs = 60_000;

/** Longest cooldown that a provider may ask for. */
const cooldownMaxMs = 3_600_000;

/** A credential, usable at once. @param key the secret its digest is made of; empty: none. @param headers flat */
export function createCredential(key: string, headers: readonly string[]): Credential {
  return {
    headers,
    sign: null,
    renew: null,
    digest: createHash('sha256').update(`sidegate ${key}`).digest('hex').slice(0, 16),
    answeredMs: Number.NEGATIVE_INFINITY,
    refusedUntilMs: 0,
    forbiddenUntilMs: new Map(),
    limitedUntilMs: new Map(),
    spentUntilMs: new Map(),
    hintedUntilMs: new Map(),
  };
}

/** When a credential's cooldown at a target ends, monotonic ms; in the past: it isn't cooling down. */
const cooldownUntilMs = (credential: Credential, label: string): number =>
  Math.max(
    credential.refusedUntilMs,
    credential.limitedUntilMs.get(label) ?? 0,
    credential.forbiddenUntilMs.get(label) ?? 0,
  );

/** The next credential in turn that isn't cooling down, those named by peers last; null: all are cooling down. */
export function takeCredential(
  { provider, label }: Pick<Target, 'provider' | 'label'>,
  nowMs: number,
): Credential | null {
  const { credentials } = provider;
  const [only] = credentials;
  if (only === undefined) return null;
  if (credentials.length === 1) return cooldownUntilMs(only, label) > nowMs ? null : only;
  let hinted: Credential | null = null;
  for (let i = 0; i < credentials.length; i++) {
    const at = (provider.turn + i) % credentials.length;
    const credential = credentials[at];
    if (credential === undefined || cooldownUntilMs(credential, label) > nowMs) continue;
    if ((credential.hintedUntilMs.get(label) ?? 0) > nowMs) {
      hinted ??= credential;
      continue;
    }
    provider.turn = at + 1;
    return credential;
  }
  return hinted;
}

/** Whether all credentials of a target are cooling down. */
export const allCoolingDown = ({ provider, label }: Target, nowMs: number): boolean =>
  provider.credentials.every((credential) => cooldownUntilMs(credential, label) > nowMs);

/** Why no credential of a target is usable, and for how many ms. */
export function cooldownOf(
  { provider, label }: Target,
  nowMs: number,
): { reason: 'credential' | 'quota' | 'cooling_down'; waitMs: number } {
  const { credentials } = provider;
  const untilMs = Math.min(...credentials.map((credential) => cooldownUntilMs(credential, label)));
  const refused = credentials.every(
    ({ refusedUntilMs, forbiddenUntilMs }) =>
      refusedUntilMs > nowMs || (forbiddenUntilMs.get(label) ?? 0) > nowMs,
  );
  const spent = credentials.every(({ spentUntilMs }) => (spentUntilMs.get(label) ?? 0) > nowMs);
  return { reason: refused ? 'credential' : spent ? 'quota' : 'cooling_down', waitMs: untilMs - nowMs };
}

/** Starts a credential's cooldown at all targets, after the provider refused it. */
export function coolDownRefused(credential: Credential, nowMs: number): void {
  credential.refusedUntilMs = nowMs + refusedCooldownMs;
  credential.renew?.();
}

/**
 * Starts a credential's cooldown at one target after a 403, which may be about that model only. At all targets once a
 * second one is refused, but not if the credential was answered within the last minute: otherwise whoever asks for two
 * models that it may not use would end its use for all.
 */
export function coolDownForbidden(credential: Credential, { label }: Target, nowMs: number): void {
  const { forbiddenUntilMs, answeredMs } = credential;
  if (nowMs - answeredMs >= refusedCooldownMs)
    for (const [other, untilMs] of forbiddenUntilMs)
      if (other !== label && untilMs > nowMs) return coolDownRefused(credential, nowMs);
  remember(forbiddenUntilMs, label, nowMs + refusedCooldownMs);
  credential.renew?.();
}

/**
 * Starts a credential's cooldown at one target after a 429; returns what is left of it in ms. It is never shortened: calls
 * in flight together may be told different times, or none.
 * @param askedMs how long the provider asks to wait; null: it doesn't say
 */
export function coolDownLimited(
  credential: Credential,
  { label }: Pick<Target, 'label'>,
  kind: 'rate_limited' | 'quota',
  askedMs: number | null,
  nowMs: number,
): number {
  const cooldownMs = Math.min(
    cooldownMaxMs,
    askedMs ?? (kind === 'quota' ? quotaCooldownMs : limitedCooldownMs),
  );
  if (kind === 'quota') remember(credential.spentUntilMs, label, nowMs + cooldownMs);
  return remember(credential.limitedUntilMs, label, nowMs + cooldownMs) - nowMs;
}

/** Notes a peer's report that a credential is rate-limited at a target until `untilMs`, monotonic ms. */
export function hintLimited(provider: Provider, digest: string, label: string, untilMs: number): void {
  const credential = provider.credentials.find((each) => each.digest === digest);
  if (credential !== undefined) remember(credential.hintedUntilMs, label, untilMs);
}

/** Most targets whose cooldowns a credential keeps: apps name the models of patterns. */
const labelsMax = 1000;

/** Sets a target's time, if it is later; beyond `labelsMax` targets, the one set longest ago is forgotten. Gives its time. */
function remember(times: Map<string, number>, label: string, untilMs: number): number {
  const latestMs = Math.max(untilMs, times.get(label) ?? 0);
  times.delete(label);
  if (times.size >= labelsMax) times.delete(times.keys().next().value ?? '');
  times.set(label, latestMs);
  return latestMs;
}
