/** Charges the replies of a session as they end, each as if it were a request of its own. */
import type { SessionAnswer } from '../attempt/answer.ts';
import { Refusal } from '../base/errors.ts';
import { type Bill, bill, nothingBilled, sum, withPlausible } from '../count/usage.ts';
import type { Spent } from '../dialects/session-api.ts';
import { noUsage } from '../exchange/usage.ts';
import type { Permit } from '../limit/permit.ts';
import { noFacts, type ReplyFacts } from '../native/reply.ts';
import type { Passage } from '../passage.ts';
import type { Plan, Target } from '../upstream/target.ts';

/** The charges of one session. */
export interface SessionCharges {
  /** Charges one reply, and reserves the next. */
  charge(spent: Spent): void;
  /** The session is over: nothing more is reserved. */
  close(): void;
  /** All of them, added up. */
  readonly bill: Bill;
  /** Their tokens as the facts of one reply. */
  readonly facts: ReplyFacts;
}

const noText = Buffer.alloc(0);
/** What a reply cost of which nobody knows anything. */
const unknown: Bill = { charges: [], usage: { ...noUsage, known: false }, costNanoUsd: 0, priced: false };

/**
 * @param passage of the session, whose permit is replaced after each reply
 * @param onRefused called when the limits don't allow another reply; at most once
 */
export function createCharges(
  { target }: SessionAnswer,
  passage: Passage,
  onRefused: (refusal: Refusal) => void,
): SessionCharges {
  const { stages, exchange } = passage;
  let total: Bill | null = null;
  /** A limit is being asked for elsewhere; meanwhile there is no permit. */
  let asking = false;
  /** What was used meanwhile. */
  let unsettled: Bill | null = null;
  let closed = false;

  const settle = (permit: Permit | null, { usage, costNanoUsd, priced }: Bill): void =>
    permit?.settle(usage.known ? usage : null, costNanoUsd, priced);

  const take = (permit: Permit): void => {
    const meanwhile = unsettled;
    unsettled = null;
    if (meanwhile !== null) settle(permit, meanwhile);
    else if (closed) permit.settle(noUsage, 0);
    if (meanwhile !== null && !closed) renew();
    else passage.permit = permit;
  };

  const renew = (): void => {
    const { identity, request, plan, priority } = passage;
    if (identity === null || request === null || plan === null) return;
    const continued = {
      endpoint: exchange.endpoint,
      identity,
      request,
      plan: only(target, plan),
      priority,
      deadlineMs: Number.POSITIVE_INFINITY,
      continues: true as const,
    };
    const decided = stages.limiter.admit(continued, stages.clock());
    if (!(decided instanceof Refusal)) return take(decided);
    const asked = stages.limiter.ask(continued, decided);
    if (asked === null) return onRefused(decided);
    asking = true;
    asked.then(
      (later) => {
        asking = false;
        if (later instanceof Refusal) onRefused(later);
        else take(later);
      },
      (cause: unknown) => {
        asking = false;
        passage.reportDefect(cause);
      },
    );
  };

  return {
    charge(spent) {
      const one = billOf(spent, target, passage);
      for (const charge of one.charges) stages.observer.charge(passage.identity?.tenant ?? '', charge);
      total = together(total, one, target.label);
      if (asking) {
        unsettled = together(unsettled, one, target.label);
        return;
      }
      settle(passage.permit, one);
      renew();
    },
    close() {
      closed = true;
    },
    get bill() {
      return total ?? nothingBilled;
    },
    get facts() {
      const { inputTokens, outputTokens, known } = (total ?? nothingBilled).usage;
      return { ...noFacts, usage: known, inputTokens, outputTokens };
    },
  };
}

/** What one reply used and cost. */
function billOf({ facts, model }: Spent, target: Target, { stages, exchange, request }: Passage): Bill {
  if (facts === null || request === null) return unknown;
  const [step] = model === null ? [] : stages.objects.planOf(target.provider, exchange.endpoint, model).steps;
  const used = { label: target.label, facts: step?.target.facts ?? target.facts };
  const stated = { target: used, facts, complete: true, text: () => noText };
  const plausible = withPlausible(stated);
  if (plausible !== stated) stages.observer.usageImplausible(target.label);
  return bill(request, [plausible], stages.estimator, null, 'unpriced');
}

/** A plan with nothing but the target of the session. */
const only = (target: Target, plan: Plan): Plan => ({
  ...plan,
  steps: [{ target, on: null, group: 0, depth: 1 }],
});

/** Two bills as one, with a single charge: a session has any number of replies. */
function together(before: Bill | null, one: Bill, label: string): Bill {
  if (before === null) return one;
  const usage = sum(before.usage, one.usage);
  const costNanoUsd = before.costNanoUsd + one.costNanoUsd;
  const priced = before.priced && one.priced;
  // Of some replies nobody may know the cost: the others' is charged all the same.
  const isKnown = [...before.charges, ...one.charges].some((each) => each.costNanoUsd !== null);
  const charge = { target: label, usage, costNanoUsd: isKnown ? costNanoUsd : null };
  return { charges: [charge], usage, costNanoUsd, priced };
}
