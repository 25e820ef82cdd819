/** Stage attempt: ordered targets → one reply. The only owner of retries, timeouts, breakers and fallback. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Cancellation } from '../cancellation.ts';
import type { Config } from '../config/schema.ts';
import { Refusal } from '../errors.ts';
import type { Exchange, ModelRequest } from '../exchange.ts';
import { breaker, breakerOutcome, type ReplyFacts } from '../native.ts';
import { dialects } from '../providers/index.ts';
import type { ProviderFault, UpstreamRequest } from '../providers/provider.ts';
import type { Step, Target } from '../route/plan.ts';
import { type CallResult, call } from './call.ts';
import { type AnswerStream, cancelRefusal, followStream } from './follow.ts';
import { createPrepare, type Prepare } from './prepare.ts';
import { createTrail, type Trail } from './trail.ts';

/** What one attempt needs besides the request. */
export interface AttemptDeps {
  readonly policy: Config['attempt'];
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly wallClock: () => number;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  /** Told of each call's end, for metrics. */
  readonly onCall: (target: Target, outcome: string) => void;
  /** Told when a credential of the gateway's own is refused. */
  readonly onCredential: (target: Target, status: number) => void;
}

interface Answer {
  readonly target: Target;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trail: Trail;
  /** When the first call was sent, monotonic ms. */
  readonly begunMs: number;
  /** Fields that the target's dialect has no words for, left out of what it was sent. */
  readonly dropped: readonly string[];
}

/** A reply to pass on. `facts` null: the provider's own refusal. */
export type AttemptReply =
  | (Answer & { readonly kind: 'whole'; readonly body: Buffer; readonly facts: ReplyFacts | null })
  | (Answer & { readonly kind: 'stream'; readonly stream: AnswerStream });

/** No target answered. */
export interface AttemptFailure {
  readonly kind: 'failed';
  readonly refusal: Refusal;
  readonly trail: Trail;
}

/** A credential that was refused is not tried again for so long. */
const credentialRestMs = 60_000;
/** A 429 that names no time. */
const rateLimitRestMs = 1_000;
/** A provider's word is taken for so long at most. */
const restMaxMs = 3_600_000;

/** How the loop goes on after a call that gave no answer. */
type Next = 'retry' | 'next';

/** Asks the targets in order until one answers. Never rejects; ends within the deadline. */
export async function attempt(
  steps: readonly Step[],
  exchange: Exchange,
  request: ModelRequest,
  deadlineMs: number,
  deps: AttemptDeps,
): Promise<AttemptReply | AttemptFailure> {
  const prepare = createPrepare(exchange, request, steps.length === 1, deps.wallClock);
  return tryTargets(steps, exchange, request, deadlineMs, deps, createTrail(), prepare);
}

async function tryTargets(
  steps: readonly Step[],
  exchange: Exchange,
  request: ModelRequest,
  deadlineMs: number,
  deps: AttemptDeps,
  trail: Trail,
  prepare: Prepare,
): Promise<AttemptReply | AttemptFailure> {
  const { cancellation } = exchange;
  const begunMs = deps.clock();
  let limited: { target: Target; result: StatusResult } | null = null;
  let untold: Refusal | null = null;
  for (const [index, { target }] of steps.entries()) {
    const prepared = prepare(target);
    if (prepared instanceof Refusal) {
      untold ??= prepared;
      trail.skip(target.label, prepared.code, Number.POSITIVE_INFINITY);
      continue;
    }
    const { sent, dropped } = prepared;
    // A request with server tools acts at the provider: doing it twice is worse than failing.
    const retriesMax = request.serverTools ? 0 : deps.policy.retriesMax;
    for (let retry = 0; retry <= retriesMax; retry++) {
      const admission = admit(target, deps.clock());
      if (typeof admission !== 'number') {
        trail.skip(target.label, admission.reason, admission.waitMs);
        break;
      }
      const result = await callOnce(target, sent, exchange, request, deadlineMs, deps);
      if (result.kind === 'whole' || result.kind === 'stream') {
        trail.add(target.label, 'ok');
        if (result.kind === 'whole') {
          report(target, admission, 'success', deps, 'ok');
          return { ...result, target, trail, begunMs, dropped };
        }
        const rest = mayRestart(exchange, request) ? steps.slice(index + 1) : [];
        const stream = followStream(target, result.stream, {
          dialect: dialects[exchange.endpoint.dialect],
          cancellation,
          trail,
          report: (outcome, word) => report(target, admission, outcome, deps, word),
          restart:
            rest.length === 0
              ? null
              : () => tryTargets(rest, exchange, request, deadlineMs, deps, trail, prepare),
        });
        return { ...result, stream, target, trail, begunMs, dropped };
      }
      const judged = judge(target, admission, result, deps, trail);
      if (judged === 'pass' && result.kind === 'status')
        return { ...result, kind: 'whole', facts: null, target, trail, begunMs, dropped };
      if (result.kind === 'status' && judged === 'limited') limited = { target, result };
      if (cancellation.reason !== null)
        return { kind: 'failed', refusal: cancelRefusal(cancellation), trail };
      if (judged !== 'retry' || retry === retriesMax) break;
      if (!(await backOff(retry, result, deadlineMs, cancellation, deps))) break;
    }
    if (cancellation.reason !== null) return { kind: 'failed', refusal: cancelRefusal(cancellation), trail };
    if (deps.clock() >= deadlineMs || request.serverTools) {
      if (trail.calls > 0) break;
    }
  }
  // The provider's own 429 says more than a sentence of ours, when it is the last word.
  if (limited !== null && trail.lastWas('rate_limited', 'quota')) {
    return {
      ...limited.result,
      kind: 'whole',
      facts: null,
      target: limited.target,
      trail,
      begunMs,
      dropped: [],
    };
  }
  if (untold !== null && trail.calls === 0) return { kind: 'failed', refusal: untold, trail };
  return { kind: 'failed', refusal: trail.refusal(), trail };
}

type StatusResult = Extract<CallResult, { kind: 'status' }>;

/** Off unless the client asks for it, since SDKs would join the two texts; never twice with server tools. */
const mayRestart = (exchange: Exchange, request: ModelRequest): boolean =>
  exchange.headers['x-sidegate-restart'] === 'on-cut' && !request.serverTools;

/** A breaker ticket, or why the target is passed over. */
function admit(target: Target, nowMs: number): number | { reason: string; waitMs: number } {
  const { provider, health } = target;
  if (provider.credentialRestsUntilMs > nowMs) {
    return { reason: 'credential', waitMs: provider.credentialRestsUntilMs - nowMs };
  }
  if (health.restsUntilMs > nowMs) return { reason: 'resting', waitMs: health.restsUntilMs - nowMs };
  const ticket = breaker.admit(health.breakerId, nowMs);
  return ticket < 0 ? { reason: 'breaker_open', waitMs: -ticket } : ticket;
}

function report(
  target: Target,
  ticket: number,
  outcome: keyof typeof breakerOutcome,
  deps: AttemptDeps,
  word: string,
): void {
  breaker.report(target.health.breakerId, ticket, breakerOutcome[outcome], deps.clock());
  deps.onCall(target, word);
}

function callOnce(
  { provider }: Target,
  sent: UpstreamRequest,
  exchange: Exchange,
  request: ModelRequest,
  deadlineMs: number,
  deps: AttemptDeps,
): Promise<CallResult> {
  const remainingMs = Math.max(1, Math.ceil(deadlineMs - deps.clock()));
  return call(provider, sent, request.stream, deps.policy, remainingMs, exchange.cancellation);
}

/** Reports a call that gave no answer, and says how to go on. `pass`: the provider's refusal is the answer. */
function judge(
  target: Target,
  ticket: number,
  result: Exclude<CallResult, { kind: 'whole' | 'stream' }>,
  deps: AttemptDeps,
  trail: Trail,
): Next | 'pass' | 'limited' {
  if (result.kind === 'failed') {
    const { failure } = result;
    trail.add(target.label, failure);
    report(target, ticket, failure === 'cancelled' ? 'abandoned' : 'failure', deps, failure);
    // A slow provider is not made faster by asking it again.
    return failure === 'first_token_timeout' || failure === 'reply_timeout' || failure === 'deadline'
      ? 'next'
      : 'retry';
  }
  const { status, headers, body } = result;
  const fault = target.provider.dialect.fault(status, headers, body, deps.wallClock());
  trail.add(
    target.label,
    fault.kind === 'server' || fault.kind === 'unexpected' ? `status ${status}` : fault.kind,
  );
  return judgeStatus(target, ticket, status, fault, deps);
}

function judgeStatus(
  target: Target,
  ticket: number,
  status: number,
  fault: ProviderFault,
  deps: AttemptDeps,
): Next | 'pass' | 'limited' {
  const nowMs = deps.clock();
  const word = String(status);
  switch (fault.kind) {
    case 'rejected':
      report(target, ticket, 'success', deps, word);
      return 'pass';
    case 'credential':
      report(target, ticket, 'abandoned', deps, word);
      if (target.provider.clientCredential) return 'pass';
      target.provider.credentialRestsUntilMs = nowMs + credentialRestMs;
      deps.onCredential(target, status);
      return 'next';
    case 'rate_limited':
    case 'quota':
      report(target, ticket, 'abandoned', deps, word);
      target.health.restsUntilMs = nowMs + Math.min(restMaxMs, fault.retryAfterMs ?? rateLimitRestMs);
      return 'limited';
    case 'unexpected':
      report(target, ticket, 'failure', deps, word);
      return 'next';
    case 'server':
      report(target, ticket, 'failure', deps, word);
      return 'retry';
  }
}

/** Waits with full jitter, or as long as the provider says; false: that would outlast the deadline, or the client left. */
async function backOff(
  retry: number,
  result: CallResult,
  deadlineMs: number,
  cancellation: Cancellation,
  deps: AttemptDeps,
): Promise<boolean> {
  const { backoffBaseMs, backoffMaxMs } = deps.policy;
  const asked = result.kind === 'status' ? Number(result.headers['retry-after'] ?? 0) * 1000 : 0;
  const jittered = deps.random() * Math.min(backoffMaxMs, backoffBaseMs * 2 ** retry);
  const waitMs = Math.max(jittered, Number.isFinite(asked) ? asked : 0);
  if (waitMs > backoffMaxMs || deps.clock() + waitMs >= deadlineMs) return false;
  await sleep(waitMs, cancellation);
  return cancellation.reason === null;
}

/** Waits, or until nobody does any more. */
function sleep(waitMs: number, cancellation: Cancellation): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      cancellation.off(wake);
      resolve();
    };
    const timer = setTimeout(wake, waitMs);
    cancellation.onCancel(wake);
  });
}
