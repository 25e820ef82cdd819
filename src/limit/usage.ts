/** How far limits and budgets are used up, for people to look at. */
import type { Unit } from '../exchange/key-limit.ts';
import { meter } from '../native/meters.ts';
import type { Scope } from './scopes.ts';

/** One meter of a limit or budget. Amounts are in its unit; dollars are nano-dollars. */
export interface LimitUse {
  readonly name: string;
  /** Whom it counts for, as in messages. */
  readonly scope: string;
  readonly unit: Unit;
  readonly budget: boolean;
  readonly limit: number;
  readonly used: number;
  readonly remaining: number;
  /** When its calendar window ends, Unix ms; 0: it has none. */
  readonly endsMs: number;
  /** It only reports what it would refuse. */
  readonly observed: boolean;
}

/** Meters looked at: reading one is a call into the native core. */
const lookMax = 2000;

/** The fullest meters. @param nowMs monotonic ms */
export function usageOf(table: number, scopes: Iterable<Scope>, max: number, nowMs: number): LimitUse[] {
  const found: LimitUse[] = [];
  for (const scope of scopes) {
    if (found.length === lookMax) break;
    found.push(useOf(table, scope, nowMs));
  }
  return found.sort((a, b) => b.used / b.limit - a.used / a.limit).slice(0, max);
}

function useOf(table: number, { id, rule, place }: Scope, nowMs: number): LimitUse {
  const { calendar, capacity } = rule;
  // Moves the meter into the current window, even if no request has yet.
  if (calendar !== null) meter.restore(table, id, calendar.window(nowMs), 0);
  const remaining = Math.min(capacity, Math.max(0, meter.left(table, id, nowMs)));
  return {
    name: rule.name,
    scope: place.label,
    unit: rule.unit,
    budget: calendar !== null,
    limit: capacity,
    used: capacity - remaining,
    remaining,
    endsMs: calendar?.endsAt ?? 0,
    observed: rule.observed,
  };
}
