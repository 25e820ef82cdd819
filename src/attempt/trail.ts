/** The record of what was tried for one request, and the error made from it when no target answered. */
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../base/errors.ts';
import { type BilledTry, withPlausible } from '../count/usage.ts';
import type { AttemptStep } from '../exchange/attempt-step.ts';
import type { OpenCall } from '../upstream/open-call.ts';
import type { FallbackCause } from '../upstream/target.ts';
import { networkAdvice } from './network.ts';

const timeouts = [
  'first_token_timeout',
  'reply_timeout',
  'idle_timeout',
  'deadline',
  'client_deadline',
  'unfinished',
];
const badAnswers = ['malformed', 'too_large', 'error_in_body', 'ended_early'];

/** Outcome → the setting behind the timeout, for the message. */
const timeoutKeys: Readonly<Record<string, string>> = {
  first_token_timeout: 'attempt.firstTokenTimeoutMs',
  reply_timeout: 'attempt.replyTimeoutMs',
  deadline: 'attempt.totalTimeoutMs',
  client_deadline: 'x-sidegate-timeout',
  unfinished: 'the provider gave up waiting for its model',
};

/** A provider's id of a call that isn't like this isn't kept. */
const plainId = /^[\w.:@/=+-]{1,128}$/;
/** A provider's id of a call; empty: it gave none. Azure, AWS and relays have headers of their own. */
function idOf(headers: IncomingHttpHeaders, usual: string): string {
  const id =
    headers[usual] ??
    headers['x-request-id'] ??
    headers['request-id'] ??
    headers['x-amzn-requestid'] ??
    headers['apim-request-id'];
  return typeof id === 'string' && plainId.test(id) ? id : '';
}

/** A call without a reply has the network's code as its error; that of a reset says nothing more. */
const textOf = ({ target, outcome, status, error }: AttemptStep): string =>
  status === 0 && error !== '' && outcome !== 'reset'
    ? `${target}: ${outcome} ${error}`
    : `${target}: ${outcome}`;

/** Outcomes of targets that the request or its limits rule out, which say nothing of the providers. */
const ruledOut = ['unsupported_field', 'thread_not_found', 'wrong_key', 'over_limit'];
/** A kept connection had died: the call went out once more on a fresh one. */
export const deadConnection = 'dead_connection';
/** Outcomes that say nothing of why nobody answered. */
const asides = [...ruledOut, deadConnection];

/** Outcomes of targets that are limited for a while: none of the retries was spent, and a repeat may be answered. */
const limited = ['rate_limited', 'cooling_down', 'own_limit', 'connections'];

/** Most targets that a reply's head names as passed over: clients bound a head's size. */
const passedOverMax = 8;

const noRetry = ['x-should-retry', 'false'];
/** A client that would have to wait longer than this should not repeat its request by itself. */
const patienceMs = 60_000;

/** What a step shows of a provider's reply. */
export interface Replied {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** What was tried for one request, in order. A class, since each request makes one and closures would cost more. */
export class Trail {
  readonly steps: AttemptStep[] = [];
  readonly #billed: BilledTry[] = [];
  readonly #windows: number | undefined;
  /** Targets whose calls stated more than a request can use. */
  readonly implausible: string[] = [];
  #calls = 0;
  #waitMs = Number.POSITIVE_INFINITY;
  #askedMs = Number.POSITIVE_INFINITY;

  /** @param windows how often a call may use up a model's tokens; undefined: as in a plain chat */
  constructor(windows?: number) {
    this.#windows = windows;
  }

  /**
   * Records a call and its outcome.
   * @param cause what edges know the failure by; empty: it answered
   * @param reply null: none came
   * @param error from `errorNote`
   */
  add(
    { target, sentMs, ttftMs, model }: OpenCall,
    outcome: string,
    cause: FallbackCause | '',
    reply: Replied | null,
    nowMs: number,
    error = '',
  ): void {
    this.#calls += 1;
    this.steps.push({
      target: target.label,
      model,
      outcome,
      cause,
      called: true,
      billed: false,
      sentMs,
      durationMs: nowMs - sentMs,
      ttftMs: ttftMs ?? -1,
      status: reply?.status ?? 0,
      providerRequestId: reply === null ? '' : idOf(reply.headers, target.provider.dialect.requestIdHeader),
      error,
    });
  }

  /** The last call's stream has ended. @param nowMs monotonic ms */
  end(nowMs: number): void {
    const last = this.steps.at(-1);
    if (last !== undefined) last.durationMs = nowMs - last.sentMs;
  }

  /** Corrects the last call's outcome: its stream was cut off. */
  cut(outcome: string): void {
    const last = this.steps.at(-1);
    if (last !== undefined) last.outcome = outcome;
  }

  /**
   * Records a target skipped without a call.
   * @param waitMs until it may be called again; Infinity: never
   * @param nowMs monotonic ms
   */
  skip(label: string, reason: string, cause: FallbackCause | '', waitMs: number, nowMs: number): void {
    this.#waitMs = Math.min(this.#waitMs, waitMs);
    // A failed call's outcome says more than the breaker it opened.
    if (this.steps.at(-1)?.target === label) return;
    this.#pass(label, reason, cause, nowMs);
  }

  #pass(label: string, outcome: string, cause: FallbackCause | '', nowMs: number): void {
    this.steps.push({
      target: label,
      model: '',
      outcome,
      cause,
      called: false,
      billed: false,
      sentMs: nowMs,
      durationMs: 0,
      ttftMs: -1,
      status: 0,
      providerRequestId: '',
      error: '',
    });
  }

  /** Records that a call found its connection dead, and went out on a fresh one. */
  died(label: string, nowMs: number): void {
    this.#pass(label, deadConnection, '', nowMs);
  }

  /** A provider asks to wait; the last one that did is told to the client. @param askedMs null: it doesn't say */
  asked(askedMs: number | null): void {
    if (askedMs !== null) this.#askedMs = askedMs;
  }

  /** Records that the last call is billed by its provider, as is any that began to answer. */
  bill(each: BilledTry): void {
    const last = this.steps.at(-1);
    if (last !== undefined) last.billed = true;
    const kept = withPlausible(each, this.#windows);
    if (kept !== each) this.implausible.push(each.target.label);
    this.#billed.push(kept);
  }

  /** The calls that providers bill, in order. */
  get billed(): readonly BilledTry[] {
    return this.#billed;
  }

  /** Calls made. */
  get calls(): number {
    return this.#calls;
  }

  /** `target: outcome` of each step, in order, with the network's code; bounded by the plan's steps and retries. */
  get text(): string {
    const [first] = this.steps;
    if (first !== undefined && this.steps.length === 1) return textOf(first);
    return this.steps.map(textOf).join(', ');
  }

  /** `target=reason` of the first targets that were passed over without a call; empty: none was. */
  get passedOver(): string {
    if (this.steps.length === this.#calls) return '';
    const passed = this.steps.filter(({ called, outcome }) => !called && outcome !== deadConnection);
    return passed
      .slice(0, passedOverMax)
      .map(({ target, outcome }) => `${target}=${outcome}`)
      .join(',');
  }

  /**
   * Whether a client may repeat the request after a wait: nobody was asked but targets that are limited for so long. One
   * whose quota is spent has no answer then either, and keeps no other from one.
   */
  mayRepeat(waitMs: number): boolean {
    const steps = this.steps.filter(({ outcome }) => !asides.includes(outcome) && outcome !== 'quota');
    return (
      waitMs <= patienceMs && steps.length > 0 && steps.every(({ outcome }) => limited.includes(outcome))
    );
  }

  /** Whether the last step had one of these outcomes; targets that were ruled out don't count. */
  lastWas(...outcomes: readonly string[]): boolean {
    const last = this.steps.findLast(({ outcome }) => !asides.includes(outcome));
    return outcomes.includes(last?.outcome ?? '');
  }

  /** The error for a request that no target answered. @param notAsked targets that no condition led to */
  refusal(notAsked: readonly string[]): Refusal {
    const steps = this.steps.filter(({ outcome }) => !asides.includes(outcome));
    const all = (outcomes: readonly string[]): boolean =>
      steps.every(({ outcome }) => outcomes.includes(outcome));
    const rest =
      notAsked.length === 0 ? '' : ` Not tried, as no condition (\`on\`) led there: ${notAsked.join(', ')}.`;
    const tried = `Tried ${this.text}.${rest}`;
    if (all(['credential'])) {
      return new Refusal('upstream_credential', `The provider refused the gateway's credential. ${tried}`, {
        headers: noRetry,
      });
    }
    if (steps.at(-1)?.outcome === 'defect')
      return new Refusal('internal', `Sidegate failed on the provider's answer. ${tried}`, {
        headers: noRetry,
      });
    if (all(timeouts)) {
      const key = timeoutKeys[steps.at(-1)?.outcome ?? ''] ?? 'attempt.idleTimeoutMs';
      return new Refusal('upstream_timeout', `No answer in time (${key}). ${tried}`, { headers: noRetry });
    }
    if (steps.some(({ outcome }) => badAnswers.includes(outcome))) {
      return new Refusal('upstream_failed', `The provider's answer could not be used. ${tried}`, {
        headers: noRetry,
      });
    }
    const leastMs = Math.min(this.#waitMs, this.#askedMs);
    const retryAfterMs = Number.isFinite(leastMs) ? leastMs : 1000;
    const advice = networkAdvice(steps.findLast(({ called }) => called)?.outcome ?? '');
    const what = advice === undefined ? '' : ` ${advice}`;
    return new Refusal('targets_down', `No target could answer. ${tried}${what}`, {
      retryAfterMs,
      headers: this.mayRepeat(retryAfterMs) ? [] : noRetry,
    });
  }
}
