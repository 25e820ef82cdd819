/**
 * Stage attempt: a plan of targets → one reply. The only owner of retries, timeouts, breakers and fallback.
 *
 * ```text
 * walk: step ─▶ try ──────────────▶ answer
 *         ▲      │ ▲ retry: backoff, in the budget; or another credential, at once
 *         │      ▼ │
 *         └──── judge ─▶ the provider's refusal is the answer
 *     next step, if its edge takes the cause
 * ```
 */
import type { Cancellation } from '../base/cancellation.ts';
import { cancelRefusal, sleep } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import { dialects } from '../dialects/index.ts';
import type { UpstreamRequest } from '../dialects/wire.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { isProbe } from '../native/breaker.ts';
import { retryBudget } from '../native/retries.ts';
import {
  type Admission,
  admit,
  type CallOutcome,
  contentCame,
  endCall,
  isOpen,
} from '../upstream/admission.ts';
import type { FallbackCause, Plan, Step, Target } from '../upstream/target.ts';
import type { AttemptFailure, AttemptReply } from './answer.ts';
import { backoffMs } from './backoff.ts';
import { call } from './call.ts';
import type { AttemptDeps } from './deps.ts';
import { enters, following, onward } from './edges.ts';
import { type Called, hedged } from './hedge.ts';
import { type Answered, causeOf, isAnswer, judge } from './judge.ts';
import { learnLatency } from './learn.ts';
import { Preparation, type Prepared } from './prepare.ts';
import { followStream } from './read-answer.ts';
import type { CallResult } from './result.ts';
import { Trail } from './trail.ts';

/** The targets in the order they are to be asked, and the route they are of. */
export type Way = Pick<Plan, 'pattern' | 'steps' | 'chosen'>;

/** One request on its way along its plan. */
interface Walk {
  readonly plan: Way;
  readonly exchange: Exchange;
  readonly request: ModelRequest;
  readonly deadlineMs: number;
  readonly deps: AttemptDeps;
  readonly trail: Trail;
  readonly begunMs: number;
  /** Gives what a target is sent. */
  readonly preparation: Preparation;
  /** A call may be made again: no tool runs at the provider, or the app has made it safe by an idempotency key. */
  readonly repeatable: boolean;
  /** A provider's own refusal, which says more than a sentence of ours when nobody answers. */
  word: { readonly reply: AttemptReply; readonly always: boolean } | null;
  /** A target may be passed over because the prompt seems too long for it. */
  estimates: boolean;
  /** First step that was passed over for that; -1: none. */
  tooLong: number;
  /** Why a target was passed over that can't be told the request; the first one. */
  untold: Refusal | null;
}

/** What trying one target came to: an answer, or why there is none; null: it can't be told the request. */
type Tried = AttemptReply | FallbackCause | null;

/**
 * Asks the targets of a plan in order until one answers. Never rejects; ends within the deadline.
 * @param nowMs monotonic ms
 */
export function attempt(
  plan: Way,
  exchange: Exchange,
  request: ModelRequest,
  deadlineMs: number,
  deps: AttemptDeps,
  nowMs: number,
): Promise<AttemptReply | AttemptFailure> {
  retryBudget.request(deps.budgetId, nowMs);
  const way: Walk = {
    plan,
    exchange,
    request,
    deadlineMs,
    deps,
    trail: new Trail(),
    begunMs: nowMs,
    preparation: new Preparation(exchange, request, plan.chosen, deps.wallClock),
    repeatable: !request.serverTools || exchange.headers['idempotency-key'] !== undefined,
    word: null,
    estimates: true,
    tooLong: -1,
    untold: null,
  };
  return walk(way, 0);
}

/** Goes along the steps from one of them. */
async function walk(way: Walk, from: number): Promise<AttemptReply | AttemptFailure> {
  const { plan, exchange, deps, trail } = way;
  const { steps } = plan;
  const { cancellation } = exchange;
  // Why the alternatives of the group that is asked gave no answer.
  let causes: FallbackCause[] | null = null;
  // Why that group was entered.
  let led: FallbackCause[] | null = null;
  let reached = from;
  for (let index = from; index >= 0 && index < steps.length; ) {
    const step = steps[index] as Step;
    reached = index;
    const tried = isTooLong(way, index) ? 'context_window' : await tryTarget(way, index);
    if (tried === null) {
      // As if it weren't there: what led here leads on.
      const why = causes ?? led;
      index = why === null ? index + 1 : onward(steps, index, why);
      continue;
    }
    if (typeof tried !== 'string') return tried;
    if (cancellation.reason !== null) return { kind: 'failed', refusal: cancelRefusal(cancellation), trail };
    if (trail.calls > 0 && (deps.clock() >= way.deadlineMs || !way.repeatable)) break;
    if (causes === null) causes = [tried];
    else causes.push(tried);
    index = onward(steps, index, causes);
    if (index < 0 || steps[index]?.group === step.group) continue;
    led = causes;
    causes = null;
  }
  const { word, tooLong } = way;
  if (word !== null && (word.always || trail.lastWas('rate_limited', 'quota'))) return word.reply;
  // Nobody was asked but for the estimate: then the provider has the last word on what is too long.
  if (way.estimates && tooLong >= 0 && trail.calls === 0) {
    way.estimates = false;
    return walk(way, tooLong);
  }
  if (way.untold !== null && trail.calls === 0) return { kind: 'failed', refusal: way.untold, trail };
  const notAsked = steps.slice(reached + 1).flatMap(({ on, target }) => (on === null ? [] : [target.label]));
  return { kind: 'failed', refusal: trail.refusal(notAsked), trail };
}

/** Whether a prompt is, by estimate, too long for a target, and the plan has a step for that. */
function isTooLong(way: Walk, index: number): boolean {
  const { plan, request, deps, trail } = way;
  const target = plan.steps[index]?.target;
  const most = target?.facts.contextTokens ?? null;
  if (target === undefined || most === null || !way.estimates) return false;
  if (enters(plan.steps, index, 'context_window') < 0) return false;
  if (deps.estimate(request) + (request.maxTokens ?? 0) <= most) return false;
  if (way.tooLong < 0) way.tooLong = index;
  trail.skip(target.label, 'context_window', Number.POSITIVE_INFINITY);
  return true;
}

/** Calls one target, again where that makes sense. */
async function tryTarget(way: Walk, index: number): Promise<Tried> {
  const { exchange, deps, trail, deadlineMs } = way;
  const { cancellation } = exchange;
  const { target } = way.plan.steps[index] as Step;
  const prepared = way.preparation.for(target);
  if (prepared instanceof Refusal) {
    way.untold ??= prepared;
    trail.skip(target.label, prepared.code, Number.POSITIVE_INFINITY);
    return null;
  }
  // A request with server tools acts at the provider: doing it twice is worse than failing.
  const retriesMax = way.repeatable ? deps.policy.retriesMax : 0;
  let othersLeft = target.provider.credentials.length - 1;
  let cause: FallbackCause | null = null;
  for (let retries = 0; ; ) {
    const admission = admit(target, way.request, deps);
    if ('reason' in admission) {
      trail.skip(target.label, admission.reason, admission.waitMs);
      return cause ?? admission.cause;
    }
    const delayMs = hedgeDelayMs(way, admission);
    const called = delayMs === null ? null : await sendHedged(way, index, admission, delayMs);
    const made = called?.admission ?? admission;
    const result = called?.result ?? (await send(way, admission, cancellation));
    if (isAnswer(result)) return answer(way, index, made, result);
    const verdict = judge(made, result, deps, trail);
    cause = verdict.cause;
    if (result.kind === 'status') {
      const reply = passOn(way, made.target, result);
      const named = verdict.next === 'named' && enters(way.plan.steps, index, cause) >= 0;
      if (verdict.next === 'pass' || (verdict.next === 'named' && !named)) return reply;
      if (named || (cause === 'rate_limited' && way.word?.always !== true))
        way.word = { reply, always: named };
    }
    if (cancellation.reason !== null || deps.clock() >= deadlineMs || !way.repeatable) return cause;
    // Counted, since one that is told to come back at once would be asked without end.
    if (verdict.next === 'credential' && othersLeft-- > 0) continue;
    if (verdict.next !== 'retry' || retries === retriesMax || isOpen(target, deps)) return cause;
    const waitMs = backoffMs(retries, verdict.askedMs, deadlineMs, deps);
    if (waitMs === null) return cause;
    if (!retryBudget.spend(deps.budgetId, deps.clock())) {
      deps.telemetry.retryBudgetSpent('retry');
      return cause;
    }
    if (!(await sleep(waitMs, cancellation))) return cause;
    retries += 1;
  }
}

/** Ms without content after which a second call goes out; null: none does. Never beside a probe, and never twice. */
function hedgeDelayMs(
  { plan, request, deadlineMs, deps, trail, repeatable }: Walk,
  admission: Admission,
): number | null {
  if (deps.hedges === null || !repeatable || trail.calls > 0 || isProbe(admission.ticket)) return null;
  const delayMs = deps.hedges.delayMs(plan.pattern, request.stream);
  return delayMs === null || admission.sentMs + delayMs >= deadlineMs ? null : delayMs;
}

function sendHedged(way: Walk, index: number, admission: Admission, delayMs: number): Promise<Called> {
  return hedged(admission, {
    delayMs,
    cancellation: way.exchange.cancellation,
    trail: way.trail,
    deps: way.deps,
    start: (one, own) => send(way, one, own),
    second: () => admitSecond(way, index),
  });
}

/** The alternative beside a step, else the same target again; null: neither may be called. */
function admitSecond({ plan, request, deps, preparation }: Walk, index: number): Admission | null {
  if (!retryBudget.spend(deps.budgetId, deps.clock())) {
    deps.telemetry.retryBudgetSpent('hedge');
    return null;
  }
  const [step, beside] = [plan.steps[index] as Step, plan.steps[index + 1]];
  const told = beside?.group === step.group && !(preparation.for(beside.target) instanceof Refusal);
  const other = told ? admit(beside.target, request, deps) : null;
  if (other !== null && !('reason' in other)) return other;
  const again = admit(step.target, request, deps);
  return 'reason' in again ? null : again;
}

/** Sends one call, whose speed the target's health learns. */
function send(way: Walk, admission: Admission, cancellation: Cancellation): Promise<CallResult> {
  const { request, deps } = way;
  const { target, credential, sentMs } = admission;
  const { stream } = request;
  const { latency } = target.health;
  latency.begin(stream, sentMs);
  const { sent } = preparedFor(way, target);
  const headers = headersOf(credential.headers, sent);
  const remainingMs = Math.max(1, Math.ceil(way.deadlineMs - sentMs));
  const learn = (result: CallResult): void => learnLatency(latency, stream, sentMs, result, deps.clock());
  const { provider } = target;
  if (credential.sign === null)
    return call(provider, sent, headers, stream, deps.policy, remainingMs, cancellation, learn);
  return credential.sign(sent.path, headers, sent.body).then(
    (signed) => call(provider, sent, signed, stream, deps.policy, remainingMs, cancellation, learn),
    (): CallResult => {
      // What can't be signed was never sent; whoever holds the call's place must be told all the same.
      const result = { kind: 'failed', failure: 'connect', arrived: null } as const;
      learn(result);
      return result;
    },
  );
}

/** All headers of a call. A credential's say that the body is JSON. */
function headersOf(own: readonly string[], { headers, contentType }: UpstreamRequest): string[] {
  if (contentType === undefined) return [...own, ...headers];
  const typed = contentType === null ? [] : ['content-type', contentType];
  for (let i = 0; i + 1 < own.length; i += 2)
    if (own[i] !== 'content-type') typed.push(own[i] as string, own[i + 1] as string);
  return [...typed, ...headers];
}

/** What goes to a target that can be told the request. */
function preparedFor({ preparation }: Walk, target: Target): Prepared {
  const prepared = preparation.for(target);
  if (prepared instanceof Refusal) throw new Error(`${target.label} was asked what it can't be told`);
  return prepared;
}

/** The provider's refusal, as it is. */
function passOn(way: Walk, target: Target, result: Extract<CallResult, { kind: 'status' }>): AttemptReply {
  const { trail, begunMs } = way;
  const { dropped } = preparedFor(way, target);
  return { ...result, kind: 'whole', facts: null, target, trail, begunMs, dropped };
}

/** What goes on to the client. */
function answer(way: Walk, index: number, admission: Admission, result: Answered): AttemptReply {
  const { plan, exchange, request, deps, trail, begunMs } = way;
  const { target } = admission;
  const { dropped } = preparedFor(way, target);
  const nowMs = deps.clock();
  trail.add(target.label, 'ok');
  contentCame(admission, deps, nowMs);
  deps.hedges?.observe(plan.pattern, request.stream, admission.ttftMs ?? 0);
  if (result.kind === 'whole') {
    const { status, headers, body, facts, text } = result;
    trail.bill({ target, facts, complete: true, text });
    endCall(admission, 'success', 'ok', facts, deps, nowMs);
    return { kind: 'whole', status, headers, body, facts, target, trail, begunMs, dropped };
  }
  // Off unless the client asks for it, since SDKs would join the two texts; never twice with server tools. Beside chat no
  // event could say so.
  const wanted = exchange.headers['x-sidegate-restart'] === 'on-cut';
  const restarts = wanted && way.repeatable && exchange.endpoint.auxiliary === undefined;
  const stream = followStream(target, result.stream, {
    dialect: dialects[exchange.endpoint.dialect],
    cancellation: exchange.cancellation,
    trail,
    end: (outcome: CallOutcome, word) =>
      endCall(admission, outcome, word, result.stream.scanner.facts(), deps),
    idempotent: exchange.headers['idempotency-key'] !== undefined,
    restart: !restarts
      ? null
      : (failure) => {
          const next = following(plan.steps, index, [causeOf(failure)]);
          return next < 0 ? null : walk(way, next);
        },
  });
  return { ...result, stream, target, trail, begunMs, dropped };
}
