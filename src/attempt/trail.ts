/** What was tried for one request, and the one clear error that is made of it when nothing answered. */

import { Refusal } from '../base/errors.ts';
import type { BilledTry } from '../count/usage.ts';

const timeouts = ['first_token_timeout', 'reply_timeout', 'idle_timeout', 'deadline', 'unfinished'];
const badAnswers = ['malformed', 'too_large', 'error_in_body', 'ended_early'];

/** What set the time behind an outcome, to be named in the message. */
const timeoutKeys: Readonly<Record<string, string>> = {
  first_token_timeout: 'attempt.firstTokenTimeoutMs',
  reply_timeout: 'attempt.replyTimeoutMs',
  deadline: 'attempt.totalTimeoutMs or x-sidegate-timeout',
  unfinished: 'the provider waited no longer for its model',
};

const noRetry = ['x-should-retry', 'false'];

interface TrailStep {
  readonly label: string;
  outcome: string;
  readonly called: boolean;
}

/** A class, since a request makes one: methods cost nothing there, closures would. */
export class Trail {
  readonly #steps: TrailStep[] = [];
  readonly #billed: BilledTry[] = [];
  #calls = 0;
  #waitMs = Number.POSITIVE_INFINITY;

  /** A call to a target and what came of it. */
  add(label: string, outcome: string): void {
    this.#calls += 1;
    this.#steps.push({ label, outcome, called: true });
  }

  /** The stream of the last call broke off after all. */
  cut(outcome: string): void {
    const last = this.#steps.at(-1);
    if (last !== undefined) last.outcome = outcome;
  }

  /** A target passed over without a call, and when it may be asked again. */
  skip(label: string, reason: string, waitMs: number): void {
    this.#waitMs = Math.min(this.#waitMs, waitMs);
    // After a failed call its own outcome says more than the breaker it opened.
    if (this.#steps.at(-1)?.label !== label) this.#steps.push({ label, outcome: reason, called: false });
  }

  /** A call that its provider bills, good or bad: whatever began to answer. */
  bill(each: BilledTry): void {
    this.#billed.push(each);
  }

  /** Those, in order. */
  get billed(): readonly BilledTry[] {
    return this.#billed;
  }

  /** Calls made. */
  get calls(): number {
    return this.#calls;
  }

  /** `target: outcome` each, in order; bounded by chain and retries. */
  get text(): string {
    const [first] = this.#steps;
    if (first !== undefined && this.#steps.length === 1) return `${first.label}: ${first.outcome}`;
    return this.#steps.map(({ label, outcome }) => `${label}: ${outcome}`).join(', ');
  }

  /** Whether it ended so; a target that can't be told the request is as if it weren't there. */
  lastWas(...outcomes: readonly string[]): boolean {
    const last = this.#steps.findLast(({ outcome }) => outcome !== 'unsupported_field');
    return outcomes.includes(last?.outcome ?? '');
  }

  /** The error for a request that nobody answered. @param notAsked targets that no condition led to */
  refusal(notAsked: readonly string[]): Refusal {
    const steps = this.#steps;
    const all = (outcomes: readonly string[]): boolean =>
      steps.every(({ outcome }) => outcomes.includes(outcome));
    const rest =
      notAsked.length === 0 ? '' : ` Not asked, as no condition (\`on\`) led there: ${notAsked.join(', ')}.`;
    const tried = `Tried ${this.text}.${rest}`;
    if (all(['credential'])) {
      return new Refusal(
        'upstream_credential',
        `The provider refused the gateway's own credential. ${tried}`,
        { headers: noRetry },
      );
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
