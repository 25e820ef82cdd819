/**
 * Stage attempt: a plan of targets → one reply. Retries, timeouts, breakers and fallback are decided only here.
 *
 * ```text
 * walk: step ─▶ try ──────────────▶ answer
 *         ▲      │ ▲ retry: after a backoff, within the retry budget; or at once with another credential
 *         │      ▼ │
 *         └──── judge ─▶ the provider's refusal is the answer
 *     next step, if its edge accepts the cause
 * ```
 */
import type { Cancellation } from '../base/cancellation.ts';
import { cancelRefusal, sleep } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import { windowsMaxOf } from '../count/usage.ts';
import { dialects } from '../dialects/index.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { isProbe } from '../native/breaker.ts';
import { bodyFlags } from '../native/inspect.ts';
import { retryBudget } from '../native/retries.ts';
import {
  beginCall,
  type CallOutcome,
  contentCame,
  endCall,
  isOpen,
  type OpenCall,
} from '../upstream/open-call.ts';
import type { FallbackCause, Plan, Step, Target } from '../upstream/target.ts';
import type { AttemptFailure, AttemptReply, SessionAnswer } from './answer.ts';
import { backoffMs } from './backoff.ts';
import { call } from './call.ts';
import { headersOf } from './call-headers.ts';
import type { AttemptDeps } from './deps.ts';
import { enters, following, onward } from './edges.ts';
import { type Begin, type Called, hedged } from './hedge.ts';
import { type Answered, causeOf, isAnswer, judge } from './judge.ts';
import { learnLatency } from './learn.ts';
import { Preparation } from './prepare.ts';
import { followStream } from './read-answer.ts';
import { atDeadline, type CallResult } from './result.ts';
import { callSession } from './session-call.ts';
import { deadConnection, Trail } from './trail.ts';

/** The part of a plan that an attempt needs: the targets in order, and their route. */
export interface AttemptPlan extends Pick<Plan, 'pattern' | 'steps' | 'drops'> {
  /** Reserves what a call to a target may cost; a refusal: the limits don't allow it. */
  readonly cover: (target: Target) => Refusal | null | Promise<Refusal | null>;
}

/** State of one request while it walks its plan. */
interface WalkState {
  readonly plan: AttemptPlan;
  readonly exchange: Exchange;
  readonly request: ModelRequest;
  readonly deadlineMs: number;
  readonly deps: AttemptDeps;
  readonly trail: Trail;
  readonly begunMs: number;
  /** Prepares what each target is sent. */
  readonly preparation: Preparation;
  /** Calls may be repeated: nothing runs or goes on at the provider, or the app made that safe with an idempotency key. */
  readonly repeatable: boolean;
  /** What must not be repeated may have been done. */
  acted: boolean;
  /** A provider's refusal, which says more than an error of ours if no target answers. */
  providerRefusal: { readonly reply: AttemptReply; readonly always: boolean } | null;
  /** Targets may be skipped because the prompt seems too long for them. */
  estimates: boolean;
  /** First step skipped for that; -1: none. */
  firstTooLong: number;
  /** Why the first target was skipped that the request or its limits rule out. */
  ruledOut: Refusal | null;
}

/** The result of trying one target: an answer, or why there is none; null: the request or its limits rule it out. */
type Tried = AttemptReply | FallbackCause | null;

/**
 * Tries the targets of a plan in order until one answers. Never rejects; ends within the deadline.
 * @param deadlineMs monotonic ms
 * @param nowMs monotonic ms
 */
export function attempt(
  plan: AttemptPlan,
  exchange: Exchange,
  request: ModelRequest,
  deadlineMs: number,
  deps: AttemptDeps,
  nowMs: number,
): Promise<AttemptReply | AttemptFailure> {
  retryBudget.request(deps.budgetId, nowMs);
  const state: WalkState = {
    plan,
    exchange,
    request,
    deadlineMs,
    deps,
    trail: new Trail(windowsMaxOf(exchange.endpoint, request)),
    begunMs: nowMs,
    preparation: new Preparation(exchange, request, plan.drops, deadlineMs, deps),
    repeatable: !actsOnce(request) || exchange.headers['idempotency-key'] !== undefined,
    acted: false,
    providerRefusal: null,
    estimates: true,
    firstTooLong: -1,
    ruledOut: null,
  };
  return walk(state, 0);
}

/** Whether a request runs tools at the provider, or goes on there when nobody waits for it. */
const actsOnce = ({ serverTools, flags }: ModelRequest): boolean =>
  serverTools || (flags & bodyFlags.background) !== 0;

/** Tries the steps from index `from` on. */
async function walk(state: WalkState, from: number): Promise<AttemptReply | AttemptFailure> {
  const { plan, exchange, deps, trail } = state;
  const { steps } = plan;
  const { cancellation } = exchange;
  // Why the alternatives tried in the current group gave no answer.
  let causes: FallbackCause[] | null = null;
  // Why that group was entered.
  let entryCauses: FallbackCause[] | null = null;
  let reached = from;
  for (let index = from; index >= 0 && index < steps.length; ) {
    const step = steps[index] as Step;
    reached = index;
    const tried = isTooLong(state, index) ? 'context_window' : await tryTarget(state, index);
    if (tried === null) {
      // Skip it as if it weren't in the plan: the next step is entered for the same causes.
      const why = causes ?? entryCauses;
      index = why === null ? index + 1 : onward(steps, index, why);
      continue;
    }
    if (typeof tried !== 'string') return tried;
    if (cancellation.reason !== null) return { kind: 'failed', refusal: cancelRefusal(cancellation), trail };
    if (trail.calls > 0 && (deps.clock() >= state.deadlineMs || state.acted)) break;
    if (causes === null) causes = [tried];
    else causes.push(tried);
    index = onward(steps, index, causes);
    if (index < 0 || steps[index]?.group === step.group) continue;
    entryCauses = causes;
    causes = null;
  }
  const { providerRefusal, firstTooLong } = state;
  if (providerRefusal !== null && (providerRefusal.always || trail.lastWas('rate_limited', 'quota')))
    return providerRefusal.reply;
  // Only the estimate kept targets from being called: let the provider decide whether the prompt is too long.
  if (state.estimates && firstTooLong >= 0 && trail.calls === 0) {
    state.estimates = false;
    return walk(state, firstTooLong);
  }
  if (state.ruledOut !== null && trail.calls === 0) return { kind: 'failed', refusal: state.ruledOut, trail };
  const notAsked = steps.slice(reached + 1).flatMap(({ on, target }) => (on === null ? [] : [target.label]));
  return { kind: 'failed', refusal: trail.refusal(notAsked), trail };
}

/** Whether the estimate says that the prompt is too long for a target, and the plan has a step for that case. */
function isTooLong(state: WalkState, index: number): boolean {
  const { plan, request, deps, trail } = state;
  const target = plan.steps[index]?.target;
  const most = target?.facts.contextTokens ?? null;
  if (target === undefined || most === null || !state.estimates) return false;
  if (enters(plan.steps, index, 'context_window') < 0) return false;
  if (deps.estimate(request) + (request.maxTokens ?? 0) <= most) return false;
  if (state.firstTooLong < 0) state.firstTooLong = index;
  trail.skip(target.label, 'context_window', 'context_window', Number.POSITIVE_INFINITY, deps.clock());
  return true;
}

/** Calls one target, and retries where that makes sense. */
async function tryTarget(state: WalkState, index: number): Promise<Tried> {
  const { exchange, deps, trail, deadlineMs } = state;
  const { cancellation } = exchange;
  const { target } = state.plan.steps[index] as Step;
  const preparing = state.preparation.for(target);
  const prepared = preparing instanceof Promise ? await preparing : preparing;
  if (prepared instanceof Refusal) return ruleOut(state, target, prepared, prepared.code);
  const covered = state.plan.cover(target);
  const costly = covered instanceof Promise ? await covered : covered;
  if (costly !== null) return ruleOut(state, target, costly, 'over_limit');
  // What has effects at the provider is worse repeated than failed.
  const retriesMax = state.repeatable ? deps.policy.retriesMax : 0;
  let othersLeft = target.provider.credentials.length - 1;
  let cause: FallbackCause | null = null;
  for (let retries = 0; ; ) {
    const openCall = beginCall(target, state.request, deps);
    if ('reason' in openCall) {
      trail.skip(target.label, openCall.reason, openCall.cause, openCall.waitMs, deps.clock());
      return cause ?? openCall.cause;
    }
    const delayMs = hedgeDelayMs(state, openCall);
    const called = delayMs === null ? null : await sendHedged(state, index, openCall, delayMs);
    const made = called?.openCall ?? openCall;
    const result = called?.result ?? (await send(state, openCall, cancellation));
    if (isAnswer(result)) return answer(state, index, made, result);
    const verdict = judge(made, result, deps, trail);
    cause = verdict.cause;
    if (result.kind === 'status') {
      const reply = passOn(state, made.target, result);
      const named = verdict.next === 'named' && enters(state.plan.steps, index, cause) >= 0;
      if (verdict.next === 'pass' || (verdict.next === 'named' && !named)) return reply;
      if (named || (cause === 'rate_limited' && state.providerRefusal?.always !== true))
        state.providerRefusal = { reply, always: named };
    }
    if (verdict.acted && !state.repeatable) state.acted = true;
    if (cancellation.reason !== null || deps.clock() >= deadlineMs || state.acted) return cause;
    // Counted, since a credential that may be retried at once would be tried without end.
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

/** Skips a target as if it weren't in the plan. */
function ruleOut(state: WalkState, { label }: Target, refusal: Refusal, outcome: string): null {
  state.ruledOut ??= refusal;
  state.trail.skip(label, outcome, '', Number.POSITIVE_INFINITY, state.deps.clock());
  return null;
}

/** Ms without content after which a second call is sent; null: none is. Never alongside a probe, and only once. */
function hedgeDelayMs(
  { plan, exchange, request, deadlineMs, deps, trail, repeatable }: WalkState,
  openCall: OpenCall,
): number | null {
  if (deps.hedges === null || !repeatable || trail.calls > 0 || isProbe(openCall.ticket)) return null;
  if (exchange.endpoint.kind === 'session') return null;
  const delayMs = deps.hedges.delayMs(plan.pattern, openCall.target.health, request.stream);
  return delayMs === null || openCall.sentMs + delayMs >= deadlineMs ? null : delayMs;
}

function sendHedged(state: WalkState, index: number, openCall: OpenCall, delayMs: number): Promise<Called> {
  return hedged(openCall, {
    delayMs,
    cancellation: state.exchange.cancellation,
    trail: state.trail,
    deps: state.deps,
    start: (one, own) => send(state, one, own),
    second: () => prepareSecond(state, index),
  });
}

/** Prepares a call to the next alternative of a step, else to the same target again; null: neither may be called. */
async function prepareSecond(
  { plan, request, deps, preparation }: WalkState,
  index: number,
): Promise<Begin | null> {
  if (!retryBudget.spend(deps.budgetId, deps.clock())) {
    deps.telemetry.retryBudgetSpent('hedge');
    return null;
  }
  const [step, next] = [plan.steps[index] as Step, plan.steps[index + 1]];
  const usable =
    next?.group === step.group && !((await preparation.for(next.target)) instanceof Refusal) ? next : null;
  return () => {
    const covered = usable !== null && plan.cover(usable.target) === null;
    const other = covered ? beginCall(usable.target, request, deps) : null;
    if (other !== null && !('reason' in other)) return other;
    const again = beginCall(step.target, request, deps);
    return 'reason' in again ? null : again;
  };
}

/** Sends one call and records its latency. */
function send(state: WalkState, openCall: OpenCall, cancellation: Cancellation): Promise<CallResult> {
  const { exchange, request, deps, repeatable } = state;
  const { target, credential, sentMs } = openCall;
  const { stream } = request;
  const { latency } = target.health;
  latency.begin(stream, sentMs);
  const { sent } = state.preparation.of(target);
  const headers = headersOf(credential.headers, sent, target.provider, exchange.headers);
  const remainingMs = Math.max(1, Math.ceil(state.deadlineMs - sentMs));
  const learn = (result: CallResult): void => learnLatency(latency, stream, sentMs, result, deps.clock());
  const { policy, clock, aside } = deps;
  // Whether a reply that isn't known to anybody comes in pieces is only seen when it begins.
  const bounds =
    exchange.endpoint.kind === 'passthrough'
      ? { ...policy, firstTokenTimeoutMs: policy.replyTimeoutMs }
      : policy;
  const terms = {
    wantsStream: stream,
    choices: request.choices,
    hurried: exchange.headers['x-sidegate-timeout'] !== undefined,
    bounds,
    remainingMs,
    cancellation,
    clock,
    aside,
    room: exchange,
    onDefect: (cause: unknown) => deps.telemetry.defect(exchange.id, cause),
    onDied() {
      const nowMs = clock();
      state.trail.died(target.label, nowMs);
      deps.telemetry.call(
        target.label,
        deadConnection,
        nowMs - sentMs,
        null,
        target.health.model !== undefined,
      );
    },
    onResult: learn,
  };
  const make = (all: readonly string[]): Promise<CallResult> =>
    exchange.endpoint.kind === 'session'
      ? callSession(target.provider, sent, all, deps.messageMaxBytes, terms)
      : call(target.provider, sent, all, repeatable, terms);
  if (credential.sign === null) return make(headers);
  return credential.sign(sent.path, headers, sent.body).then(make, (): CallResult => {
    // What can't be signed was never sent, but the latency record must end all the same.
    const result = { kind: 'failed', failure: 'connect', arrived: null, code: '' } as const;
    learn(result);
    return result;
  });
}

/** Passes the provider's refusal on unchanged. */
function passOn(
  state: WalkState,
  target: Target,
  result: Extract<CallResult, { kind: 'status' }>,
): AttemptReply {
  const { trail, begunMs } = state;
  const { dropped } = state.preparation.of(target);
  return { ...result, kind: 'whole', facts: null, target, trail, begunMs, dropped };
}

/** Turns a target's answer into the reply for the client. */
function answer(state: WalkState, index: number, openCall: OpenCall, result: Answered): AttemptReply {
  const { plan, exchange, request, deps, trail, begunMs } = state;
  const { target } = openCall;
  const { dropped } = state.preparation.of(target);
  const nowMs = deps.clock();
  openCall.credential.answeredMs = nowMs;
  contentCame(openCall, deps, nowMs);
  trail.add(openCall, 'ok', '', result, nowMs);
  if (result.kind !== 'session')
    deps.hedges?.observe(plan.pattern, target.health, request.stream, openCall.ttftMs ?? 0);
  if (result.kind === 'whole') {
    const { status, headers, body, facts, text } = result;
    trail.bill({ target, facts, complete: true, text });
    endCall(openCall, 'success', 'ok', facts, deps, nowMs);
    return { kind: 'whole', status, headers, body, facts, target, trail, begunMs, dropped };
  }
  if (result.kind === 'session') {
    const end: SessionAnswer['end'] = (cut, facts) => {
      const endMs = deps.clock();
      trail.end(endMs);
      if (cut !== null) trail.cut(cut);
      endCall(openCall, cut === null ? 'success' : 'failure', cut ?? 'ok', facts, deps, endMs);
    };
    return { ...result, target, trail, begunMs, dropped, end };
  }
  // Off unless the client asks for it, since SDKs would join the two texts; never with server tools, which must not run
  // twice. Endpoints other than chat have no event that could announce it.
  const wanted = exchange.headers['x-sidegate-restart'] === 'on-cut';
  const restarts = wanted && state.repeatable && exchange.endpoint.auxiliary === undefined;
  const stream = followStream(target, result.stream, {
    dialect: dialects[exchange.endpoint.dialect],
    cancellation: exchange.cancellation,
    trail,
    end: (outcome: CallOutcome, label) => {
      const endMs = deps.clock();
      trail.end(endMs);
      endCall(openCall, outcome, label, result.stream.scanner.facts(), deps, endMs);
    },
    idempotent: exchange.headers['idempotency-key'] !== undefined,
    onDefect: (cause) => deps.telemetry.defect(exchange.id, cause),
    restart: !restarts
      ? null
      : (failure) => {
          if (atDeadline.has(failure)) return null;
          const next = following(plan.steps, index, [causeOf(failure)]);
          return next < 0 ? null : walk(state, next);
        },
  });
  return { ...result, stream, target, trail, begunMs, dropped };
}
