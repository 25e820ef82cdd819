/** What the configuration says of one limit or budget, made ready for decisions. */
import type { Identity } from '../exchange/identity.ts';
import type { KeyLimitConfig, Traffic, Unit } from '../exchange/key-limit.ts';
import { meterAlgorithm } from '../native/meters.ts';
import type { Calendar } from './calendar.ts';
import type { BudgetConfig, LimitConfig, ScopeName, WindowName } from './settings.ts';

/** A limit or budget. Amounts are in the meter's own measure: cost, or nano-dollars. */
export interface Rule {
  /** Tells it from every other; a limit of a key has its own for each key. */
  readonly id: string;
  readonly name: string;
  readonly unit: Unit;
  readonly unitSize: number;
  readonly algorithm: number;
  readonly capacity: number;
  /** Refill or drain per second, or the window's ms; 0: it has none. */
  readonly rate: number;
  readonly softShare: number;
  readonly per: readonly ScopeName[];
  /** By the names of what is matched; a missing one matches all. */
  readonly match: Readonly<Partial<Record<MatchName, readonly string[]>>>;
  readonly traffic: Traffic | null;
  readonly observed: boolean;
  readonly stops: boolean;
  readonly allowsUnpriced: boolean;
  /** Of a budget. */
  readonly calendar: Calendar | null;
  /** Capacity and pace as a message says them: `100, refilled at 10/s`. */
  readonly said: string;
  /** Meters are kept over a change of the rule that leaves this the same. */
  readonly shape: string;
}

export type MatchName = ScopeName | 'model';

/** What a request is matched by. */
export interface Matter {
  readonly identity: Identity;
  /** The route's name or pattern as configured. */
  readonly route: string;
  readonly model: string;
  readonly traffic: Traffic;
}

/** The part of a configuration that says what may be spent. */
export interface LimitsConfig {
  readonly mode: 'enforce' | 'observe';
  readonly limits: readonly LimitConfig[];
  readonly budgets: readonly BudgetConfig[];
}

export type CalendarOf = (window: WindowName, timeZone: string) => Calendar;

const nanoPerUsd = 1e9;
/** Whole nano-dollars, which a decimal fraction may miss by a hair. */
const nanoOf = (usd: number): number => Math.max(1, Math.round(usd * nanoPerUsd));

/** All rules of a configuration but those of keys. @param calendarOf the calendar kept for a window and time zone */
export function createRules({ mode, limits, budgets }: LimitsConfig, calendarOf: CalendarOf): Rule[] {
  const gate = mode === 'observe';
  return [
    ...limits.map((limit) => limitRule(limit, limit, `limit\0${limit.name}`, gate)),
    ...budgets.map((budget) => budgetRule(budget, gate, calendarOf)),
  ];
}

/** A limit that one key carries. @param gateObserves the whole gateway lets pass */
export function keyRule(limit: KeyLimitConfig, keyId: string, gateObserves: boolean): Rule {
  return limitRule(limit, { per: ['key'], match: {} }, `key\0${keyId}\0${limit.name}`, gateObserves);
}

function limitRule(
  limit: KeyLimitConfig,
  { per, match }: Pick<LimitConfig, 'per' | 'match'>,
  id: string,
  gateObserves: boolean,
): Rule {
  const { name, unit, unitSize, refillPerSecond, windowSeconds } = limit;
  const algorithm = unit === 'concurrency' ? 'concurrency' : limit.algorithm;
  const measure = unit === 'usd' ? nanoPerUsd : 1;
  const rate =
    algorithm === 'concurrency'
      ? 0
      : algorithm === 'sliding_window'
        ? (windowSeconds ?? 0) * 1000
        : (refillPerSecond ?? 0) * measure;
  const pace =
    algorithm === 'concurrency'
      ? 'at once'
      : algorithm === 'sliding_window'
        ? `in ${windowSeconds} s`
        : `${algorithm === 'leaky_bucket' ? 'drained' : 'refilled'} at ${amountText(unit, rate)}/s`;
  const capacity = unit === 'usd' ? nanoOf(limit.capacity) : limit.capacity;
  const comma = algorithm === 'token_bucket' || algorithm === 'leaky_bucket' ? ',' : '';
  return {
    id,
    name,
    unit,
    unitSize: unit === 'usd' || unit === 'concurrency' ? 1 : unitSize,
    algorithm: meterAlgorithm[algorithm],
    capacity,
    rate,
    ...common(limit, { per, match }, gateObserves),
    calendar: null,
    said: `${amountText(unit, capacity)}${comma} ${pace}`,
    shape: JSON.stringify([algorithm, unit, unitSize, per, algorithm === 'sliding_window' ? rate : 0]),
  };
}

function budgetRule(budget: BudgetConfig, gateObserves: boolean, calendarOf: CalendarOf): Rule {
  const { name, usd, window, timeZone, per } = budget;
  return {
    id: `budget\0${name}`,
    name,
    unit: 'usd',
    unitSize: 1,
    algorithm: meterAlgorithm.budget,
    capacity: nanoOf(usd),
    rate: 0,
    ...common(budget, budget, gateObserves),
    calendar: calendarOf(window, timeZone),
    said: `${amountText('usd', nanoOf(usd))} ${window === 'hour' ? 'an' : 'a'} ${window}`,
    shape: JSON.stringify(['budget', window, timeZone, per]),
  };
}

function common(
  config: KeyLimitConfig | BudgetConfig,
  { per, match }: Pick<LimitConfig, 'per' | 'match'>,
  gateObserves: boolean,
) {
  const lists: Partial<Record<MatchName, readonly string[]>> = {};
  for (const [key, value] of Object.entries(match))
    if (value !== undefined) lists[key as MatchName] = Array.isArray(value) ? value : [value];
  return {
    softShare: config.softShare,
    per,
    match: lists,
    traffic: config.traffic ?? null,
    observed: gateObserves || config.mode === 'observe',
    stops: config.onHardEnd === 'stop',
    allowsUnpriced: config.unpriced === 'allow',
  };
}

/** An amount as a message says it: dollars, or a number. */
export function amountText(unit: Unit, amount: number): string {
  if (unit !== 'usd') return String(amount);
  const usd = amount / nanoPerUsd;
  return `$${usd >= 0.01 || usd === 0 ? Number(usd.toFixed(2)) : Number(usd.toPrecision(2))}`;
}

/** Whether a rule is about a request. */
export function applies({ match, traffic }: Rule, matter: Matter): boolean {
  if (traffic !== null && traffic !== matter.traffic) return false;
  for (const name in match) {
    const patterns = match[name as MatchName];
    if (patterns !== undefined && !patterns.some((pattern) => fits(pattern, name as MatchName, matter)))
      return false;
  }
  return true;
}

/** A `*` alone asks that there be a value. */
function fits(pattern: string, name: MatchName, matter: Matter): boolean {
  const prefix = pattern.endsWith('*') ? pattern.slice(0, -1) : null;
  const one = (value: string | null): boolean =>
    value !== null && (prefix === null ? value === pattern : value.startsWith(prefix));
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

/** One meter's place: the values it is kept for, as its key in the tables and as people read it. */
export interface Place {
  readonly key: string;
  readonly label: string;
}

/**
 * The places of a request under a rule: one, or one for each tag. A value that is missing is a value of its own, so
 * that nobody gets around a limit by leaving a header out.
 */
export function placesOf(rule: Rule, matter: Matter): Place[] {
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
