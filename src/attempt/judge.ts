/** What a failed call means: for its target's health, and for how the request continues. */

import type { FaultKind } from '../dialects/fault.ts';
import { coolDownForbidden, coolDownLimited, coolDownRefused } from '../upstream/credential.ts';
import { endCall, type OpenCall } from '../upstream/open-call.ts';
import type { FallbackCause, Target } from '../upstream/target.ts';
import type { AttemptDeps } from './deps.ts';
import { errorNote } from './error-note.ts';
import { networkAdvice, neverConnected } from './network.ts';
import { blameless, type CallFailure, type CallResult } from './result.ts';
import type { Trail } from './trail.ts';

/** The result of a call that gave no answer. */
export type Miss = Exclude<CallResult, { kind: 'whole' | 'stream' | 'session' }>;

/** The result of a call that answered. */
export type Answered = Extract<CallResult, { kind: 'whole' | 'stream' | 'session' }>;

/** Whether a call answered: its reply goes to the client. */
export const isAnswer = (result: CallResult): result is Answered =>
  result.kind === 'whole' || result.kind === 'stream' || result.kind === 'session';

/** How the request continues. */
export type Next =
  /** The same target again, after a backoff. */
  | 'retry'
  /** The same target with another credential, at once. */
  | 'credential'
  /** The next target. */
  | 'fallback'
  /** The next target whose edge names this cause; if there is none, the refusal is the answer. */
  | 'named'
  /** The provider's refusal is the answer. */
  | 'pass';

/** How the request continues after a failed call, and why. */
export interface Verdict {
  readonly next: Next;
  readonly cause: FallbackCause;
  /** How long the provider asks to wait, in ms; null: it doesn't say. */
  readonly askedMs: number | null;
  /** The provider may have acted on the request: it wasn't refused, or not reached, before that. */
  readonly acted: boolean;
}

const causes: Readonly<Record<CallFailure, FallbackCause>> = {
  connect: 'outage',
  dns: 'outage',
  tls: 'outage',
  reset: 'outage',
  address_refused: 'outage',
  certificate: 'outage',
  proxy: 'outage',
  first_token_timeout: 'timeout',
  reply_timeout: 'timeout',
  idle_timeout: 'timeout',
  deadline: 'timeout',
  client_deadline: 'timeout',
  client_slow: 'timeout',
  unfinished: 'timeout',
  malformed: 'server',
  too_large: 'server',
  no_room: 'server',
  defect: 'server',
  error_in_body: 'server',
  ended_early: 'server',
  cancelled: 'server',
};

const statusCauses: Readonly<Record<FaultKind, FallbackCause>> = {
  rejected: 'server',
  context_window: 'context_window',
  content_policy: 'content_policy',
  credential: 'outage',
  forbidden: 'outage',
  rate_limited: 'rate_limited',
  quota: 'rate_limited',
  unexpected: 'server',
  server: 'server',
};

/** What the trail says of a refusal; null: its status. */
const outcomes: Readonly<Record<FaultKind, string | null>> = {
  rejected: 'rejected',
  context_window: 'context_window',
  content_policy: 'content_policy',
  credential: 'credential',
  forbidden: 'credential',
  rate_limited: 'rate_limited',
  quota: 'quota',
  unexpected: null,
  server: null,
};

/** Failures that come again if it is asked again. */
const repeats: ReadonlySet<CallFailure> = new Set(['too_large', 'no_room', 'defect']);

/** Failures before anything was sent. */
const unsent: ReadonlySet<CallFailure> = new Set(['dns', 'address_refused', 'certificate', 'proxy']);

/** Refusals of the account, the key or the prompt's length, which come before anything is done. */
const refusedFirst: ReadonlySet<FaultKind> = new Set([
  'credential',
  'forbidden',
  'rate_limited',
  'quota',
  'context_window',
]);

/** The cause by which edges know a failure. */
export const causeOf = (failure: CallFailure): FallbackCause => causes[failure];

/** Reports a failed call, starts cooldowns of credentials, and decides how the request continues. */
export function judge(openCall: OpenCall, miss: Miss, deps: AttemptDeps, trail: Trail): Verdict {
  const { target } = openCall;
  if (miss.kind === 'failed') {
    const { failure, code } = miss;
    const facts = miss.arrived?.facts ?? null;
    const nowMs = deps.clock();
    const cause = causes[failure];
    trail.add(openCall, failure, cause, null, nowMs, code);
    if (miss.arrived !== null) trail.bill({ target, complete: false, ...miss.arrived });
    const advice = networkAdvice(failure);
    if (advice !== undefined) deps.telemetry.unreachable(target.provider.name, failure, code, advice);
    endCall(openCall, blameless.has(failure) ? 'abandoned' : 'failure', failure, facts, deps, nowMs);
    // Asking a slow provider again doesn't make it faster, what an operator must mend isn't mended by then, and an
    // answer that was too large is too large again, and is billed again.
    const again = cause !== 'timeout' && advice === undefined && !repeats.has(failure);
    const acted = !unsent.has(failure) && !neverConnected.has(code);
    return { next: again ? 'retry' : 'fallback', cause, askedMs: null, acted };
  }
  return judgeStatus(openCall, miss, deps, trail);
}

/** Whether a provider refuses the request itself, so that another call to it would be refused too. */
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
  openCall: OpenCall,
  miss: Extract<Miss, { kind: 'status' }>,
  deps: AttemptDeps,
  trail: Trail,
): Verdict {
  const { target, credential } = openCall;
  const { status, headers, body } = miss;
  const fault = target.provider.dialect.fault(status, headers, body, deps.wallClock());
  const askedMs = fault.retryAfterMs;
  trail.asked(askedMs);
  const label = String(status);
  const said = outcomes[fault.kind] ?? `status ${status}`;
  const cause = statusCauses[fault.kind];
  const acted = !refusedFirst.has(fault.kind);
  trail.add(openCall, said, cause, miss, deps.clock(), errorNote(status, body));
  switch (fault.kind) {
    case 'rejected':
      endCall(openCall, 'success', label, null, deps);
      return { next: 'pass', cause, askedMs, acted };
    case 'context_window':
    case 'content_policy':
      endCall(openCall, 'success', label, null, deps);
      return { next: 'named', cause, askedMs, acted };
    case 'credential':
    case 'forbidden':
      endCall(openCall, 'abandoned', label, null, deps);
      if (target.provider.clientCredential) return { next: 'pass', cause, askedMs, acted };
      if (fault.kind === 'credential') coolDownRefused(credential, deps.clock());
      else coolDownForbidden(credential, target, deps.clock());
      deps.telemetry.credentialRefused(
        target.provider.name,
        status,
        target.provider.credentials.indexOf(credential),
      );
      return { next: 'credential', cause, askedMs, acted };
    case 'rate_limited':
    case 'quota': {
      endCall(openCall, 'abandoned', label, null, deps);
      // A client's own credential is shared with no other client, so it has no cooldown.
      if (target.provider.clientCredential) return { next: 'fallback', cause, askedMs, acted };
      const cooldownMs = coolDownLimited(credential, target, fault.kind, askedMs, deps.clock());
      if (fault.kind === 'quota')
        deps.telemetry.quotaSpent(
          target.provider.name,
          status,
          target.provider.credentials.indexOf(credential),
        );
      deps.hints.rest(target, credential, cooldownMs);
      return { next: 'credential', cause, askedMs, acted };
    }
    case 'unexpected':
      endCall(openCall, 'failure', label, null, deps);
      return { next: 'fallback', cause, askedMs, acted };
    case 'server':
      endCall(openCall, 'failure', label, null, deps);
      return { next: 'retry', cause, askedMs, acted };
  }
}
