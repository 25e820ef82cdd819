/** Which limits apply to a request: resolved once per caller, traffic and route, then remembered. */
import type { Identity } from '../exchange/identity.ts';
import type { KeyLimitConfig } from '../exchange/key-limit.ts';
import { type Calendar, createCalendar } from './calendar.ts';
import { isSpentAtOnce } from './cost.ts';
import {
  applies,
  type CalendarOf,
  createRules,
  keyRule,
  type LimitsConfig,
  type Matter,
  type Rule,
  wholeOf,
} from './rule.ts';
import type { Opened, Scope, Scopes } from './scopes.ts';

/** The limits that apply to a caller, traffic and route. */
export interface Applied {
  readonly rules: RuleSet;
  /** Ids of their meters, in a separate array since a decision needs nothing else. */
  readonly ids: readonly number[];
  readonly scopes: readonly Scope[];
}

/** Rules that apply together; shared by all callers with the same rules. */
export interface RuleSet {
  readonly rules: readonly Rule[];
  /** Their names, each once. */
  readonly names: readonly string[];
  /** The rules that are settled after the reply, and their indices in `rules`. */
  readonly held: readonly Rule[];
  readonly heldAt: readonly number[];
  /** Whether any rule counts dollars. */
  readonly dollars: boolean;
  /** Whether any rule depends on the request's size. */
  readonly sized: boolean;
}

/** Finds the limits of requests. */
export interface Finder {
  /** Null: no limit applies. */
  find(matter: Matter, nowMs: number): Applied | null;
  /** The rule that this meter was opened for; null: there is none any more. */
  rule(opened: Opened): Rule | null;
  /** Forgets what `find` returned for a request, since one of its meters has been closed. */
  forget(matter: Matter): void;
  /** Adopts a new configuration. */
  update(config: LimitsConfig, nowMs: number): void;
}

/** Most callers, rule sets, and combinations of all callers remembered; forgotten ones are resolved again. */
const callersMax = 10_000;
const setsMax = 1000;
const combinationsMax = 100_000;

const none: readonly KeyLimitConfig[] = [];

/** One part of a caller's key, encoded so that a missing value equals no text. */
const part = (text: string | null): string => (text === null ? '' : `=${text}`);

/** The resolved limits of a caller; the last ones used are checked first. */
interface Sets {
  /** Limits of the caller's own key. */
  readonly limits: readonly KeyLimitConfig[];
  traffic: Matter['traffic'];
  route: string;
  model: string;
  last: Applied | null;
  readonly others: Map<string, Applied | null>;
}

/** @param wallClock Unix ms */
export function createFinder(first: LimitsConfig, scopes: Scopes, wallClock: () => number): Finder {
  const calendarOf = keepCalendars(wallClock);
  let config = first;
  let rules = createRules(first, calendarOf);
  let byModel = rules.some(({ match }) => match.model !== undefined);
  let keyRules = new WeakMap<KeyLimitConfig, Rule>();
  const ruleSets = new Map<string, RuleSet>();
  // Most often a caller is the same object in all its requests; otherwise it is found by its parts.
  let byIdentity = new WeakMap<Identity, Sets>();
  const byCaller = new Map<string, Sets>();
  // Upper bound of the combinations remembered for all callers.
  let combinations = 0;

  const forgetAll = (): void => {
    byIdentity = new WeakMap();
    byCaller.clear();
    combinations = 0;
  };

  const setsOf = (identity: Identity): Sets => {
    const near = byIdentity.get(identity);
    if (near !== undefined) return near;
    const { keyId, tenant, team, user, tags } = identity;
    const who = `${part(keyId)}\0${tenant}\0${part(team)}\0${part(user)}\0`;
    const caller = tags.length === 0 ? who : who + tags.join('\0');
    const limits = identity.limits ?? none;
    const found = byCaller.get(caller);
    // A reload or another process may lead to two keys with the same id, each with its own limits.
    const known =
      found?.limits === limits || (found?.limits.length === 0 && limits.length === 0) ? found : undefined;
    const sets: Sets = known ?? {
      limits,
      traffic: 'plain',
      route: '',
      model: '',
      last: null,
      others: new Map(),
    };
    if (known === undefined) {
      // The oldest is evicted; it is resolved again if it still sends requests.
      if (byCaller.size >= callersMax) byCaller.delete(byCaller.keys().next().value ?? '');
      byCaller.set(caller, sets);
    }
    byIdentity.set(identity, sets);
    return sets;
  };

  const ruleOfKey = (limit: KeyLimitConfig, keyId: string): Rule => {
    const known = keyRules.get(limit) ?? keyRule(limit, keyId, wholeOf(config));
    keyRules.set(limit, known);
    return known;
  };

  const resolve = (matter: Matter, nowMs: number): Applied | null => {
    const { limits = [], keyId } = matter.identity;
    const own = limits.map((limit) => ruleOfKey(limit, keyId ?? ''));
    const found = [...rules, ...own]
      .filter((rule) => applies(rule, matter))
      .flatMap((rule) => scopes.of(rule, matter, nowMs));
    if (found.length === 0) return null;
    const name = found.map(({ rule }) => rule.id).join('\0\0');
    const set = ruleSets.get(name) ?? ruleSetOf(found.map(({ rule }) => rule));
    if (ruleSets.size >= setsMax) ruleSets.clear();
    ruleSets.set(name, set);
    return { rules: set, ids: found.map(({ id }) => id), scopes: found };
  };

  const combinationOf = ({ traffic, route, model }: Matter): string =>
    `${traffic}\0${route}\0${byModel ? model : ''}`;

  return {
    find(matter, nowMs) {
      if (rules.length === 0 && (matter.identity.limits?.length ?? 0) === 0) return null;
      const sets = setsOf(matter.identity);
      const { traffic, route, model } = matter;
      if (sets.last !== null && sets.traffic === traffic && sets.route === route)
        if (!byModel || sets.model === model) return sets.last;
      const combination = combinationOf(matter);
      let applied = sets.others.get(combination);
      if (applied === undefined) {
        applied = resolve(matter, nowMs);
        if (combinations >= combinationsMax) forgetAll();
        combinations += 1;
        sets.others.set(combination, applied);
      }
      sets.traffic = traffic;
      sets.route = route;
      sets.model = model;
      sets.last = applied;
      return applied;
    },
    rule: ({ ruleId, ofKey }) =>
      ofKey === null
        ? (rules.find(({ id }) => id === ruleId) ?? null)
        : keyRule(ofKey.limit, ofKey.keyId, wholeOf(config)),
    forget(matter) {
      const sets = setsOf(matter.identity);
      sets.last = null;
      sets.others.delete(combinationOf(matter));
    },
    update(next, nowMs) {
      config = next;
      rules = createRules(next, calendarOf);
      byModel = rules.some(({ match }) => match.model !== undefined);
      keyRules = new WeakMap();
      forgetAll();
      ruleSets.clear();
      scopes.keep(new Map(rules.map((rule) => [rule.id, rule])), nowMs);
    },
  };
}

function ruleSetOf(rules: readonly Rule[]): RuleSet {
  const heldAt = rules.flatMap((rule, i) => (isSpentAtOnce(rule) ? [] : [i]));
  return {
    rules,
    names: [...new Set(rules.map(({ name }) => name))],
    held: heldAt.flatMap((i) => rules[i] ?? []),
    heldAt,
    dollars: rules.some(({ unit }) => unit === 'usd'),
    sized: rules.some(({ unit }) => unit !== 'requests' && unit !== 'concurrency'),
  };
}

/** One calendar per window and time zone, kept over reloads: a new one would read the time of day again. */
function keepCalendars(wallClock: () => number): CalendarOf {
  const calendars = new Map<string, Calendar>();
  return (window, timeZone) => {
    const key = `${window} ${timeZone}`;
    const known = calendars.get(key) ?? createCalendar(window, timeZone, wallClock);
    calendars.set(key, known);
    return known;
  };
}
