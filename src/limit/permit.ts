/** Permits: what a granted request holds of its limits until it is settled. */
import type { Refusal } from '../base/errors.ts';
import type { ModelFacts } from '../catalog/facts.ts';
import type { Usage } from '../exchange/usage.ts';
import { AskEntries, meterAsk, meterTold, SettleEntries } from '../native/meters.ts';
import type { Target } from '../upstream/target.ts';
import type { Applied } from './applied.ts';
import type { Asking } from './asking.ts';
import { type Bounds, chargeOf, growsWithReply, noBounds, replyNanoUsd, reserveOf } from './cost.ts';
import { withObserved } from './report.ts';
import type { Rule } from './rule.ts';
import type { Scope } from './scopes.ts';

/** A granted request's holds. */
export interface Permit {
  /** Headers about limits for the reply, flat; more may come with each target that is covered. */
  readonly headers: readonly string[];
  /** How long a leaky bucket delays the request, ms; 0: not at all. */
  readonly waitMs: number;
  /** Names of the limits and budgets that the request is counted in. */
  readonly limits: readonly string[];
  /**
   * Reserves what a call to this target may cost beyond what is held. Asked before each call; the first target of the
   * plan is covered from the start. A refusal: the limits don't allow that target.
   */
  cover(target: Target): Refusal | null | Promise<Refusal | null>;
  /**
   * Whether a stream may continue, asked as it grows. 'stop' if it has exceeded its reservation and a limit or dollar
   * budget that is set to stop streams is used up; it continues while Redis is asked about one. A single comparison until
   * the reservation is used up.
   * @param outputTokens so far, over all choices
   */
  stream(outputTokens: number): 'go' | 'stop';
  /** The request is no longer in flight: releases its concurrency. `settle` follows, perhaps later. */
  release(): void;
  /**
   * Replaces reservations by what was actually used; later calls do nothing.
   * @param usage null: nobody knows yet, so that all that was reserved is charged
   * @param knownNanoUsd what the calls cost that have a price
   * @param priced all of them have one
   */
  settle(usage: Usage | null, knownNanoUsd: number, priced?: boolean): void;
}

/** What a permit needs of its limiter. */
export interface PermitDeps {
  readonly table: number;
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Upper bounds of a request at a target. */
  boundsAt(facts: ModelFacts, applied: Applied, asking: Asking): Bounds;
  /** Flags of `meterAsk` for a cost, of the rule and of how it is decided. */
  askFlags(id: number, rule: Rule, cost: number, nowMs: number): number;
  /** The refusal of a target whose cost in dollars nobody knows; null: that is allowed. */
  uncounted(applied: Applied, label: string): Refusal | null;
  /** The refusal by an entry of `entries`. @param number the entry's, from 0 */
  refuse(
    scope: Scope,
    entries: AskEntries,
    number: number,
    bounds: Bounds,
    cost: number,
    asking: Asking,
  ): Refusal;
  /** Asks Redis whether a refusal stands, and decides `again` if not; null: nobody is to be asked. */
  lift(refusal: Refusal, again: () => Refusal | null): Promise<Refusal | null> | null;
  /** Called when a soft limit is crossed. */
  onCrossed(scope: Scope): void;
  /** Called when a limit that is only observed would have refused. */
  onObserved(scope: Scope): void;
}

/** Numbers per hold: the meter's id, what is reserved, and the calendar window. */
const holdSize = 3;

/** Reply tokens reserved at a time once a stream has exceeded its reservation. */
const extendTokens = 256;
const noHolds: readonly number[] = [];
/** Scratch space, used within one call only. */
const asks = new AskEntries();
const ends = new SettleEntries();

/**
 * What is reserved later than the request's own entries is told to nobody but by a refusal, and belongs to the window that
 * the request was admitted in.
 */
const laterFlags = meterAsk.quiet | meterAsk.held;

/** The permit of a request that limits apply to. */
export class HeldPermit implements Permit {
  readonly waitMs: number;
  #headers: readonly string[];
  readonly #deps: PermitDeps;
  readonly #asking: Asking;
  readonly #applied: Applied;
  /** Targets that what is held is enough for. */
  readonly #covered: Target[];
  /** `holdSize` numbers for each rule that is settled. */
  #holds: readonly number[];
  /** Reply tokens reserved so far; infinite: no limit stops the stream, or one is being asked for. */
  #paidTokens: number;
  /** A limit that was asked for has no more. */
  #over = false;

  /**
   * @param first the target that is covered
   * @param holds `holdSize` numbers for each rule that is settled; id 0: nothing is held
   */
  constructor(
    deps: PermitDeps,
    asking: Asking,
    first: Target,
    applied: Applied,
    holds: readonly number[],
    replyTokens: number,
    headers: readonly string[],
    waitMs: number,
  ) {
    this.#deps = deps;
    this.#asking = asking;
    this.#covered = [first];
    this.#applied = applied;
    this.#holds = holds;
    this.#paidTokens = replyTokens;
    this.#headers = headers;
    this.waitMs = waitMs;
  }

  get headers(): readonly string[] {
    return this.#headers;
  }

  get limits(): readonly string[] {
    return this.#applied.rules.names;
  }

  cover(target: Target): Refusal | null | Promise<Refusal | null> {
    if (!this.#applied.rules.sized || this.#covers(target)) return null;
    const topUp = (): Refusal | null => this.#topUp(target);
    const refusal = topUp();
    return refusal === null ? null : (this.#deps.lift(refusal, topUp) ?? refusal);
  }

  #covers({ label }: Target): boolean {
    return this.#covered.some((each) => each.label === label);
  }

  #topUp(target: Target): Refusal | null {
    const { table, clock } = this.#deps;
    const { scopes, rules } = this.#applied;
    const bounds = this.#deps.boundsAt(target.facts, this.#applied, this.#asking);
    if (bounds.nanoUsd === null) {
      const refusal = this.#deps.uncounted(this.#applied, target.label);
      if (refusal !== null) return refusal;
    }
    const nowMs = clock();
    const raised: number[] = [];
    asks.clear();
    rules.held.forEach((rule, i) => {
      const [id = 0, reserved = 0, window = 0] = this.#holds.slice(i * holdSize);
      const more = reserveOf(rule, bounds) - reserved;
      if (id === 0 || more <= 0 || !growsWithReply(rule)) return;
      const flags = laterFlags | this.#deps.askFlags(id, rule, more, nowMs);
      asks.ask(id, more, flags, window, rule.calendar?.leftMs(nowMs) ?? 1);
      raised.push(i);
    });
    const answer = raised.length === 0 ? 0 : asks.admit(table, Number.MAX_VALUE, nowMs);
    if (answer < 0) {
      const number = -answer - 1;
      const at = raised[number] ?? 0;
      const held = this.#holds[at * holdSize + 1] ?? 0;
      const scope = scopes[rules.heldAt[at] ?? 0] as Scope;
      const cost = reserveOf(scope.rule, bounds) - held;
      return this.#deps.refuse(scope, asks, number, bounds, cost, this.#asking);
    }
    // NaN: a meter has been closed, so nothing more is held.
    if (!Number.isNaN(answer)) this.#add(raised);
    this.#covered.push(target);
    this.#paidTokens = Math.max(this.#paidTokens, bounds.replyTokens);
    return null;
  }

  /** Adds what was taken to the holds. @param raised indices of holds, in the order of `asks` */
  #add(raised: readonly number[]): void {
    const { scopes, rules } = this.#applied;
    const holds = [...this.#holds];
    raised.forEach((i, n) => {
      const told = asks.told(n);
      const scope = scopes[rules.heldAt[i] ?? 0] as Scope;
      if ((told & meterTold.wouldRefuse) !== 0) this.#observe(scope);
      // A limit that is only observed and would have refused holds no more than before.
      if ((told & meterTold.notTaken) !== 0) return;
      const at = i * holdSize + 1;
      holds[at] = (holds[at] ?? 0) + asks.cost(n);
      if ((told & meterTold.crossed) !== 0) this.#deps.onCrossed(scope);
    });
    this.#holds = holds;
  }

  /** Reports, once a request, a limit that would have refused. */
  #observe(scope: Scope): void {
    const headers = withObserved(this.#headers, scope.rule.name);
    if (headers === this.#headers) return;
    this.#headers = headers;
    this.#deps.onObserved(scope);
  }

  stream(outputTokens: number): 'go' | 'stop' {
    while (outputTokens > this.#paidTokens) {
      if (this.#over) return 'stop';
      const refusal = this.#extend();
      if (refusal === null) this.#paidTokens += extendTokens;
      else if (!this.#awaitMore(refusal)) return 'stop';
    }
    return 'go';
  }

  /** Lets a stream go on until it is known whether a refusal stands; false: it does. */
  #awaitMore(refusal: Refusal): boolean {
    const asked = this.#deps.lift(refusal, () => this.#extend());
    if (asked === null) return false;
    const paidTokens = this.#paidTokens;
    this.#paidTokens = Number.POSITIVE_INFINITY;
    const told = (stands: boolean): void => {
      this.#over = stands;
      this.#paidTokens = stands ? paidTokens : paidTokens + extendTokens;
    };
    asked.then(
      (last) => told(last !== null),
      () => told(true),
    );
    return true;
  }

  /** Reserves more tokens in limits that may stop the stream; a refusal: one of them is used up. */
  #extend(): Refusal | null {
    const { table, clock } = this.#deps;
    const { rules, scopes } = this.#applied;
    const extended = rules.held.flatMap((rule, i) => {
      const held = (this.#holds[i * holdSize] ?? 0) !== 0;
      return rule.stops && growsWithReply(rule) && held ? [i] : [];
    });
    if (extended.length === 0) {
      this.#paidTokens = Number.POSITIVE_INFINITY;
      return null;
    }
    const nowMs = clock();
    const costs = extended.map((i) => this.#extensionOf(rules.held[i] as Rule));
    asks.clear();
    extended.forEach((i, n) => {
      const [id = 0, , window = 0] = this.#holds.slice(i * holdSize);
      const cost = costs[n] ?? 0;
      const flags = laterFlags | this.#deps.askFlags(id, rules.held[i] as Rule, cost, nowMs);
      asks.ask(id, cost, flags, window, 1);
    });
    const answer = asks.admit(table, Number.MAX_VALUE, nowMs);
    if (answer < 0) {
      const number = -answer - 1;
      const scope = scopes[rules.heldAt[extended[number] ?? 0] ?? 0] as Scope;
      return this.#deps.refuse(scope, asks, number, noBounds, costs[number] ?? 0, this.#asking);
    }
    // NaN: a meter has been closed, so nothing stops the stream and nothing more is held.
    if (!Number.isNaN(answer)) this.#add(extended);
    return null;
  }

  /** Cost of `extendTokens` more reply tokens, in the rule's unit. */
  #extensionOf({ unit, unitSize }: Rule): number {
    return unit === 'usd'
      ? replyNanoUsd(this.#covered, this.#asking.request, extendTokens)
      : Math.ceil(extendTokens / unitSize);
  }

  release(): void {
    const { table, clock } = this.#deps;
    const { held } = this.#applied.rules;
    const holds = [...this.#holds];
    ends.clear();
    held.forEach(({ unit }, i) => {
      const [id = 0, reserved = 0, window = 0] = holds.slice(i * holdSize);
      if (unit !== 'concurrency' || id === 0) return;
      ends.settle(id, reserved, 0, window);
      holds[i * holdSize] = 0;
    });
    this.#holds = holds;
    if (ends.length > 0) ends.end(table, clock());
  }

  settle(usage: Usage | null, knownNanoUsd: number, priced = true): void {
    const holds = this.#holds;
    this.#holds = noHolds;
    if (holds.length === 0) return;
    const { table, clock, onCrossed } = this.#deps;
    const { scopes } = this.#applied;
    const { held, heldAt } = this.#applied.rules;
    ends.clear();
    for (let i = 0; i < held.length; i++) {
      const from = i * holdSize;
      const reserved = holds[from + 1] as number;
      const used =
        (usage === null ? null : chargeOf(held[i] as Rule, usage, knownNanoUsd, priced)) ?? reserved;
      ends.settle(holds[from] as number, reserved, used, holds[from + 2] as number);
    }
    ends.end(table, clock());
    for (let i = 0; i < held.length; i++)
      if (ends.crossed(i)) onCrossed(scopes[heldAt[i] as number] as Scope);
  }
}

/** The permit of a request that no limit applies to. */
export const freePermit: Permit = {
  headers: [],
  waitMs: 0,
  limits: [],
  cover: () => null,
  stream: () => 'go',
  release: () => {},
  settle: () => {},
};
