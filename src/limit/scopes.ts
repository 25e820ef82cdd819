/** The meters in use: one per rule and combination of values, bounded; dollar budgets are remembered for restarts. */
import { type ChangedBudget, changedBudgets, meter, openNamedMeter, sweepMeters } from '../native/meters.ts';
import { type Matter, type MeterValues, meterValuesOf, type OfKey, type Rule } from './rule.ts';
import type { SharedMeters } from './shared.ts';

/** A meter in use. */
export interface Scope {
  readonly id: number;
  readonly rule: Rule;
  readonly place: MeterValues;
}

/** What was spent of a dollar budget in a window: the row that survives a restart. */
export interface SpentRow {
  /** The budget's name. */
  readonly budget: string;
  /** `key` of the meter's values. */
  readonly place: string;
  /** Id of the window. */
  readonly window: number;
  /** Nano-dollars spent or reserved. */
  readonly nanoUsd: number;
}

/** A meter that a worker opened, as the others are told of it. */
export interface Opened {
  readonly ruleId: string;
  readonly ofKey: OfKey | null;
  readonly place: MeterValues;
  /** What the worker remembered of a dollar budget, and added to it, nano-dollars. */
  readonly restored: number;
}

/** The other workers. Each opens the meters of its own requests; of one name there is one. */
export interface Others {
  /** This worker takes part in all meters, so that they are seen, saved and leased here. */
  readonly leads: boolean;
  /** A meter was opened that they share. */
  opened(opened: Opened): void;
  /** There is no room here for one more, but some that they hold may be idle. */
  full(): void;
}

/** The meters of all rules. */
export interface Scopes {
  readonly size: number;
  /** All meters, those opened or checked longest ago first. */
  all(): Iterable<Scope>;
  /** The meters of a request under a rule, opened if needed. */
  of(rule: Rule, matter: Matter, nowMs: number): Scope[];
  /**
   * Takes part in a meter that another worker opened, even beyond the maximum: nobody else leases it or saves its budget.
   * @param restored as in `Opened`
   */
  join(rule: Rule, place: MeterValues, restored: number, nowMs: number): void;
  /** Lets go of idle meters among those checked longest ago; false: there are none. */
  sweep(nowMs: number): boolean;
  /**
   * Has meters follow their rules, and closes those of rules that were removed or changed their shape. A dollar budget continues where it was if it is
   * removed and added again within its window, or if pods share it from now on, or no more.
   * @param rules the current ones, by their ids
   */
  keep(rules: ReadonlyMap<string, Rule>, nowMs: number): void;
  /** Up to `max` rows of dollar budgets that have changed since the last call. */
  changed(max: number): SpentRow[];
}

/** Most meters kept. User names come from headers, so beyond this bound new values share one meter per limit. */
export const scopesMax = 100_000;
/** Meters checked for idleness in one sweep. */
const sweepMax = 1000;
/** So often a budget that changed is looked for. */
const looksMax = 100;
/** Shortest time to the next sweep after one that found no idle meter. */
const sweepPauseMs = 100;

const overflowPlace: MeterValues = {
  key: '\0overflow',
  label: 'all values beyond the maximum number of meters',
};

/**
 * @param table id from `meter.openTable`
 * @param max most meters kept
 * @param saved rows from before a restart; each is used when its meter is first opened
 * @param shared keeps the leases of meters that pods share
 * @param onOverflow called with the rule when a new value has to share a meter
 * @param others null: there are none
 */
export function createScopes(
  table: number,
  max: number,
  saved: Iterable<SpentRow>,
  shared: SharedMeters,
  onOverflow: (rule: Rule) => void,
  others: Others | null = null,
): Scopes {
  // In the order of their last sweep, oldest first.
  const scopes = new Map<string, Scope>();
  const budgets = new Map<number, Scope>();
  const remembered = new Map<string, SpentRow>();
  for (const row of saved) remembered.set(`budget\0${row.budget}\0${row.place}`, row);
  // What removed dollar budgets had spent, until it is reported by `changed`.
  const ended = new Map<string, SpentRow>();
  const latecomers = createLatecomers();
  const leads = others === null || others.leads;
  let noSweepUntilMs = 0;

  const forget = (key: string, { id }: Scope): void => {
    scopes.delete(key);
    budgets.delete(id);
    shared.closed(id);
  };

  const close = (key: string, scope: Scope): void => {
    forget(key, scope);
    meter.close(table, scope.id);
  };

  const open = (rule: Rule, place: MeterValues, key: string, nowMs: number): Scope => {
    const { algorithm, capacity, rate, softShare, calendar } = rule;
    const name = others === null ? undefined : `${rule.id}\0${rule.shape}\0${place.key}`;
    const { id, fresh } = openNamedMeter(name, table, algorithm.meter, capacity, rate, softShare, nowMs);
    const scope = { id, rule, place };
    scopes.set(key, scope);
    if (rule.shared) shared.open(scope, nowMs);
    if (calendar !== null) budgets.set(id, scope);
    const restored = fresh ? resume(table, remembered, key, scope, 0, nowMs) : 0;
    if (fresh) others?.opened({ ruleId: rule.id, ofKey: rule.ofKey, place, restored });
    // The worker that opened it says what it has added; this one may know of more.
    else if (!leads) remembered.delete(key);
    return scope;
  };

  /** Remembers what a dollar budget has spent in its window, before its meter is closed. */
  const remember = (key: string, scope: Scope, nowMs: number): void => {
    const row = spentOf(table, shared, scope, nowMs);
    if (row === null) return;
    for (const rows of [remembered, ended]) {
      if (rows.size >= max) rows.delete(rows.keys().next().value ?? '');
      rows.set(key, row);
    }
  };

  const sweep = (nowMs: number): boolean => {
    const looked: (readonly [string, Scope])[] = [];
    for (const entry of scopes) {
      if (looked.length === sweepMax) break;
      looked.push(entry);
    }
    const meters = looked.map(([, { id, rule }]) => ({ id, window: rule.calendar?.window(nowMs) ?? 0 }));
    const gone = sweepMeters(table, meters, leads, nowMs);
    looked.forEach(([key, scope], i) => {
      forget(key, scope);
      if (gone[i] !== true) keepScope(key, scope);
    });
    return gone.includes(true);
  };
  const keepScope = (key: string, scope: Scope): void => {
    scopes.set(key, scope);
    if (scope.rule.shared) shared.keep(scope);
    if (scope.rule.calendar !== null) budgets.set(scope.id, scope);
  };

  const follow = (key: string, scope: Scope, rule: Rule, nowMs: number): Scope => {
    const changed = followed(table, scope, rule, nowMs);
    keepScope(key, changed);
    return changed;
  };

  const roomFor = (nowMs: number): boolean => {
    if (scopes.size < max) return true;
    if (nowMs < noSweepUntilMs) return false;
    const freed = sweep(nowMs);
    if (!freed) others?.full();
    // Meters that were joined may be more than the maximum: not each one that comes looks through a thousand.
    if (!freed || scopes.size >= max) noSweepUntilMs = nowMs + sweepPauseMs;
    return freed;
  };

  /** @param bounded false: there is always room */
  const at = (rule: Rule, place: MeterValues, bounded: boolean, nowMs: number): Scope => {
    const key = keyOf(rule, place);
    const known = scopes.get(key);
    if (known?.rule === rule) return known;
    if (known?.rule.shape === rule.shape) return follow(key, known, rule, nowMs);
    if (known !== undefined) close(key, known);
    // One that is joined makes room, too, but comes in without it.
    if (place.key !== overflowPlace.key && !roomFor(nowMs) && bounded) {
      onOverflow(rule);
      return at(rule, overflowPlace, bounded, nowMs);
    }
    return open(rule, place, key, nowMs);
  };

  return {
    get size() {
      return scopes.size;
    },
    all: () => scopes.values(),
    of(rule, matter, nowMs) {
      const found = meterValuesOf(rule, matter).map((place) => at(rule, place, true, nowMs));
      // Tags beyond the bound share one meter, which is checked once.
      return found.length === 1 ? found : [...new Set(found)];
    },
    join(rule, place, already, nowMs) {
      resume(table, remembered, keyOf(rule, place), at(rule, place, false, nowMs), already, nowMs);
    },
    sweep,
    keep(rules, nowMs) {
      for (const [key, scope] of scopes) {
        // A key's limits come with the requests that it makes.
        if (scope.rule.ofKey !== null) continue;
        const now = rules.get(scope.rule.id);
        if (now?.shape === scope.rule.shape) follow(key, scope, now, nowMs);
        else {
          if (now === undefined || continues(scope.rule, now)) remember(key, scope, nowMs);
          close(key, scope);
        }
      }
    },
    changed(most) {
      const rows: SpentRow[] = [];
      // These come first, since a meter may have continued from one of them.
      for (const [key, row] of ended) {
        ended.delete(key);
        if (rows.push(row) === most) return rows;
      }
      const add = ({ id, window, spent }: ChangedBudget): boolean => {
        const scope = budgets.get(id);
        if (scope === undefined) return false;
        rows.push({ budget: scope.rule.name, place: scope.place.key, window, nanoUsd: spent });
        return true;
      };
      latecomers.tryAll(add, most - rows.length);
      for (const change of changedBudgets(table, most - rows.length))
        if (!add(change) && others !== null) latecomers.keep(change);
      return rows;
    },
  };
}

const keyOf = (rule: Rule, place: MeterValues): string => `${rule.id}\0${place.key}`;

/** What a dollar budget has spent in its window; null: it is none, or nothing. */
function spentOf(
  table: number,
  shared: SharedMeters,
  { id, rule, place }: Scope,
  nowMs: number,
): SpentRow | null {
  if (rule.calendar === null) return null;
  const window = rule.calendar.window(nowMs);
  // Moves the meter into the current window, even if no request has yet.
  meter.restore(table, id, window, 0);
  const nanoUsd = rule.shared ? shared.spent(id, nowMs) : rule.capacity - meter.left(table, id, nowMs);
  return nanoUsd <= 0 ? null : { budget: rule.name, place: place.key, window, nanoUsd };
}

/** A meter that goes on with its changed rule, which counts as before. */
function followed(table: number, { id, rule: before, place }: Scope, rule: Rule, nowMs: number): Scope {
  const { capacity, rate, softShare } = rule;
  if (capacity !== before.capacity || rate !== before.rate || softShare !== before.softShare)
    meter.set(table, id, capacity, rate, softShare, nowMs);
  return { id, rule, place };
}

/** Whether what was spent of a budget is spent of its changed rule: it has the same windows, and counts for the same values. */
const continues = (before: Rule, now: Rule): boolean =>
  before.calendar === now.calendar && before.per.join() === now.per.join();

/**
 * Continues a dollar budget where it was if its window is not over; gives what it had spent.
 * @param remembered what budgets had spent, by the keys of their meters
 * @param added what another worker has added to it
 */
function resume(
  table: number,
  remembered: Map<string, SpentRow>,
  key: string,
  { id, rule }: Scope,
  added: number,
  nowMs: number,
): number {
  const row = remembered.get(key);
  remembered.delete(key);
  const { calendar } = rule;
  if (row === undefined || calendar === null) return 0;
  calendar.resume(row.window, nowMs);
  if (row.window !== calendar.window(nowMs)) return 0;
  // Of what pods share the larger figure counts; otherwise it is added to what is there.
  const missing = rule.shared ? row.nanoUsd : Math.max(0, row.nanoUsd - added);
  meter.restore(table, id, row.window, missing);
  return row.nanoUsd;
}

/** Changes of budgets that another worker has opened: they are known here once its message has come. */
function createLatecomers() {
  const waiting = new Map<number, { readonly change: ChangedBudget; looks: number }>();
  return {
    keep: (change: ChangedBudget) => void waiting.set(change.id, { change, looks: 0 }),
    /** Adds those that are known by now, up to `max`. @param add false: it isn't known */
    tryAll(add: (change: ChangedBudget) => boolean, max: number): void {
      let added = 0;
      for (const [id, each] of waiting) {
        if (added === max) return;
        each.looks += 1;
        const known = add(each.change);
        if (known) added += 1;
        if (known || each.looks === looksMax) waiting.delete(id);
      }
    },
  };
}
