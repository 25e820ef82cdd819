/** Rules: configured limits and dollar budgets, prepared for decisions. */
import { matchesPattern } from '../base/pattern.ts';
import { type Algorithm, algorithms, rateOf } from '../exchange/algorithm.ts';
import type { Identity } from '../exchange/identity.ts';
import type { KeyLimitConfig, Traffic, Unit } from '../exchange/key-limit.ts';
import type { Calendar } from './calendar.ts';
import type { BudgetConfig, LimitConfig, ScopeName, WindowName } from './settings.ts';

/** A limit or dollar budget. Amounts are in the meter's unit: the configured unit, or nano-dollars. */
export interface Rule {
  /** Unique; a limit of virtual keys has one for each key. */
  readonly id: string;
  readonly name: string;
  readonly unit: Unit;
  readonly unitSize: number;
  readonly algorithm: Algorithm;
  readonly capacity: number;
  /** Refill or drain per second, or the window's length in ms; 0: none. */
  readonly rate: number;
  readonly softShare: number;
  readonly per: readonly ScopeName[];
  /** Patterns by the name of the property they match; a missing one matches all. */
  readonly match: Readonly<Partial<Record<MatchName, readonly string[]>>>;
  readonly traffic: Traffic | null;
  readonly observed: boolean;
  readonly stops: boolean;
  readonly allowsUnpriced: boolean;
  /** Whether all pods together have the capacity. */
  readonly shared: boolean;
  /** Of a dollar budget; null: a limit. */
  readonly calendar: Calendar | null;
  /** Capacity and rate for messages: `100, refilled at 10/s`. */
  readonly terms: string;
  /** Meters are kept when a changed rule has the same shape. */
  readonly shape: string;
  /** The virtual key whose limit it is; null: it is of the configuration. */
  readonly ofKey: OfKey | null;
}

/** A limit of a virtual key. */
export interface OfKey {
  readonly limit: KeyLimitConfig;
  readonly keyId: string;
}

/** A property of a request that a rule may match. */
export type MatchName = ScopeName | 'model';

/** The properties by which rules match a request. */
export interface Matter {
  readonly identity: Identity;
  /** The route's name or pattern as configured. */
  readonly route: string;
  readonly model: string;
  readonly traffic: Traffic;
}

/** The part of a configuration with limits and dollar budgets. */
export interface LimitsConfig {
  readonly mode: 'enforce' | 'observe';
  readonly limits: readonly LimitConfig[];
  readonly budgets: readonly BudgetConfig[];
  readonly sync: { readonly redis?: string | undefined; readonly podsExpected: number };
}

/** What all rules of a configuration depend on. */
export interface Whole {
  /** Whether the whole gateway only observes limits. */
  readonly observes: boolean;
  /** Whether pods can share limits. */
  readonly meets: boolean;
}

/** What all rules of a configuration depend on. */
export const wholeOf = ({ mode, sync }: LimitsConfig): Whole => ({
  observes: mode === 'observe',
  meets: sync.redis !== undefined,
});

/** The calendar kept for a window and time zone. */
export type CalendarOf = (window: WindowName, timeZone: string) => Calendar;

const nanoPerUsd = 1e9;
/** Whole nano-dollars, rounded since decimal fractions are inexact; at least 1. */
const nanoOf = (usd: number): number => Math.max(1, Math.round(usd * nanoPerUsd));

/** All rules of a configuration except those of virtual keys. */
export function createRules(config: LimitsConfig, calendarOf: CalendarOf): Rule[] {
  const whole = wholeOf(config);
  return [
    ...config.limits.map((limit) => limitRule(limit, limit, `limit\0${limit.name}`, whole)),
    ...config.budgets.map((budget) => budgetRule(budget, whole, calendarOf)),
  ];
}

/** The rule for a limit of one virtual key. */
export function keyRule(limit: KeyLimitConfig, keyId: string, whole: Whole): Rule {
  const rule = limitRule(limit, { per: ['key'], match: {} }, `key\0${keyId}\0${limit.name}`, whole);
  return { ...rule, ofKey: { limit, keyId } };
}

function limitRule(
  limit: KeyLimitConfig,
  { per, match }: Pick<LimitConfig, 'per' | 'match'>,
  id: string,
  whole: Whole,
): Rule {
  const { name, unit, unitSize } = limit;
  const algorithm = unit === 'concurrency' ? 'concurrency' : limit.algorithm;
  const row: Algorithm = algorithms[algorithm];
  const windowed = row.rateFrom === 'windowSeconds';
  const rate = rateOf(row, limit) * (unit === 'usd' && !windowed ? nanoPerUsd : 1);
  const capacity = unit === 'usd' ? nanoOf(limit.capacity) : limit.capacity;
  return {
    id,
    name,
    unit,
    unitSize: unit === 'usd' || unit === 'concurrency' ? 1 : unitSize,
    algorithm: row,
    capacity,
    rate,
    ...common(limit, { per, match }, whole),
    calendar: null,
    terms: `${amountText(unit, capacity)}${paceText(row, unit, rate)}`,
    shape: JSON.stringify([algorithm, unit, unitSize, per, windowed ? rate : 0, isShared(limit, whole)]),
    ofKey: null,
  };
}

function budgetRule(budget: BudgetConfig, whole: Whole, calendarOf: CalendarOf): Rule {
  const { name, usd, window, timeZone, per } = budget;
  return {
    id: `budget\0${name}`,
    name,
    unit: 'usd',
    unitSize: 1,
    algorithm: algorithms.budget,
    capacity: nanoOf(usd),
    rate: 0,
    ...common(budget, budget, whole),
    calendar: calendarOf(window, timeZone),
    terms: `${amountText('usd', nanoOf(usd))} ${window === 'hour' ? 'an' : 'a'} ${window}`,
    shape: JSON.stringify(['budget', window, timeZone, per, isShared(budget, whole)]),
    ofKey: null,
  };
}

const isShared = ({ scope }: KeyLimitConfig | BudgetConfig, { meets }: Whole): boolean =>
  meets && scope !== 'pod';

function common(
  config: KeyLimitConfig | BudgetConfig,
  { per, match }: Pick<LimitConfig, 'per' | 'match'>,
  whole: Whole,
) {
  const lists: Partial<Record<MatchName, readonly string[]>> = {};
  for (const [key, value] of Object.entries(match))
    if (value !== undefined) lists[key as MatchName] = Array.isArray(value) ? value : [value];
  return {
    softShare: config.softShare,
    per,
    match: lists,
    traffic: config.traffic ?? null,
    observed: whole.observes || config.mode === 'observe',
    shared: isShared(config, whole),
    stops: config.onHardEnd === 'stop',
    allowsUnpriced: config.unpriced === 'allow',
  };
}

function paceText({ rateFrom, pace }: Algorithm, unit: Unit, rate: number): string {
  if (rateFrom === null) return ` ${pace}`;
  if (rateFrom === 'windowSeconds') return ` ${pace} ${rate / 1000} s`;
  return `, ${pace} ${amountText(unit, rate)}/s`;
}

/** An amount for messages: in dollars, or a number. */
export function amountText(unit: Unit, amount: number): string {
  if (unit !== 'usd') return String(amount);
  const usd = amount / nanoPerUsd;
  return `$${usd >= 0.01 || usd === 0 ? Number(usd.toFixed(2)) : Number(usd.toPrecision(2))}`;
}

/** Whether a rule applies to a request. */
export function applies({ match, traffic }: Rule, matter: Matter): boolean {
  if (traffic !== null && traffic !== matter.traffic) return false;
  for (const name in match) {
    const patterns = match[name as MatchName];
    if (patterns !== undefined && !patterns.some((pattern) => fits(pattern, name as MatchName, matter)))
      return false;
  }
  return true;
}

/** Whether a property matches a pattern. A `*` alone matches any value that is present. */
function fits(pattern: string, name: MatchName, matter: Matter): boolean {
  const one = (value: string | null): boolean => value !== null && matchesPattern(pattern, value);
  const { identity } = matter;
  switch (name) {
    case 'tag':
      return identity.tags.some(one);
    case 'key':
      return one(identity.keyId);
    case 'route':
    case 'model':
      return one(matter[name]);
    case 'tenant':
    case 'team':
    case 'user':
      return one(identity[name]);
  }
}

/** The values a meter is kept for, as a key for tables and as a label for people. */
export interface MeterValues {
  readonly key: string;
  readonly label: string;
}

/**
 * The meters of a request under a rule: one, or one for each tag. A missing value counts as a value, so that nobody can
 * evade a limit by omitting a header.
 */
export function meterValuesOf(rule: Rule, matter: Matter): MeterValues[] {
  const byTag = rule.per.includes('tag');
  const tags: readonly (string | null)[] =
    byTag && matter.identity.tags.length > 0 ? [...new Set(matter.identity.tags)] : [null];
  return tags.map((tag) => {
    const values = rule.per.map((name) => [name, namedBy(name, matter, tag)] as const);
    return {
      key: values.map(([, value]) => (value === null ? '' : `=${value}`)).join('\0'),
      label: values.map(([name, value]) => (value === null ? `no ${name}` : `${name} "${value}"`)).join(', '),
    };
  });
}

function namedBy(name: ScopeName, { identity, route }: Matter, tag: string | null): string | null {
  switch (name) {
    case 'key':
      return identity.keyId;
    case 'tag':
      return tag;
    case 'route':
      return route;
    default:
      return identity[name];
  }
}
