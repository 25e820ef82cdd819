/** Before and after each call: whether a target may be asked now, with which credential, and what is told of the call's end. */
import type { Telemetry } from '../base/telemetry.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { breaker, breakerOutcome, breakerState, isProbe } from '../native/breaker.ts';
import type { ReplyFacts } from '../native/reply.ts';
import { allRest, credentialsRest, takeCredential } from './credential.ts';
import { callBegan, callEnded } from './engine.ts';
import type { HealthBook, Subject } from './health.ts';
import type { PeerHints } from './hints.ts';
import { haveRoom, type Quota, settleQuotas, takeQuotas } from './quota.ts';
import type { Credential, FallbackCause, Target } from './target.ts';

/** What admission works with. */
export interface AdmissionDeps {
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly health: HealthBook;
  /** Estimated tokens of a request's prompt. */
  readonly estimate: (request: ModelRequest) => number;
  readonly telemetry: Pick<Telemetry, 'call' | 'breaker'>;
  readonly hints: PeerHints;
}

/** What one call holds from before it is sent until its end has been told. */
export interface Admission {
  readonly target: Target;
  readonly credential: Credential;
  /** Of the target's breaker; renewed when a probe has said its say. */
  ticket: number;
  /** Breaker above the target's, and its ticket; null: there is none. */
  readonly aboveId: number | null;
  aboveTicket: number;
  /** Own limits of the target and of its provider, and the tokens reserved of each. */
  readonly quotas: readonly Quota[];
  readonly tokens: number;
  /** Monotonic ms. */
  readonly sentMs: number;
  /** Time to the first content; whole replies are their own. Null: none came. */
  ttftMs: number | null;
}

/** Why a target is passed over, and when it may be asked again. */
export interface PassedOver {
  readonly reason: 'credential' | 'resting' | 'own_limit' | 'breaker_open' | 'provider_down';
  readonly waitMs: number;
  readonly cause: FallbackCause;
}

const noQuotas: readonly Quota[] = [];

/** Reserved of an own limit for a reply whose request states no limit; what was used is settled afterwards. */
const replyTokensGuess = 1024;

const replyTokens = ({ maxTokens, choices }: ModelRequest): number =>
  (maxTokens ?? replyTokensGuess) * choices;

/** Tokens that a call reserves of own limits. @param promptTokens estimate of its prompt's */
export const callTokens = (request: ModelRequest, promptTokens: number): number =>
  promptTokens + replyTokens(request);

/** Asks whether a call may be made; what is given has to come to `endCall`, once. */
export function admit(target: Target, request: ModelRequest, deps: AdmissionDeps): Admission | PassedOver {
  const nowMs = deps.clock();
  const credential = takeCredential(target, nowMs);
  if (credential === null) {
    const { reason, waitMs } = credentialsRest(target, nowMs);
    return { reason, waitMs, cause: reason === 'resting' ? 'rate_limited' : 'outage' };
  }
  const ticket = breaker.admit(target.health.breakerId, nowMs);
  if (ticket < 0) return { reason: 'breaker_open', waitMs: -ticket, cause: 'breaker_open' };
  const above = deps.health.provider(target.provider.name);
  const aboveId = above?.breakerId ?? null;
  const aboveTicket = aboveId === null ? 0 : breaker.admit(aboveId, nowMs);
  const quotas = quotasOf(deps.health.quota(target.label), above?.quota ?? null);
  const admission: Admission = {
    target,
    credential,
    ticket,
    aboveId: aboveTicket < 0 ? null : aboveId,
    aboveTicket,
    quotas,
    tokens: quotas.length === 0 ? 0 : callTokens(request, deps.estimate(request)),
    sentMs: nowMs,
    ttftMs: null,
  };
  if (aboveTicket < 0) {
    tellBreakers(admission, 'abandoned', nowMs, deps);
    return { reason: 'provider_down', waitMs: -aboveTicket, cause: 'breaker_open' };
  }
  const waitMs = quotas.length === 0 ? 0 : takeQuotas(quotas, admission.tokens, nowMs);
  if (waitMs === 0) {
    callBegan(target);
    return admission;
  }
  tellBreakers(admission, 'abandoned', nowMs, deps);
  return { reason: 'own_limit', waitMs, cause: 'rate_limited' };
}

/**
 * Whether `admit` would let a call go at once; takes nothing. Whoever asks can wait, so a probe that is under way counts
 * as no room.
 * @param tokens as of `callTokens`
 */
export function wouldAdmit(target: Target, tokens: number, health: Health, nowMs: number): boolean {
  if (!healthyTarget(target, nowMs) || !lets(target.health.breakerId, nowMs)) return false;
  const above = health.provider(target.provider.name);
  const aboveId = above?.breakerId ?? null;
  if (aboveId !== null && !lets(aboveId, nowMs)) return false;
  return haveRoom(quotasOf(health.quota(target.label), above?.quota ?? null), tokens, nowMs);
}

/** What is asked of the state of providers and their targets before a call. */
export type Health = Pick<HealthBook, 'provider' | 'quota'>;

/** Whether a breaker would let a call go. Its state alone doesn't tell whether a probe is under way. */
function lets(breakerId: number, nowMs: number): boolean {
  const state = breaker.state(breakerId, nowMs);
  if (state !== breakerState.halfOpen) return state === breakerState.closed;
  const ticket = breaker.admit(breakerId, nowMs);
  if (ticket < 0) return false;
  breaker.report(breakerId, ticket, breakerOutcome.abandoned, 0, nowMs);
  return true;
}

function quotasOf(own: Quota | null, above: Quota | null): readonly Quota[] {
  if (own === null) return above === null ? noQuotas : [above];
  return above === null ? [own] : [own, above];
}

/** What came of a call, for the breakers: `abandoned` says nothing of the target. */
export type CallOutcome = keyof typeof breakerOutcome;

/**
 * Tells everyone who learns from a call of its end: breakers, own limits, metrics. Once for each admission.
 * @param word what came of it, from a closed list
 * @param facts what the reply said; null: there was none
 */
export function endCall(
  admission: Admission,
  outcome: CallOutcome,
  word: string,
  facts: ReplyFacts | null,
  deps: AdmissionDeps,
  nowMs: number = deps.clock(),
): void {
  const { target, quotas, tokens } = admission;
  callEnded(target);
  tellBreakers(admission, outcome, nowMs, deps);
  if (quotas.length > 0) {
    // A reply that doesn't state its usage is taken for what was reserved; where none came nothing was used.
    const used = facts?.usage ? facts.inputTokens + facts.outputTokens : facts === null ? 0 : tokens;
    settleQuotas(quotas, tokens, used, nowMs);
  }
  deps.telemetry.call(target.label, word);
}

/**
 * The first content has come. A probe has said by that what was to be known: were its breaker to wait for the end of a
 * long answer, all others would too. What becomes of the rest is told with a new ticket.
 */
export function contentCame(admission: Admission, deps: AdmissionDeps, nowMs: number): void {
  admission.ttftMs = nowMs - admission.sentMs;
  if (!isProbe(admission.ticket) && !isProbe(admission.aboveTicket)) return;
  tellBreakers(admission, 'success', nowMs, deps);
  admission.ticket = breaker.admit(admission.target.health.breakerId, nowMs);
  if (admission.aboveId !== null) admission.aboveTicket = breaker.admit(admission.aboveId, nowMs);
}

/** Whether a target's breaker refuses calls by now. */
export const isOpen = ({ health }: Target, deps: AdmissionDeps): boolean =>
  breaker.state(health.breakerId, deps.clock()) === breakerState.open;

function tellBreakers(admission: Admission, outcome: CallOutcome, nowMs: number, deps: AdmissionDeps): void {
  const { target, aboveId } = admission;
  const { breakerId } = target.health;
  const number = breakerOutcome[outcome];
  if (breaker.report(breakerId, admission.ticket, number, 0, nowMs)) {
    told('target', target, breakerId, deps);
  }
  // Targets are told apart by their breakers' numbers.
  if (aboveId !== null && breaker.report(aboveId, admission.aboveTicket, number, breakerId, nowMs)) {
    told('provider', target, aboveId, deps);
  }
}

function told(subject: Subject, target: Target, breakerId: number, deps: AdmissionDeps): void {
  const open = breaker.state(breakerId, deps.clock()) !== breakerState.closed;
  deps.telemetry.breaker(subject, subject === 'target' ? target.label : target.provider.name, open);
  deps.hints.breaker(subject, target, open);
}

/** A target that attempt would ask at once: neither resting nor behind an open breaker. */
export function healthyTarget(target: Target, nowMs: number): boolean {
  const { health } = target;
  if (health.restsUntilMs > nowMs || allRest(target, nowMs)) return false;
  return breaker.state(health.breakerId, nowMs) !== breakerState.open;
}
