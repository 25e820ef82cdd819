/** A granted request's hold on its meters. */
import type { Usage } from '../exchange/usage.ts';
import { AskEntries, meterAsk, meterTold, SettleEntries } from '../native/meters.ts';
import type { Plan } from '../upstream/target.ts';
import type { Applied } from './applied.ts';
import { chargeOf, replyNanoUsd } from './cost.ts';
import type { Rule } from './rule.ts';
import type { Scope } from './scopes.ts';

export interface Permit {
  /** Headers of the reply about limits, flat. */
  readonly headers: readonly string[];
  /** The request starts so much later, since a leaky bucket smooths; 0: at once. */
  readonly waitMs: number;
  /**
   * Whether a stream may go on, which is asked as it grows: 'stop' when it has outgrown its reserve, the rest of a
   * limit or budget is used up, and that is set to stop. Costs a comparison until the reserve is used up.
   * @param outputTokens so far, all choices together
   */
  stream(outputTokens: number): 'go' | 'stop';
  /** The work is over: frees what is held only as long as it goes on. `settle` follows, perhaps later. */
  release(): void;
  /**
   * Ends the hold with what was really used; later calls do nothing.
   * @param costNanoUsd what the reply costs; null: its model has no known price
   */
  settle(usage: Usage, costNanoUsd: number | null): void;
}

/** What a permit needs of its limiter. */
export interface PermitDeps {
  readonly table: number;
  /** Monotonic ms. */
  readonly clock: () => number;
  onCrossed(scope: Scope): void;
}

/** Numbers of a hold: the meter's id, what is reserved, and the calendar's window. */
export const holdSize = 3;

/** Reply tokens reserved at a time once a stream has outgrown its reserve. */
const extendTokens = 256;
const noHolds: readonly number[] = [];
/** Filled and read within one call. */
const asks = new AskEntries();
const ends = new SettleEntries();

export class HeldPermit implements Permit {
  readonly headers: readonly string[];
  readonly waitMs: number;
  readonly #deps: PermitDeps;
  readonly #plan: Plan;
  readonly #applied: Applied;
  /** A hold for each rule with something to settle. */
  #holds: readonly number[];
  /** Reply tokens that are paid for. */
  #paidTokens: number;

  /**
   * @param holds one for each rule with something to settle, `holdSize` numbers; id 0: nothing is held
   */
  constructor(
    deps: PermitDeps,
    plan: Plan,
    applied: Applied,
    holds: readonly number[],
    replyTokens: number,
    headers: readonly string[],
    waitMs: number,
  ) {
    this.#deps = deps;
    this.#plan = plan;
    this.#applied = applied;
    this.#holds = holds;
    this.#paidTokens = replyTokens;
    this.headers = headers;
    this.waitMs = waitMs;
  }

  stream(outputTokens: number): 'go' | 'stop' {
    while (outputTokens > this.#paidTokens) {
      if (!this.#extend()) return 'stop';
      this.#paidTokens += extendTokens;
    }
    return 'go';
  }

  /** Reserves some more where a limit would stop the stream; false: there is no more. */
  #extend(): boolean {
    const { table, clock, onCrossed } = this.#deps;
    const { scopes, rules } = this.#applied;
    const extended = rules.held.flatMap((rule, i) => {
      const counted = rule.unit === 'tokens' || rule.unit === 'outputTokens' || rule.unit === 'usd';
      const held = (this.#holds[i * holdSize] ?? 0) !== 0;
      return rule.stops && !rule.observed && counted && held ? [i] : [];
    });
    if (extended.length === 0) {
      this.#paidTokens = Number.POSITIVE_INFINITY;
      return true;
    }
    const costs = extended.map((i) => this.#extensionOf(rules.held[i] as Rule));
    asks.clear();
    extended.forEach((i, n) => {
      const [id = 0, , window = 0] = this.#holds.slice(i * holdSize);
      asks.ask(id, costs[n] ?? 0, meterAsk.quiet, window, 1);
    });
    const answer = asks.admit(table, Number.MAX_VALUE, clock());
    if (answer < 0) return false;
    // A meter that is gone says NaN: nothing stops the stream, and nothing more is held.
    if (!Number.isNaN(answer)) {
      const holds = [...this.#holds];
      extended.forEach((i, n) => {
        const at = i * holdSize + 1;
        holds[at] = (holds[at] ?? 0) + (costs[n] ?? 0);
        if ((asks.told(n) & meterTold.crossed) !== 0) onCrossed(scopes[rules.heldAt[i] ?? 0] as Scope);
      });
      this.#holds = holds;
    }
    return true;
  }

  /** What some more of the stream costs, in the rule's unit. */
  #extensionOf({ unit, unitSize }: Rule): number {
    return unit === 'usd' ? replyNanoUsd(this.#plan, extendTokens) : Math.ceil(extendTokens / unitSize);
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

  settle(usage: Usage, costNanoUsd: number | null): void {
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
      const used = chargeOf(held[i] as Rule, usage, costNanoUsd) ?? reserved;
      ends.settle(holds[from] as number, reserved, used, holds[from + 2] as number);
    }
    ends.end(table, clock());
    for (let i = 0; i < held.length; i++)
      if (ends.crossed(i)) onCrossed(scopes[heldAt[i] as number] as Scope);
  }
}

/** Where no limit applies. */
export const freePermit: Permit = {
  headers: [],
  waitMs: 0,
  stream: () => 'go',
  release: () => {},
  settle: () => {},
};
