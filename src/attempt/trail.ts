/** The record of what was tried for one request, and the error made from it when no target answered. */

import { Refusal } from '../base/errors.ts';
import type { BilledTry } from '../count/usage.ts';

const timeouts = ['first_token_timeout', 'reply_timeout', 'idle_timeout', 'deadline', 'unfinished'];
const badAnswers = ['malformed', 'too_large', 'error_in_body', 'ended_early'];

/** Outcome → the setting behind the timeout, for the message. */
const timeoutKeys: Readonly<Record<string, string>> = {
  first_token_timeout: 'attempt.firstTokenTimeoutMs',
  reply_timeout: 'attempt.replyTimeoutMs',
  deadline: 'attempt.totalTimeoutMs or x-sidegate-timeout',
  unfinished: 'the provider gave up waiting for its model',
};

const noRetry = ['x-should-retry', 'false'];

interface TrailStep {
  readonly label: string;
  outcome: string;
  readonly called: boolean;
}

/** What was tried for one request, in order. A class, since each request makes one and closures would cost more. */
export class Trail {
  readonly #steps: TrailStep[] = [];
  readonly #billed: BilledTry[] = [];
  #calls = 0;
  #waitMs = Number.POSITIVE_INFINITY;

  /** Records a call to a target and its outcome. */
  add(label: string, outcome: string): void {
    this.#calls += 1;
    this.#steps.push({ label, outcome, called: true });
  }

  /** Corrects the last call's outcome: its stream was cut off. */
  cut(outcome: string): void {
    const last = this.#steps.at(-1);
    if (last !== undefined) last.outcome = outcome;
  }

  /** Records a target skipped without a call. @param waitMs until it may be called again; Infinity: never */
  skip(label: string, reason: string, waitMs: number): void {
    this.#waitMs = Math.min(this.#waitMs, waitMs);
    // A failed call's outcome says more than the breaker it opened.
    if (this.#steps.at(-1)?.label !== label) this.#steps.push({ label, outcome: reason, called: false });
  }

  /** Records a call that its provider bills: any that began to answer. */
  bill(each: BilledTry): void {
    this.#billed.push(each);
  }

  /** The calls that providers bill, in order. */
  get billed(): readonly BilledTry[] {
    return this.#billed;
  }

  /** Calls made. */
  get calls(): number {
    return this.#calls;
  }

  /** `target: outcome` of each step, in order; bounded by the plan's steps and retries. */
  get text(): string {
    const [first] = this.#steps;
    if (first !== undefined && this.#steps.length === 1) return `${first.label}: ${first.outcome}`;
    return this.#steps.map(({ label, outcome }) => `${label}: ${outcome}`).join(', ');
  }

  /** Whether the last step had one of these outcomes; targets skipped for an unsupported field don't count. */
  lastWas(...outcomes: readonly string[]): boolean {
    const last = this.#steps.findLast(({ outcome }) => outcome !== 'unsupported_field');
    return outcomes.includes(last?.outcome ?? '');
  }

  /** The error for a request that no target answered. @param notAsked targets that no condition led to */
  refusal(notAsked: readonly string[]): Refusal {
    const steps = this.#steps;
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
    if (all(timeouts)) {
      const key = timeoutKeys[steps.at(-1)?.outcome ?? ''] ?? 'attempt.idleTimeoutMs';
      return new Refusal('upstream_timeout', `No answer in time (${key}). ${tried}`, { headers: noRetry });
    }
    if (steps.some(({ outcome }) => badAnswers.includes(outcome))) {
      return new Refusal('upstream_failed', `The provider's answer could not be used. ${tried}`, {
        headers: noRetry,
      });
    }
    const retryAfterMs = Number.isFinite(this.#waitMs) ? this.#waitMs : 1000;
    return new Refusal('targets_down', `No target could answer. ${tried}`, {
      retryAfterMs,
      headers: noRetry,
    });
  }
}
