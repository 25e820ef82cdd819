/** The meters in use: one per rule and combination of values, bounded; dollar budgets are remembered for restarts. */
import { changedBudgets, meter, sweepMeters } from '../native/meters.ts';
import { type Matter, type MeterValues, meterValuesOf, type Rule } from './rule.ts';
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

/** The meters of all rules. */
export interface Scopes {
  readonly size: number;
  /** All meters, those opened or checked longest ago first. */
  all(): Iterable<Scope>;
  /** The meters of a request under a rule, opened if needed. */
  of(rule: Rule, matter: Matter, nowMs: number): Scope[];
  /**
   * Closes the meters of rules that were removed or changed their shape. A removed dollar budget continues where it was
   * if it is added again within its window.
   * @param shapes rule id → shape, of the current rules
   */
  keep(shapes: ReadonlyMap<string, string>, nowMs: number): void;
  /** Up to `max` rows of dollar budgets that have changed since the last call. */
  changed(max: number): SpentRow[];
}

/** Most meters kept. User names come from headers, so beyond this bound new values share one meter per limit. */
export const scopesMax = 100_000;
/** Meters checked for idleness in one sweep. */
const sweepMax = 1000;
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
 */
export function createScopes(
  table: number,
  max: number,
  saved: Iterable<SpentRow>,
  shared: SharedMeters,
  onOverflow: (rule: Rule) => void,
): Scopes {
  // In the order of their last sweep, oldest first.
  const scopes = new Map<string, Scope>();
  const budgets = new Map<number, Scope>();
  const restored = new Map<string, SpentRow>();
  for (const row of saved) restored.set(`budget\0${row.budget}\0${row.place}`, row);
  // What removed dollar budgets had spent, until it is reported by `changed`.
  const ended = new Map<string, SpentRow>();
  let noSweepUntilMs = 0;

  const forget = (key: string, { id }: Scope): void => {
    scopes.delete(key);
    budgets.delete(id);
    shared.closed(id);
  };

  const open = (rule: Rule, place: MeterValues, key: string, nowMs: number): Scope => {
    const { algorithm, capacity, rate, softShare, calendar } = rule;
    const id = meter.open(table, algorithm.meter, capacity, rate, softShare, nowMs);
    const scope = { id, rule, place };
    scopes.set(key, scope);
    if (rule.shared) shared.open(scope, nowMs);
    if (calendar === null) return scope;
    budgets.set(id, scope);
    const row = restored.get(key);
    restored.delete(key);
    if (row !== undefined) {
      calendar.resume(row.window, nowMs);
      if (row.window === calendar.window(nowMs)) meter.restore(table, id, row.window, row.nanoUsd);
    }
    return scope;
  };

  /** Remembers what a dollar budget has spent in its window, before its meter is closed. */
  const remember = (key: string, { id, rule, place }: Scope, nowMs: number): void => {
    if (rule.calendar === null) return;
    const window = rule.calendar.window(nowMs);
    // Moves the meter into the current window, even if no request has yet.
    meter.restore(table, id, window, 0);
    const nanoUsd = rule.shared ? shared.spent(id, nowMs) : rule.capacity - meter.left(table, id, nowMs);
    if (nanoUsd <= 0) return;
    for (const rows of [restored, ended]) {
      if (rows.size >= max) rows.delete(rows.keys().next().value ?? '');
      rows.set(key, { budget: rule.name, place: place.key, window, nanoUsd });
    }
  };

  /** Closes idle meters among those checked longest ago; false: there are none. */
  const sweep = (nowMs: number): boolean => {
    const looked: (readonly [string, Scope])[] = [];
    for (const entry of scopes) {
      if (looked.length === sweepMax) break;
      looked.push(entry);
    }
    const meters = looked.map(([, { id, rule }]) => ({ id, window: rule.calendar?.window(nowMs) ?? 0 }));
    const gone = sweepMeters(table, meters, nowMs);
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

  const roomFor = (nowMs: number): boolean => {
    if (scopes.size < max) return true;
    if (nowMs < noSweepUntilMs) return false;
    if (sweep(nowMs)) return true;
    noSweepUntilMs = nowMs + sweepPauseMs;
    return false;
  };

  const at = (rule: Rule, place: MeterValues, nowMs: number): Scope => {
    const key = `${rule.id}\0${place.key}`;
    const known = scopes.get(key);
    if (known?.rule === rule) return known;
    if (known?.rule.shape === rule.shape) {
      meter.set(table, known.id, rule.capacity, rule.rate, rule.softShare, nowMs);
      const changed = { id: known.id, rule, place };
      keepScope(key, changed);
      return changed;
    }
    if (known !== undefined) {
      forget(key, known);
      meter.close(table, known.id);
    }
    if (place !== overflowPlace && !roomFor(nowMs)) {
      onOverflow(rule);
      return at(rule, overflowPlace, nowMs);
    }
    return open(rule, place, key, nowMs);
  };

  return {
    get size() {
      return scopes.size;
    },
    all: () => scopes.values(),
    of(rule, matter, nowMs) {
      const found = meterValuesOf(rule, matter).map((place) => at(rule, place, nowMs));
      // Tags beyond the bound share one meter, which is checked once.
      return found.length === 1 ? found : [...new Set(found)];
    },
    keep(shapes, nowMs) {
      for (const [key, scope] of scopes) {
        const { id, shape } = scope.rule;
        if (shapes.get(id) === shape || id.startsWith('key\0')) continue;
        if (!shapes.has(id)) remember(key, scope, nowMs);
        forget(key, scope);
        meter.close(table, scope.id);
      }
    },
    changed(most) {
      const rows: SpentRow[] = [];
      // These come first, since a meter may have continued from one of them.
      for (const [key, row] of ended) {
        ended.delete(key);
        if (rows.push(row) === most) return rows;
      }
      for (const { id, window, spent } of changedBudgets(table, most - rows.length)) {
        const scope = budgets.get(id);
        if (scope !== undefined)
          rows.push({ budget: scope.rule.name, place: scope.place.key, window, nanoUsd: spent });
      }
      return rows;
    },
  };
}
