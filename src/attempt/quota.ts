/** What a provider lets us ask for: its own requests and tokens per minute, kept in token buckets of the native core. */
import type { ProviderConfig } from '../config/schema.ts';
import { bucket } from '../native.ts';

/** Limits as configured; each may be absent. */
export type OwnLimits = NonNullable<ProviderConfig['limits']>;

/** Buckets of one provider or target; null: that limit is not set. */
export interface Quota {
  readonly limits: OwnLimits;
  readonly requestsId: number | null;
  readonly tokensId: number | null;
}

const perSecond = (perMinute: number): number => perMinute / 60;

/** Opens full buckets, a minute's worth each. */
export function openQuota(limits: OwnLimits, nowMs: number): Quota {
  const open = (perMinute: number | undefined): number | null =>
    perMinute === undefined ? null : bucket.open(perMinute, perSecond(perMinute), nowMs);
  return { limits, requestsId: open(limits.requestsPerMinute), tokensId: open(limits.tokensPerMinute) };
}

export function closeQuota({ requestsId, tokensId }: Quota): void {
  if (requestsId !== null) bucket.close(requestsId);
  if (tokensId !== null) bucket.close(tokensId);
}

/** A reserve never asks for more than the bucket holds: a request larger than that goes when the bucket is full. */
const reserved = (quota: Quota, tokens: number): number =>
  Math.min(tokens, quota.limits.tokensPerMinute ?? 0);

/** Reserves a request and its tokens; 0, or the ms to wait until both could be had. */
export function reserveQuota(quota: Quota, tokens: number, nowMs: number): number {
  const { requestsId, tokensId } = quota;
  const requestWaitMs = requestsId === null ? 0 : bucket.take(requestsId, 1, nowMs);
  if (requestWaitMs !== 0) return requestWaitMs;
  const tokenWaitMs = tokensId === null ? 0 : bucket.take(tokensId, reserved(quota, tokens), nowMs);
  if (tokenWaitMs !== 0 && requestsId !== null) bucket.settle(requestsId, 1, 0, nowMs);
  return tokenWaitMs;
}

/** Gives a reserve back: no call is made. */
export function returnQuota(quota: Quota, tokens: number, nowMs: number): void {
  if (quota.requestsId !== null) bucket.settle(quota.requestsId, 1, 0, nowMs);
  settleQuota(quota, tokens, 0, nowMs);
}

/** Spends the reserved request, as its call is made: it refills from now on. */
export function spendQuota({ requestsId }: Quota, nowMs: number): void {
  if (requestsId !== null) bucket.settle(requestsId, 1, 1, nowMs);
}

/** Ends the reserve of tokens with what was used. */
export function settleQuota(quota: Quota, tokens: number, usedTokens: number, nowMs: number): void {
  if (quota.tokensId !== null) bucket.settle(quota.tokensId, reserved(quota, tokens), usedTokens, nowMs);
}
