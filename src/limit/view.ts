/** What people see of limits and budgets: how much is used, left and leased, and when more becomes free. */
import type { Unit } from '../exchange/key-limit.ts';
import { lease, leaseEntry } from '../native/leases.ts';
import { meter } from '../native/meters.ts';
import { kindOf } from './headers.ts';
import type { Scope } from './scopes.ts';

/** One meter of a limit or budget. Amounts are in its unit; dollars as dollars. */
export interface LimitView {
  readonly limit: string;
  readonly kind: 'limit' | 'budget';
  readonly unit: Unit;
  /** Whose it is, as in error messages; empty: everyone's. */
  readonly scope: string;
  /** `shared`: all figures but `leasedHere` are those of all pods together, as this pod last heard. */
  readonly counts: 'shared' | 'pod';
  readonly capacity: number;
  readonly used: number;
  readonly left: number;
  /** Leased by this pod, and by all; null: not shared. */
  readonly leasedHere: number | null;
  readonly leasedAll: number | null;
  /** It only reports what it would refuse. */
  readonly observed: boolean;
  /** When more becomes free, as in RFC 3339; null: when requests in flight end, or steadily. */
  readonly freesAt: string | null;
}

/** A budget's gauges, in dollars. */
export interface BudgetGauge {
  readonly budget: string;
  /** Whose, or `others` for all beyond `budgetScopesMax`; `all` where scopes are users. */
  readonly scope: string;
  readonly limitUsd: number;
  readonly spentUsd: number;
}

/** Most scopes of one budget in metrics. */
export const budgetScopesMax = 100;
/** Most meters of one view, and of those among which the fullest are looked for: each is a call into the core. */
export const viewMax = 10_000;
export const lookMax = 2000;

const seen = new Float64Array(leaseEntry.view);

/** @param wallMs Unix ms now, from which times are counted */
function viewOf(table: number, { id, rule, place }: Scope, nowMs: number, wallMs: number): LimitView {
  const measure = rule.unit === 'usd' ? 1e9 : 1;
  // Has a budget enter its window, which no request may have done yet.
  if (rule.calendar !== null) meter.restore(table, id, rule.calendar.window(nowMs), 0);
  const shared = rule.shared && lease.view(table, id, seen, nowMs);
  const left = meter.left(table, id, nowMs);
  const [used = 0, sharedLeft = 0, here = 0, all = 0, frees = 0] = shared
    ? seen
    : [rule.capacity - left, left];
  const freesMs = rule.calendar === null ? frees - nowMs : rule.calendar.leftMs(nowMs);
  return {
    limit: rule.name,
    kind: kindOf(rule),
    unit: rule.unit,
    scope: place.label,
    counts: rule.shared ? 'shared' : 'pod',
    capacity: rule.capacity / measure,
    used: used / measure,
    left: Math.max(0, sharedLeft) / measure,
    leasedHere: shared ? here / measure : null,
    leasedAll: shared ? all / measure : null,
    observed: rule.observed,
    freesAt: freesMs > 0 ? new Date(wallMs + freesMs).toISOString() : null,
  };
}

/** Views of meters, up to `max`. */
export function viewsOf(
  table: number,
  scopes: Iterable<Scope>,
  max: number,
  nowMs: number,
  wallMs: number,
): LimitView[] {
  const views: LimitView[] = [];
  for (const scope of scopes) {
    if (views.length === max) break;
    views.push(viewOf(table, scope, nowMs, wallMs));
  }
  return views;
}

/** The fullest of them. */
export const fullest = (views: readonly LimitView[], max: number): LimitView[] =>
  views.toSorted((a, b) => b.used / b.capacity - a.used / a.capacity).slice(0, max);

/** Gauges of all budgets, within bounds. */
export function budgetGauges(table: number, scopes: Iterable<Scope>, nowMs: number): BudgetGauge[] {
  const gauges = new Map<string, { budget: string; scope: string; limitUsd: number; spentUsd: number }>();
  const counts = new Map<string, number>();
  for (const scope of scopes) {
    const { rule, place } = scope;
    if (rule.calendar === null) continue;
    const before = counts.get(rule.name) ?? 0;
    counts.set(rule.name, before + 1);
    // Users come from headers, and are nobody's business in metrics.
    const name = rule.per.includes('user')
      ? 'all'
      : before < budgetScopesMax
        ? place.label || 'all'
        : 'others';
    const { used, capacity } = viewOf(table, scope, nowMs, 0);
    const key = `${rule.name}\0${name}`;
    const gauge = gauges.get(key) ?? { budget: rule.name, scope: name, limitUsd: 0, spentUsd: 0 };
    gauge.limitUsd += capacity;
    gauge.spentUsd += used;
    gauges.set(key, gauge);
  }
  return [...gauges.values()];
}
