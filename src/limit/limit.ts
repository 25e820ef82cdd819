/** Stage limit: checks all limits and dollar budgets of a request, all or nothing, in one call to the native core. */

import { Refusal } from '../base/errors.ts';
import type { Shared } from '../base/shared.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { ModelFacts } from '../catalog/facts.ts';
import type { Estimator } from '../count/estimate.ts';
import { dialects } from '../dialects/index.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { Traffic } from '../exchange/key-limit.ts';
import { type LeaseBook, type Leases, noLeases } from '../exchange/lease.ts';
import { AskEntries, meter, meterAsk, meterTold } from '../native/meters.ts';
import { type Applied, createFinder, type RuleSet } from './applied.ts';
import type { Asking } from './asking.ts';
import { type Bounds, boundsOf, growsWithReply, isSpentAtOnce, noBounds, reserveOf } from './cost.ts';
import { type ReservedReply, refuseBy, refuseUnpriced } from './headers.ts';
import { freePermit, HeldPermit, type Permit, type PermitDeps } from './permit.ts';
import { report } from './report.ts';
import type { LimitsConfig, Matter, Rule } from './rule.ts';
import { createScopes, type Opened, type Scope, type SpentRow, scopesMax } from './scopes.ts';
import { createSharedMeters, type SharedMeters } from './shared.ts';
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
  /** Of the limits that pods share. */
  readonly leases?: Leases;
  /** Names what workers share. */
  readonly shared?: Shared;
  /** Told of each meter that is opened and that other workers share. */
  readonly onOpened?: (opened: Opened) => void;
  /** Called, at most ten times a second, while there is no room for more meters though other workers may hold idle ones. */
  readonly onFull?: () => void;
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
  /** Takes part in a meter that another worker opened, so that it is seen, saved and leased here. */
  join(opened: Opened): void;
  /** Lets go of meters that nobody uses, as another worker has no room for more. */
  sweep(): void;
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
  const { estimator, telemetry, clock, onOpened = () => {}, onFull = () => {} } = deps;
  const tableName = deps.shared?.name('limits');
  const table = meter.openTable(tableName);
  const leases = deps.leases ?? noLeases;
  const leads = deps.shared === undefined || deps.shared.worker === 0;
  const shared = createSharedMeters(table, first.sync.podsExpected, leads);
  const scopes = createScopes(
    table,
    deps.scopesMax ?? scopesMax,
    deps.saved ?? [],
    shared,
    ({ name }) => telemetry.limit(name, 'overflow', ''),
    tableName === undefined ? null : { leads, opened: onOpened, full: onFull },
  );
  // Refusals that Redis may lift, and the meter to ask for.
  const liftable = new WeakMap<Refusal, { readonly scope: Scope; readonly cost: number }>();
  const finder = createFinder(first, scopes, deps.wallClock);
  // Scratch space, used within one call only.
  const entries = new AskEntries();

  /** The decision on a request; null: one of its meters has been closed. */
  const decide = (applied: Applied, asking: Asking, nowMs: number): Permit | Refusal | null => {
    const { deadlineMs } = asking;
    const { rules } = applied;
    // What falling back to another target may cost is reserved when it comes to that.
    const first = asking.plan.steps[0]?.target;
    if (first === undefined) return freePermit;
    const bounds = rules.sized ? boundsAt(first.facts, applied, asking) : noBounds;
    if (bounds.nanoUsd === null) {
      const refused = refuseUncounted(applied, first.label, telemetry);
      if (refused !== null) return refused;
    }
    fill(entries, applied, bounds, asking, shared, nowMs);
    const waitMs = entries.admit(table, Math.max(0, deadlineMs - nowMs), nowMs);
    if (Number.isNaN(waitMs)) return null;
    if (waitMs < 0) {
      const scope = applied.scopes[-waitMs - 1] as Scope;
      return refuse(scope, entries, -waitMs - 1, bounds, reserveOf(scope.rule, bounds), asking);
    }
    const headers = report(applied, entries, waitMs, telemetry);
    const holds = holdsIn(entries, rules);
    return new HeldPermit(permitDeps, asking, first, applied, holds, bounds.replyTokens, headers, waitMs);
  };

  const boundsAt = (facts: ModelFacts, { rules }: Applied, { endpoint, request }: Asking): Bounds =>
    boundsOf(endpoint, request, facts, estimator, rules.dollars);

  const refuse = (
    scope: Scope,
    asked: AskEntries,
    at: number,
    bounds: Bounds,
    cost: number,
    { endpoint }: Asking,
  ): Refusal => {
    const waitMs = asked.waitMs(at);
    const nowMs = clock();
    const refusal = refuseBy(scope, cost, waitMs, asked.left(at), nowMs, replyOf(scope, bounds, endpoint));
    if (scope.rule.shared && waitMs >= 0 && shared.asks(scope.id, cost, nowMs))
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
      leases.used(nowMs);
      if (decided !== null) return decided;
      // An idle meter was closed to make room, perhaps for another meter of this request.
      finder.forget(matter);
    }
    throw new Error('meters are closed as they are opened');
  };

  /** Asks for each limit that refuses and can be asked for, once. */
  const lift = async <T>(refusal: Refusal, again: () => T | Refusal): Promise<T | Refusal> => {
    let decided: T | Refusal = refusal;
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
      decided = answered ? again() : shared.byShare(again);
    }
  };

  const permitDeps: PermitDeps = {
    table,
    clock,
    boundsAt,
    askFlags: (id, rule, cost, nowMs) =>
      rule.observed ? shared.observedFlags(id, rule, cost, nowMs) : shared.askFlags,
    uncounted: (applied, label) => refuseUncounted(applied, label, telemetry),
    refuse,
    lift: (refusal, again) => (liftable.has(refusal) ? lift(refusal, again) : null),
    onCrossed: ({ rule, place }) => telemetry.limit(rule.name, 'soft', place.label),
    onObserved: ({ rule, place }) => telemetry.limit(rule.name, 'observed', place.label),
  };

  const views = (max: number): LimitView[] => viewsOf(table, scopes.all(), max, clock(), deps.wallClock());

  return {
    admit,
    ask: (asking, refusal) => (liftable.has(refusal) ? lift(refusal, () => admit(asking, clock())) : null),
    book: shared,
    view: () => views(viewMax),
    budgets: () => budgetGauges(table, scopes.all(), clock()),
    update: (config) => finder.update(config, clock()),
    join(opened) {
      const rule = finder.rule(opened);
      if (rule !== null) scopes.join(rule, opened.place, opened.restored, clock());
    },
    sweep: () => void scopes.sweep(clock()),
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
function fill(
  entries: AskEntries,
  { rules: { rules }, ids }: Applied,
  bounds: Bounds,
  { continues }: Asking,
  shared: SharedMeters,
  nowMs: number,
): void {
  const { askFlags } = shared;
  entries.clear();
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i] as Rule;
    const { calendar } = rule;
    const id = ids[i] as number;
    const window = calendar === null ? 0 : calendar.window(nowMs);
    const leftMs = calendar === null ? 0 : calendar.leftMs(nowMs);
    const cost = continues === true && isSpentAtOnce(rule) ? 0 : reserveOf(rule, bounds);
    const spent = isSpentAtOnce(rule) ? meterAsk.spent : 0;
    const flags = rule.observed ? shared.observedFlags(id, rule, cost, nowMs) : askFlags;
    entries.ask(id, cost, spent | flags, window, leftMs);
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

/** What a refusal says of the reply that is reserved for; null: the limit doesn't depend on it. */
function replyOf(
  { rule }: Scope,
  { replyTokens }: Bounds,
  { dialect, kind }: Endpoint,
): ReservedReply | null {
  if (kind !== 'chat' || !growsWithReply(rule)) return null;
  return { tokens: replyTokens, field: dialects[dialect].chatClient?.limitField ?? 'max_tokens' };
}

/**
 * Reports that dollars can't be counted; returns a refusal if a limit doesn't allow that.
 * @param label of the target without a price
 */
function refuseUncounted(
  { scopes }: Applied,
  label: string,
  telemetry: Pick<Telemetry, 'limit'>,
): Refusal | null {
  for (const scope of scopes) {
    const { unit, name, allowsUnpriced, observed } = scope.rule;
    if (unit !== 'usd') continue;
    telemetry.limit(name, 'unpriced', scope.place.label);
    if (!allowsUnpriced && !observed) return refuseUnpriced(scope, label);
  }
  return null;
}
