/** The two ends of a call: may the target be called now and with which credential; then report how the call ended. */
import type { Telemetry } from '../base/telemetry.ts';
import { type ModelRequest, plainModel } from '../exchange/request.ts';
import { breaker, breakerOutcome, breakerState, isProbe } from '../native/breaker.ts';
import type { ReplyFacts } from '../native/reply.ts';
import { allCoolingDown, cooldownOf, takeCredential } from './credential.ts';
import { callBegan, callEnded } from './engine.ts';
import type { HealthBook, Subject } from './health.ts';
import type { PeerHints } from './hints.ts';
import { haveRoom, type Quota, settleQuotas, takeQuotas } from './quota.ts';
import type { Credential, FallbackCause, Target, TargetHealth } from './target.ts';

/** What beginning and ending a call needs. */
export interface CallDeps {
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly health: HealthBook;
  /** Estimated tokens of a request's prompt. */
  readonly estimate: (request: ModelRequest) => number;
  readonly telemetry: Pick<Telemetry, 'call' | 'breaker' | 'connectionsSpent'>;
  readonly hints: PeerHints;
}

/** What one call holds from before it is sent until `endCall`. */
export interface OpenCall {
  readonly target: Target;
  readonly credential: Credential;
  /** Ticket of the target's breaker; replaced once a probe has reported. */
  ticket: number;
  /** Breaker of the provider, and its ticket; null: the provider has none. */
  readonly providerBreakerId: number | null;
  providerTicket: number;
  /** Upstream limits of the target and of its provider, and the tokens reserved in each. */
  readonly quotas: readonly Quota[];
  readonly tokens: number;
  /** The model name that is sent; empty: it isn't a plain one. */
  readonly model: string;
  /** Monotonic ms. */
  readonly sentMs: number;
  /** Time to the first content, in ms; for a whole reply, to the reply. Null: none came. */
  ttftMs: number | null;
}

/** Why a target is skipped, and in how many ms it may be called again. */
export interface PassedOver {
  readonly reason:
    | 'credential'
    | 'cooling_down'
    | 'quota'
    | 'own_limit'
    | 'connections'
    | 'breaker_open'
    | 'provider_down';
  readonly waitMs: number;
  readonly cause: FallbackCause;
}

/** Until some other call ends: nobody knows when. */
const otherCallWaitMs = 1000;

const hasConnection = ({ load: { inFlight, inFlightMax } }: Target['provider']): boolean =>
  inFlightMax === null || inFlight < inFlightMax;

const noQuotas: readonly Quota[] = [];

/** Reply tokens reserved in upstream limits when the request sets no limit; the actual usage is settled afterwards. */
const replyTokensGuess = 1024;

const replyTokens = ({ maxTokens, choices }: ModelRequest): number =>
  (maxTokens ?? replyTokensGuess) * choices;

/** Tokens that a call reserves in upstream limits. @param promptTokens estimated tokens of its prompt */
export const callTokens = (request: ModelRequest, promptTokens: number): number =>
  promptTokens + replyTokens(request);

/** Begins a call if the target may be called now. The returned call must be passed to `endCall` exactly once. */
export function beginCall(target: Target, request: ModelRequest, deps: CallDeps): OpenCall | PassedOver {
  const nowMs = deps.clock();
  if (!hasConnection(target.provider)) {
    deps.telemetry.connectionsSpent(target.provider.name);
    return { reason: 'connections', waitMs: otherCallWaitMs, cause: 'rate_limited' };
  }
  const credential = takeCredential(target, nowMs);
  if (credential === null) {
    const { reason, waitMs } = cooldownOf(target, nowMs);
    return { reason, waitMs, cause: reason === 'credential' ? 'outage' : 'rate_limited' };
  }
  const breakerId = target.health.breakerId || deps.health.open(target.health);
  const ticket = breaker.admit(breakerId, nowMs);
  if (ticket < 0)
    return { reason: 'breaker_open', waitMs: openMs(breakerId, ticket, nowMs), cause: 'breaker_open' };
  const provider = deps.health.provider(target.provider.name);
  const providerBreakerId = provider?.breakerId ?? null;
  const providerTicket = providerBreakerId === null ? 0 : breaker.admit(providerBreakerId, nowMs);
  const quotas = quotasOf(ownQuota(target, deps.health), provider?.quota ?? null);
  const openCall: OpenCall = {
    target,
    credential,
    ticket,
    providerBreakerId: providerTicket < 0 ? null : providerBreakerId,
    providerTicket,
    quotas,
    tokens: quotas.length === 0 ? 0 : callTokens(request, deps.estimate(request)),
    model: plainModel(target.model ?? request.model),
    sentMs: nowMs,
    ttftMs: null,
  };
  if (providerTicket < 0) {
    reportToBreakers(openCall, 'abandoned', nowMs, deps);
    const waitMs = providerBreakerId === null ? 0 : openMs(providerBreakerId, providerTicket, nowMs);
    return { reason: 'provider_down', waitMs, cause: 'breaker_open' };
  }
  const waitMs = quotas.length === 0 ? 0 : takeQuotas(quotas, openCall.tokens, nowMs);
  if (waitMs === 0) {
    callBegan(target);
    return openCall;
  }
  reportToBreakers(openCall, 'abandoned', nowMs, deps);
  return { reason: 'own_limit', waitMs, cause: 'rate_limited' };
}

/** How long until a breaker may let a call through. While its probe is in flight, its answer is the longest one may take. */
const openMs = (breakerId: number, ticket: number, nowMs: number): number =>
  breaker.state(breakerId, nowMs) === breakerState.halfOpen ? Math.min(-ticket, otherCallWaitMs) : -ticket;

/**
 * Whether `beginCall` would succeed now; takes nothing. The caller can wait, so a breaker whose probe is in flight
 * counts as open.
 * @param tokens from `callTokens`
 */
export function couldBegin(target: Target, tokens: number, health: Health, nowMs: number): boolean {
  if (!hasConnection(target.provider)) return false;
  if (!healthyTarget(target, nowMs) || !wouldAllow(target.health.breakerId, nowMs)) return false;
  const provider = health.provider(target.provider.name);
  const providerBreakerId = provider?.breakerId ?? null;
  if (providerBreakerId !== null && !wouldAllow(providerBreakerId, nowMs)) return false;
  return haveRoom(quotasOf(ownQuota(target, health), provider?.quota ?? null), tokens, nowMs);
}

/** The part of the health book that is read before a call. */
export type Health = Pick<HealthBook, 'provider' | 'quota'>;

/** Whether a breaker would allow a call. Its state alone doesn't say whether a probe is in flight. */
function wouldAllow(breakerId: number, nowMs: number): boolean {
  if (breakerId === 0) return true;
  const state = breaker.state(breakerId, nowMs);
  if (state !== breakerState.halfOpen) return state === breakerState.closed;
  const ticket = breaker.admit(breakerId, nowMs);
  if (ticket < 0) return false;
  breaker.report(breakerId, ticket, breakerOutcome.abandoned, 0, nowMs);
  return true;
}

const ownQuota = ({ label, health: { model } }: Target, health: Health): Quota | null =>
  model === undefined ? health.quota(label) : model.quota;

function quotasOf(own: Quota | null, ofProvider: Quota | null): readonly Quota[] {
  if (own === null) return ofProvider === null ? noQuotas : [ofProvider];
  return ofProvider === null ? [own] : [own, ofProvider];
}

/** How a call ended, for the breakers: `abandoned` says nothing about the target. */
export type CallOutcome = keyof typeof breakerOutcome;

/**
 * Reports the end of a call to breakers, upstream limits and metrics. Exactly once for each call.
 * @param label value of the metric's label, from a closed list
 * @param facts facts of the reply; null: there was none
 */
export function endCall(
  openCall: OpenCall,
  outcome: CallOutcome,
  label: string,
  facts: ReplyFacts | null,
  deps: CallDeps,
  nowMs: number = deps.clock(),
): void {
  const { target, quotas, tokens } = openCall;
  callEnded(target);
  reportToBreakers(openCall, outcome, nowMs, deps);
  if (quotas.length > 0) {
    // A reply without stated usage is charged what was reserved; without a reply nothing was used.
    const used = facts?.usage ? facts.inputTokens + facts.outputTokens : facts === null ? 0 : tokens;
    settleQuotas(quotas, tokens, used, nowMs);
  }
  const made = target.health.model !== undefined;
  deps.telemetry.call(target.label, label, nowMs - openCall.sentMs, openCall.ttftMs, made);
}

/**
 * The first content has arrived. For a probe that is success: if its breaker waited for the end of a long answer, all
 * other requests would wait too. The rest of the answer is reported with a new ticket.
 */
export function contentCame(openCall: OpenCall, deps: CallDeps, nowMs: number): void {
  openCall.ttftMs = nowMs - openCall.sentMs;
  if (!isProbe(openCall.ticket) && !isProbe(openCall.providerTicket)) return;
  reportToBreakers(openCall, 'success', nowMs, deps);
  openCall.ticket = breaker.admit(openCall.target.health.breakerId, nowMs);
  if (openCall.providerBreakerId !== null)
    openCall.providerTicket = breaker.admit(openCall.providerBreakerId, nowMs);
}

/** Whether a target's breaker is open now. */
export const isOpen = ({ health }: Target, deps: CallDeps): boolean => isOpenAt(health, deps.clock());

const isOpenAt = ({ breakerId }: TargetHealth, nowMs: number): boolean =>
  breakerId !== 0 && breaker.state(breakerId, nowMs) === breakerState.open;

function reportToBreakers(openCall: OpenCall, outcome: CallOutcome, nowMs: number, deps: CallDeps): void {
  const { target, providerBreakerId } = openCall;
  const { breakerId } = target.health;
  const number = breakerOutcome[outcome];
  if (breaker.report(breakerId, openCall.ticket, number, 0, nowMs)) {
    reportBreaker('target', target, breakerId, deps);
  }
  // The provider's breaker tells its targets apart by the ids of their breakers.
  const source = target.health.model?.sourceId ?? breakerId;
  if (
    providerBreakerId !== null &&
    breaker.report(providerBreakerId, openCall.providerTicket, number, source, nowMs)
  ) {
    reportBreaker('provider', target, providerBreakerId, deps);
  }
}

function reportBreaker(subject: Subject, target: Target, breakerId: number, deps: CallDeps): void {
  const open = breaker.state(breakerId, deps.clock()) !== breakerState.closed;
  deps.telemetry.breaker(subject, subject === 'target' ? target.label : target.provider.name, open);
  deps.hints.breaker(subject, target, open);
}

/** Whether a target could be called at once: neither cooling down nor behind an open breaker. */
export function healthyTarget(target: Target, nowMs: number): boolean {
  return !allCoolingDown(target, nowMs) && !isOpenAt(target.health, nowMs);
}
