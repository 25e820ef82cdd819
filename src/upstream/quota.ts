/** What a provider lets us ask for: its own requests and tokens per minute, kept in meters of the native core. */

import { meter, meterAlgorithm, meterAsk, meterEntry } from '../native/meters.ts';
import type { ProviderConfig } from './settings.ts';

/** Limits as configured; each may be absent. */
export type OwnLimits = NonNullable<ProviderConfig['limits']>;

/** Token buckets of one provider or target; null: that limit is not set. */
export interface Quota {
  readonly limits: OwnLimits;
  readonly requestsId: number | null;
  readonly tokensId: number | null;
}

/** All of them; calls that end after theirs is closed settle nothing. */
const table = meter.openTable();
/** A call is subject to two limits of its target and two of its provider at most. */
const entries = new Float64Array(4 * Math.max(meterEntry.admit, meterEntry.settle));

/** Opens full buckets, a minute's worth each. */
export function openQuota(limits: OwnLimits, nowMs: number): Quota {
  const open = (perMinute: number | undefined): number | null =>
    perMinute === undefined
      ? null
      : meter.open(table, meterAlgorithm.token_bucket, perMinute, perMinute / 60, 1, nowMs);
  return { limits, requestsId: open(limits.requestsPerMinute), tokensId: open(limits.tokensPerMinute) };
}

export function closeQuota({ requestsId, tokensId }: Quota): void {
  if (requestsId !== null) meter.close(table, requestsId);
  if (tokensId !== null) meter.close(table, tokensId);
}

/** Takes a request, and reserves its tokens, of all quotas or of none; 0, or the ms to wait until there may be room. */
export function takeQuotas(quotas: readonly Quota[], tokens: number, nowMs: number): number {
  let count = 0;
  const ask = (id: number | null, cost: number, flags: number): void => {
    if (id !== null) entries.set([id, cost, 0, 0, flags], meterEntry.admit * count++);
  };
  for (const quota of quotas) {
    // A request that is made is spent, and refills from now on.
    ask(quota.requestsId, 1, meterAsk.spent);
    ask(quota.tokensId, reserved(quota, tokens), 0);
  }
  const answer = meter.admit(table, entries, count, 0, nowMs);
  return answer < 0 ? (entries[meterEntry.admit * (-answer - 1) + 1] ?? 0) : 0;
}

/** Whether `takeQuotas` would take it all now; takes nothing. */
export function haveRoom(quotas: readonly Quota[], tokens: number, nowMs: number): boolean {
  // As much may be missing by rounding as the meter forgives.
  const has = (id: number | null, cost: number): boolean =>
    id === null || meter.left(table, id, nowMs) >= cost * (1 - 1e-9);
  return quotas.every((quota) => has(quota.requestsId, 1) && has(quota.tokensId, reserved(quota, tokens)));
}

/** Ends the reserves of tokens with what was used. */
export function settleQuotas(quotas: readonly Quota[], tokens: number, used: number, nowMs: number): void {
  let count = 0;
  for (const quota of quotas) {
    if (quota.tokensId === null) continue;
    entries.set([quota.tokensId, reserved(quota, tokens), used, 0], meterEntry.settle * count++);
  }
  if (count > 0) meter.settle(table, entries, count, nowMs);
}

/** A reserve never asks for more than the bucket holds: a request larger than that goes when the bucket is full. */
const reserved = ({ limits }: Quota, tokens: number): number => Math.min(tokens, limits.tokensPerMinute ?? 0);
