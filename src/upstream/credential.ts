/** The credentials of a provider: calls take turns, and one that is limited or refused rests. */

import { createHash } from 'node:crypto';
import type { Credential, Provider, Target } from './target.ts';

/** A credential that was refused is not tried again for so long. */
const refusedRestMs = 60_000;

/** A 429 that names no time. */
const limitedRestMs = 1_000;

/** A spent quota that names no time: money rarely comes back within seconds. */
const quotaRestMs = 60_000;

/** A provider's word is taken for so long at most. */
const restMaxMs = 3_600_000;

/** @param key empty: there is none */
export function createCredential(key: string, headers: readonly string[]): Credential {
  return {
    headers,
    sign: null,
    renew: null,
    digest: createHash('sha256').update(`sidegate ${key}`).digest('hex').slice(0, 16),
    refusedUntilMs: 0,
    limitedUntilMs: new Map(),
    hintedUntilMs: new Map(),
  };
}

/** Monotonic ms until which a credential rests at a target; in the past: it doesn't. */
const restsUntilMs = (credential: Credential, label: string): number =>
  Math.max(credential.refusedUntilMs, credential.limitedUntilMs.get(label) ?? 0);

/** The credential whose turn it is among those that don't rest; null: all do. */
export function takeCredential({ provider, label }: Target, nowMs: number): Credential | null {
  const { credentials } = provider;
  const [only] = credentials;
  if (only === undefined) return null;
  if (credentials.length === 1) return restsUntilMs(only, label) > nowMs ? null : only;
  let hinted: Credential | null = null;
  for (let i = 0; i < credentials.length; i++) {
    const at = (provider.turn + i) % credentials.length;
    const credential = credentials[at];
    if (credential === undefined || restsUntilMs(credential, label) > nowMs) continue;
    if ((credential.hintedUntilMs.get(label) ?? 0) > nowMs) {
      hinted ??= credential;
      continue;
    }
    provider.turn = at + 1;
    return credential;
  }
  return hinted;
}

/** Whether no credential of a target can be taken now. */
export const allRest = ({ provider, label }: Target, nowMs: number): boolean =>
  provider.credentials.every((credential) => restsUntilMs(credential, label) > nowMs);

/** Why no credential of a target can be taken, and for how many ms. */
export function credentialsRest(
  { provider, label }: Target,
  nowMs: number,
): { reason: 'credential' | 'resting'; waitMs: number } {
  const { credentials } = provider;
  const waitMs = Math.min(...credentials.map((credential) => restsUntilMs(credential, label))) - nowMs;
  const refused = credentials.every(({ refusedUntilMs }) => refusedUntilMs > nowMs);
  return { reason: refused ? 'credential' : 'resting', waitMs };
}

/** Lets a credential rest everywhere, since the provider refused it. */
export function restRefused(credential: Credential, nowMs: number): void {
  credential.refusedUntilMs = nowMs + refusedRestMs;
  credential.renew?.();
}

/**
 * Lets a credential rest at one target after a 429; gives the rest in ms.
 * @param askedMs what the provider says; null: nothing
 */
export function restLimited(
  credential: Credential,
  target: Target,
  kind: 'rate_limited' | 'quota',
  askedMs: number | null,
  nowMs: number,
): number {
  const restMs = Math.min(restMaxMs, askedMs ?? (kind === 'quota' ? quotaRestMs : limitedRestMs));
  credential.limitedUntilMs.set(target.label, nowMs + restMs);
  const { provider, label, health } = target;
  health.restsUntilMs = Math.min(...provider.credentials.map((each) => restsUntilMs(each, label)));
  return restMs;
}

/** Takes a peer's word that a credential is limited at a target. */
export function hintLimited(provider: Provider, digest: string, label: string, untilMs: number): void {
  const credential = provider.credentials.find((each) => each.digest === digest);
  credential?.hintedUntilMs.set(label, untilMs);
}
