/** Stage limit: checks all limits and dollar budgets of a request, all or nothing, in one call to the native core. */

import { Refusal } from '../base/errors.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { Estimator } from '../count/estimate.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Traffic } from '../exchange/key-limit.ts';
import { type LeaseBook, type Leases, noLeases } from '../exchange/lease.ts';
import type { Priority } from '../exchange/priority.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { AskEntries, meter, meterAsk, meterTold } from '../native/meters.ts';
import type { Plan } from '../upstream/target.ts';
import { type Applied, createFinder, type RuleSet } from './applied.ts';
import { type Bounds, boundsOf, isSpentAtOnce, noBounds, reserveOf } from './cost.ts';
import { refuseBy, refuseUnpriced } from './headers.ts';
import { freePermit, HeldPermit, type Permit, type PermitDeps } from './permit.ts';
import { report } from './report.ts';
import type { LimitsConfig, Matter, Rule } from './rule.ts';
import { createScopes, type Scope, type SpentRow, scopesMax } from './scopes.ts';
import { createSharedMeters } from './shared.ts';
import {
  type BudgetGauge,
  budgetGauges,
  fullest,
  type LimitView,
  lookMax,
  viewMax,
  viewsOf,
} from './view.ts';

/** What the limiter needs. */
export interface LimiterDeps {
  readonly estimator: Estimator;
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Unix ms. */
  readonly wallClock: () => number;
  readonly telemetry: Pick<Telemetry, 'limit'>;
  /** What dollar budgets had spent before a restart. */
  readonly saved?: Iterable<SpentRow>;
  /** Most meters kept. */
  readonly scopesMax?: number;
  /** Asked where a shared limit is too small to be sliced. */
  readonly leases?: Leases;
}

/** One request as the limiter sees it. */
export interface Asking {
  readonly endpoint: Endpoint;
  readonly identity: Identity;
  readonly request: ModelRequest;
  readonly plan: Plan;
  readonly priority: Priority;
  /** Monotonic ms; a request never waits longer. */
  readonly deadlineMs: number;
}

/** All limits and dollar budgets of a configuration. */
export interface Limiter {
  /** Grants or refuses a request. @param nowMs monotonic ms */
  admit(asking: Asking, nowMs: number): Permit | Refusal;
  /**
   * Asks Redis whether a refusal of `admit` stands, where the limit is too small to be sliced. It waits up to
   * `askTimeoutMs` for each such limit; after that this pod's fair share decides. Null: the refusal stands.
   */
  ask(asking: Asking, refusal: Refusal): Promise<Permit | Refusal> | null;
  /** What people see of the meters in use, up to `viewMax`. */
  view(): LimitView[];
  /** Gauges of dollar budgets. */
  budgets(): BudgetGauge[];
  /** The limits that pods share. */
  readonly book: LeaseBook;
  /**
   * Adopts a new configuration. Meters of limits that count as before keep their level, and a dollar budget that is
   * removed and added again within its window continues.
   */
  update(config: LimitsConfig): void;
  /** The fullest of the meters in use. */
  fullest(max: number): LimitView[];
  /** Meters in use. */
  readonly scopes: number;
  /** Dollar budgets changed since the last call; fewer than `max` if there are no more. */
  changed(max: number): SpentRow[];
  close(): void;
}

/** How often the limits of one request are resolved, at most. */
const triesMax = 4;

/** A limiter; its meters are opened as requests need them. */
export function createLimiter(first: LimitsConfig, deps: LimiterDeps): Limiter {
  const { estimator, telemetry, clock } = deps;
  const table = meter.openTable();
  const leases = deps.leases ?? noLeases;
  const shared = createSharedMeters(table, first.sync.podsExpected);
  const scopes = createScopes(table, deps.scopesMax ?? scopesMax, deps.saved ?? [], shared, ({ name }) =>
    telemetry.limit(name, 'overflow', ''),
  );
  // Refusals that Redis may lift, and the meter to ask for.
  const liftable = new WeakMap<Refusal, { readonly scope: Scope; readonly cost: number }>();
  const finder = createFinder(first, scopes, deps.wallClock);
  const permitDeps: PermitDeps = {
    table,
    clock,
    onCrossed: ({ rule, place }) => telemetry.limit(rule.name, 'soft', place.label),
  };
  // Scratch space, used within one call only.
  const entries = new AskEntries();

  /** The decision on a request; null: one of its meters has been closed. */
  const decide = (applied: Applied, asking: Asking, nowMs: number): Permit | Refusal | null => {
    const { request, plan, deadlineMs } = asking;
    const { rules } = applied;
    const bounds = rules.sized
      ? boundsOf(asking.endpoint, request, plan, estimator, rules.dollars)
      : noBounds;
    if (bounds.nanoUsd === null) {
      const refused = refuseUncounted(applied, telemetry);
      if (refused !== null) return refused;
    }
    fill(entries, applied, bounds, nowMs);
    const waitMs = entries.admit(table, Math.max(0, deadlineMs - nowMs), nowMs);
    if (Number.isNaN(waitMs)) return null;
    if (waitMs < 0) return refuse(applied.scopes[-waitMs - 1] as Scope, -waitMs - 1, bounds, nowMs);
    const headers = report(applied, entries, waitMs, telemetry);
    const holds = holdsIn(entries, rules);
    return new HeldPermit(permitDeps, plan, applied, holds, bounds.replyTokens, headers, waitMs);
  };

  const refuse = (scope: Scope, at: number, bounds: Bounds, nowMs: number): Refusal => {
    const waitMs = entries.waitMs(at);
    const cost = reserveOf(scope.rule, bounds);
    const refusal = refuseBy(scope, cost, waitMs, entries.left(at), nowMs);
    if (scope.rule.shared && waitMs >= 0 && shared.asks(scope.id, cost))
      liftable.set(refusal, { scope, cost });
    else telemetry.limit(scope.rule.name, 'refused', scope.place.label);
    return refusal;
  };

  const admit = (asking: Asking, nowMs: number): Permit | Refusal => {
    const { identity, plan, request } = asking;
    const matter: Matter = {
      identity,
      route: plan.pattern,
      model: request.model,
      traffic: trafficOf(asking),
    };
    for (let tries = 0; tries < triesMax; tries++) {
      const applied = finder.find(matter, nowMs);
      if (applied === null) return freePermit;
      const decided = decide(applied, asking, nowMs);
      if (decided !== null) return decided;
      // An idle meter was closed to make room, perhaps for another meter of this request.
      finder.forget(matter);
    }
    throw new Error('meters are closed as they are opened');
  };

  /** Asks for each limit that refuses and can be asked for, once. */
  const lift = async (asking: Asking, refusal: Refusal): Promise<Permit | Refusal> => {
    let decided: Permit | Refusal = refusal;
    let asked: Scope | null = null;
    for (;;) {
      const about = decided instanceof Refusal ? liftable.get(decided) : undefined;
      if (about === undefined) return decided;
      if (about.scope === asked) {
        telemetry.limit(asked.rule.name, 'refused', asked.place.label);
        return decided;
      }
      asked = about.scope;
      const answered = await leases.ask(asked.id, about.cost);
      const again = (): Permit | Refusal => admit(asking, clock());
      decided = answered ? again() : shared.byShare(again);
    }
  };

  const views = (max: number): LimitView[] => viewsOf(table, scopes.all(), max, clock(), deps.wallClock());

  return {
    admit,
    ask: (asking, refusal) => (liftable.has(refusal) ? lift(asking, refusal) : null),
    book: shared,
    view: () => views(viewMax),
    budgets: () => budgetGauges(table, scopes.all(), clock()),
    update: (config) => finder.update(config, clock()),
    fullest: (max) => fullest(views(lookMax), max),
    get scopes() {
      return scopes.size;
    },
    changed: (max) => scopes.changed(max),
    close: () => meter.closeTable(table),
  };
}

function trafficOf({ request, priority }: Asking): Traffic {
  if (priority === 'batch') return 'batch';
  return request.stream ? 'streaming' : 'plain';
}

/** Writes the entry of each meter. */
function fill(entries: AskEntries, { rules: { rules }, ids }: Applied, bounds: Bounds, nowMs: number): void {
  entries.clear();
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i] as Rule;
    const { calendar } = rule;
    const flags = (rule.observed ? meterAsk.observed : 0) | (isSpentAtOnce(rule) ? meterAsk.spent : 0);
    const window = calendar === null ? 0 : calendar.window(nowMs);
    const leftMs = calendar === null ? 0 : calendar.leftMs(nowMs);
    entries.ask(ids[i] as number, reserveOf(rule, bounds), flags, window, leftMs);
  }
}

/** The holds to settle, in the form that `HeldPermit` takes. */
function holdsIn(entries: AskEntries, { heldAt }: RuleSet): number[] {
  const holds: number[] = [];
  for (let i = 0; i < heldAt.length; i++) {
    const at = heldAt[i] as number;
    // A limit that is only observed and would have refused holds nothing.
    const taken = (entries.told(at) & meterTold.notTaken) === 0;
    holds.push(taken ? entries.id(at) : 0, entries.cost(at), entries.window(at));
  }
  return holds;
}

/** Reports that dollars can't be counted; returns a refusal if a limit doesn't allow that. */
function refuseUncounted({ scopes }: Applied, telemetry: Pick<Telemetry, 'limit'>): Refusal | null {
  for (const scope of scopes) {
    const { unit, name, allowsUnpriced, observed } = scope.rule;
    if (unit !== 'usd') continue;
    telemetry.limit(name, 'unpriced', scope.place.label);
    if (!allowsUnpriced && !observed) return refuseUnpriced(scope);
  }
  return null;
}
