/** The meters in use: one for each place under each rule, within a bound, and the budgets among them kept. */
import { changedBudgets, meter, sweepMeters } from '../native/meters.ts';
import { type Matter, type Place, placesOf, type Rule } from './rule.ts';

/** A meter in use. */
export interface Scope {
  readonly id: number;
  readonly rule: Rule;
  readonly place: Place;
}

/** What was spent of a budget in a window: the row that survives a restart. */
export interface SpentRow {
  /** The budget's name. */
  readonly budget: string;
  /** `Place.key`. */
  readonly place: string;
  /** Id of the window. */
  readonly window: number;
  /** Nano-dollars spent or reserved. */
  readonly nanoUsd: number;
}

export interface Scopes {
  readonly size: number;
  /** The meters of a request under a rule, opened where there are none. */
  of(rule: Rule, matter: Matter, nowMs: number): Scope[];
  /**
   * Lets go of the meters of rules that are no more, or count otherwise. A budget that is no more goes on where it was
   * should it come back within its window.
   * @param shapes of the rules that are, by id
   */
  keep(shapes: ReadonlyMap<string, string>, nowMs: number): void;
  /** Up to `max` rows of budgets that have changed since they were last asked for. */
  changed(max: number): SpentRow[];
}

/** Meters kept at once, for users come from headers: beyond it newcomers share one meter a limit. */
export const scopesMax = 100_000;
/** Meters looked at in one sweep for those that are idle. */
const sweepMax = 1000;
/** After a sweep that found nothing none is made for so long. */
const sweepRestMs = 100;

const overflowPlace: Place = { key: '\0overflow', label: 'all beyond the number of scopes kept' };

/**
 * @param table of `meter.openTable`
 * @param saved rows from before a restart; each is taken over when its meter is first opened
 * @param onOverflow told of the rule whose newcomer shares a meter
 */
export function createScopes(
  table: number,
  max: number,
  saved: Iterable<SpentRow>,
  onOverflow: (rule: Rule) => void,
): Scopes {
  // In the order of their last sweep.
  const scopes = new Map<string, Scope>();
  const budgets = new Map<number, Scope>();
  const restored = new Map<string, SpentRow>();
  for (const row of saved) restored.set(`budget\0${row.budget}\0${row.place}`, row);
  // What budgets had spent that were taken out, until that is told.
  const ended = new Map<string, SpentRow>();
  let restsUntilMs = 0;

  const forget = (key: string, { id }: Scope): void => {
    scopes.delete(key);
    budgets.delete(id);
  };

  const open = (rule: Rule, place: Place, key: string, nowMs: number): Scope => {
    const { algorithm, capacity, rate, softShare, calendar } = rule;
    const id = meter.open(table, algorithm, capacity, rate, softShare, nowMs);
    const scope = { id, rule, place };
    scopes.set(key, scope);
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

  /** Keeps what a budget has spent in its window, before its meter is closed. */
  const remember = (key: string, { id, rule, place }: Scope, nowMs: number): void => {
    if (rule.calendar === null) return;
    const window = rule.calendar.window(nowMs);
    // Has it enter the window, in which nobody may have asked it yet.
    meter.restore(table, id, window, 0);
    const nanoUsd = rule.capacity - meter.left(table, id, nowMs);
    if (nanoUsd <= 0) return;
    for (const rows of [restored, ended]) {
      if (rows.size >= max) rows.delete(rows.keys().next().value ?? '');
      rows.set(key, { budget: rule.name, place: place.key, window, nanoUsd });
    }
  };

  /** Closes idle meters among those that were looked at longest ago; false: there are none. */
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
    if (scope.rule.calendar !== null) budgets.set(scope.id, scope);
  };

  const roomFor = (nowMs: number): boolean => {
    if (scopes.size < max) return true;
    if (nowMs < restsUntilMs) return false;
    if (sweep(nowMs)) return true;
    restsUntilMs = nowMs + sweepRestMs;
    return false;
  };

  const at = (rule: Rule, place: Place, nowMs: number): Scope => {
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
    of(rule, matter, nowMs) {
      const found = placesOf(rule, matter).map((place) => at(rule, place, nowMs));
      // Tags beyond the bound share one meter, which is asked once.
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
      // First, since a meter may have gone on from one.
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
