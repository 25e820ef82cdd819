/** What a call that gave no answer means: for its target, and for how the request goes on. */

import { type Admission, endCall } from '../upstream/admission.ts';
import { restLimited, restRefused } from '../upstream/credential.ts';
import type { FallbackCause, Target } from '../upstream/target.ts';
import type { AttemptDeps } from './deps.ts';
import type { CallFailure, CallResult } from './result.ts';
import type { Trail } from './trail.ts';

/** A call's result that is no answer. */
export type Miss = Exclude<CallResult, { kind: 'whole' | 'stream' }>;

/** A call's result that goes on to the client. */
export type Answered = Extract<CallResult, { kind: 'whole' | 'stream' }>;

export const isAnswer = (result: CallResult): result is Answered =>
  result.kind === 'whole' || result.kind === 'stream';

/** How to go on. */
export type Next =
  /** The same target again, after a backoff. */
  | 'retry'
  /** The same target with another credential, at once. */
  | 'credential'
  /** The next target. */
  | 'fallback'
  /** A target that asks for this cause by name; else the refusal is the answer. */
  | 'named'
  /** The provider's refusal is the answer. */
  | 'pass';

export interface Verdict {
  readonly next: Next;
  readonly cause: FallbackCause;
  /** How long the provider asks to wait, in ms; null: it doesn't say. */
  readonly askedMs: number | null;
}

const causes: Readonly<Record<CallFailure, FallbackCause>> = {
  connect: 'outage',
  reset: 'outage',
  first_token_timeout: 'timeout',
  reply_timeout: 'timeout',
  idle_timeout: 'timeout',
  deadline: 'timeout',
  unfinished: 'timeout',
  malformed: 'server',
  too_large: 'server',
  error_in_body: 'server',
  ended_early: 'server',
  cancelled: 'server',
};

export const causeOf = (failure: CallFailure): FallbackCause => causes[failure];

/** Tells of a call that gave no answer, lets credentials rest, and says how to go on. */
export function judge(admission: Admission, miss: Miss, deps: AttemptDeps, trail: Trail): Verdict {
  const { target } = admission;
  if (miss.kind === 'failed') {
    const { failure } = miss;
    trail.add(target.label, failure);
    if (miss.arrived !== null) trail.bill({ target, complete: false, ...miss.arrived });
    const facts = miss.arrived?.facts ?? null;
    endCall(admission, failure === 'cancelled' ? 'abandoned' : 'failure', failure, facts, deps);
    const cause = causes[failure];
    // A slow provider is not made faster by asking it again.
    return { next: cause === 'timeout' ? 'fallback' : 'retry', cause, askedMs: null };
  }
  return judgeStatus(admission, miss, deps, trail);
}

/** Whether a provider refuses the request for its own sake, so that another call would fare no better. */
export function isRefused(target: Target, result: CallResult, deps: AttemptDeps): boolean {
  if (result.kind !== 'status') return false;
  const { kind } = target.provider.dialect.fault(
    result.status,
    result.headers,
    result.body,
    deps.wallClock(),
  );
  return kind === 'rejected' || kind === 'context_window' || kind === 'content_policy';
}

function judgeStatus(
  admission: Admission,
  { status, headers, body }: Extract<Miss, { kind: 'status' }>,
  deps: AttemptDeps,
  trail: Trail,
): Verdict {
  const { target, credential } = admission;
  const fault = target.provider.dialect.fault(status, headers, body, deps.wallClock());
  const askedMs = fault.retryAfterMs;
  const word = String(status);
  trail.add(
    target.label,
    fault.kind === 'server' || fault.kind === 'unexpected' ? `status ${status}` : fault.kind,
  );
  switch (fault.kind) {
    case 'rejected':
      endCall(admission, 'success', word, null, deps);
      return { next: 'pass', cause: 'server', askedMs };
    case 'context_window':
    case 'content_policy':
      endCall(admission, 'success', word, null, deps);
      return { next: 'named', cause: fault.kind, askedMs };
    case 'credential':
      endCall(admission, 'abandoned', word, null, deps);
      if (target.provider.clientCredential) return { next: 'pass', cause: 'outage', askedMs };
      restRefused(credential, deps.clock());
      deps.telemetry.credentialRefused(
        target.provider.name,
        status,
        target.provider.credentials.indexOf(credential),
      );
      return { next: 'credential', cause: 'outage', askedMs };
    case 'rate_limited':
    case 'quota': {
      endCall(admission, 'abandoned', word, null, deps);
      // The client's own credential is nobody else's, so nobody else rests for it.
      if (target.provider.clientCredential) return { next: 'fallback', cause: 'rate_limited', askedMs };
      const restMs = restLimited(credential, target, fault.kind, askedMs, deps.clock());
      deps.hints.rest(target, credential, restMs);
      return { next: 'credential', cause: 'rate_limited', askedMs };
    }
    case 'unexpected':
      endCall(admission, 'failure', word, null, deps);
      return { next: 'fallback', cause: 'server', askedMs };
    case 'server':
      endCall(admission, 'failure', word, null, deps);
      return { next: 'retry', cause: 'server', askedMs };
  }
}
