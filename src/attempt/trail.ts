/** What was tried for one request, and the one clear error that is made of it when nothing answered. */
import type { BilledTry } from '../count/usage.ts';
import { Refusal } from '../errors.ts';

export interface Trail {
  /** A call to a target and what came of it. */
  add(label: string, outcome: string): void;
  /** The stream of the last call broke off after all. */
  cut(outcome: string): void;
  /** A target passed over without a call, and when it may be asked again. */
  skip(label: string, reason: string, waitMs: number): void;
  /** A call that its provider bills, good or bad: whatever began to answer. */
  bill(billed: BilledTry): void;
  /** Those, in order. */
  readonly billed: readonly BilledTry[];
  /** Calls made. */
  readonly calls: number;
  /** `target: outcome` each, in order; bounded by chain and retries. */
  readonly text: string;
  lastWas(...outcomes: readonly string[]): boolean;
  /** The error for a request that nobody answered. @param notAsked targets that no condition led to */
  refusal(notAsked: readonly string[]): Refusal;
}

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

export function createTrail(): Trail {
  const steps: { label: string; outcome: string; called: boolean }[] = [];
  const billed: BilledTry[] = [];
  let waitMs = Number.POSITIVE_INFINITY;

  const text = (): string => steps.map(({ label, outcome }) => `${label}: ${outcome}`).join(', ');

  return {
    add: (label, outcome) => void steps.push({ label, outcome, called: true }),
    cut(outcome) {
      const last = steps.pop();
      if (last !== undefined) steps.push({ ...last, outcome });
    },
    skip(label, reason, ms) {
      waitMs = Math.min(waitMs, ms);
      // After a failed call its own outcome says more than the breaker it opened.
      if (steps.at(-1)?.label !== label) steps.push({ label, outcome: reason, called: false });
    },
    bill: (each) => void billed.push(each),
    billed,
    get calls() {
      return steps.filter(({ called }) => called).length;
    },
    get text() {
      return text();
    },
    lastWas: (...outcomes) => outcomes.includes(steps.at(-1)?.outcome ?? ''),
    refusal(notAsked) {
      const all = (outcomes: readonly string[]): boolean =>
        steps.every(({ outcome }) => outcomes.includes(outcome));
      const rest =
        notAsked.length === 0
          ? ''
          : ` Not asked, as no condition (\`on\`) led there: ${notAsked.join(', ')}.`;
      const tried = `Tried ${text()}.${rest}`;
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
      const retryAfterMs = Number.isFinite(waitMs) ? waitMs : 1000;
      return new Refusal('targets_down', `No target could answer. ${tried}`, {
        retryAfterMs,
        headers: noRetry,
      });
    },
  };
}
