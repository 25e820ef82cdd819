/** Upstream limits: a provider's requests and tokens per minute, as meters of the native core. */

import {
  AskEntries,
  MeterAlgorithm,
  meter,
  meterAsk,
  openNamedMeter,
  SettleEntries,
} from '../native/meters.ts';
import type { ProviderConfig } from './settings.ts';

/** Upstream limits as configured; each may be absent. */
export type OwnLimits = NonNullable<ProviderConfig['limits']>;

/** Token buckets of one provider or target; null: that limit is not set. */
export interface Quota {
  /** The table of its meters; quotas that are checked together share one. */
  readonly table: number;
  readonly limits: OwnLimits;
  readonly requestsId: number | null;
  readonly tokensId: number | null;
}

/** Scratch space, used within one call only. */
const asks = new AskEntries();
const ends = new SettleEntries();

type Limited = keyof OwnLimits;

/**
 * Opens buckets, each with one minute's worth, less what is missing from those of before. A call that ends after its
 * bucket is closed settles nothing.
 * @param table id from `meter.openTable`
 * @param nowMs monotonic ms
 * @param name under which workers share it, as long as the limits are the same
 * @param known of before a change of the limits: it is closed, but for what stays the same
 */
export function openQuota(
  table: number,
  limits: OwnLimits,
  nowMs: number,
  name?: string,
  known: Quota | null = null,
): Quota {
  const open = (what: Limited, before: number | null): number | null => {
    const perMinute = limits[what];
    const perMinuteBefore = known?.limits[what];
    if (perMinute === perMinuteBefore) return before;
    const missing = before === null ? 0 : (perMinuteBefore ?? 0) - meter.left(table, before, nowMs);
    if (before !== null) meter.close(table, before);
    if (perMinute === undefined) return null;
    const shared = name && `${name} ${what} ${perMinute}`;
    const opened = openNamedMeter(
      shared,
      table,
      MeterAlgorithm.TokenBucket,
      perMinute,
      perMinute / 60,
      1,
      nowMs,
    );
    if (opened.fresh && missing > 0) {
      asks.clear();
      asks.ask(opened.id, Math.min(missing, perMinute), meterAsk.spent, 0, 0);
      asks.admit(table, 0, nowMs);
    }
    return opened.id;
  };
  return {
    table,
    limits,
    requestsId: open('requestsPerMinute', known?.requestsId ?? null),
    tokensId: open('tokensPerMinute', known?.tokensId ?? null),
  };
}

/** Closes the buckets. */
export function closeQuota({ table, requestsId, tokensId }: Quota): void {
  if (requestsId !== null) meter.close(table, requestsId);
  if (tokensId !== null) meter.close(table, tokensId);
}

/** Takes a request and reserves its tokens, in all quotas or none; returns 0, or the ms until there may be room. */
export function takeQuotas(quotas: readonly Quota[], tokens: number, nowMs: number): number {
  asks.clear();
  for (const quota of quotas) {
    // A request is spent when it is made, and refills from now on.
    if (quota.requestsId !== null) asks.ask(quota.requestsId, 1, meterAsk.spent, 0, 0);
    if (quota.tokensId !== null) asks.ask(quota.tokensId, reserved(quota, tokens), 0, 0, 0);
  }
  const answer = asks.admit(tableOf(quotas), 0, nowMs);
  return answer < 0 ? asks.waitMs(-answer - 1) : 0;
}

/** Whether `takeQuotas` would succeed now; takes nothing. */
export function haveRoom(quotas: readonly Quota[], tokens: number, nowMs: number): boolean {
  // The same tolerance for rounding as the meter's.
  const has = (table: number, id: number | null, cost: number): boolean =>
    id === null || meter.left(table, id, nowMs) >= cost * (1 - 1e-9);
  return quotas.every(
    (quota) =>
      has(quota.table, quota.requestsId, 1) && has(quota.table, quota.tokensId, reserved(quota, tokens)),
  );
}

/** Replaces reserved tokens by those actually used. */
export function settleQuotas(quotas: readonly Quota[], tokens: number, used: number, nowMs: number): void {
  ends.clear();
  for (const quota of quotas)
    if (quota.tokensId !== null) ends.settle(quota.tokensId, reserved(quota, tokens), used, 0);
  if (ends.length > 0) ends.end(tableOf(quotas), nowMs);
}

/** The table that the quotas share; any number if there is no quota, since then it isn't used. */
const tableOf = ([first]: readonly Quota[]): number => first?.table ?? 0;

/** Never more than the bucket holds: a larger request is allowed when the bucket is full. */
const reserved = ({ limits }: Quota, tokens: number): number => Math.min(tokens, limits.tokensPerMinute ?? 0);
