/**
 * Hedged requests: when the first content is late, a second call is sent, and the first answer of the two is used
 * (Dean and Barroso, "The Tail at Scale", 2013). This file runs the race; `hedges.ts` says when it starts.
 */
import { Cancellation, sleep } from '../base/cancellation.ts';
import type { BilledTry } from '../count/usage.ts';
import { endCall, type OpenCall } from '../upstream/open-call.ts';
import type { Target } from '../upstream/target.ts';
import type { AttemptDeps } from './deps.ts';
import { type Answered, isAnswer, isRefused, judge } from './judge.ts';
import type { CallResult } from './result.ts';
import type { Trail } from './trail.ts';

type Failed = Extract<CallResult, { kind: 'failed' }>;

/** A call and its result. */
export interface Called {
  readonly openCall: OpenCall;
  readonly result: CallResult;
}

/** Begins a call; null: it may not be made any more. */
export type Begin = () => OpenCall | null;

/** What a race between two calls needs. */
export interface Race {
  /** Time without content before the second call. */
  readonly delayMs: number;
  readonly cancellation: Cancellation;
  /** Sends a call. */
  start(openCall: OpenCall, cancellation: Cancellation): Promise<CallResult>;
  /** Prepares the second call, and gives what begins it; null: it may not be made. */
  second(): Promise<Begin | null>;
  readonly trail: Trail;
  readonly deps: AttemptDeps;
}

interface Runner {
  readonly openCall: OpenCall;
  readonly cancellation: Cancellation;
  readonly result: Promise<Called>;
}

/**
 * Sends a call, and a second one if the first is late. Returns the first answer, or else the last failure; the other
 * call's end has been reported.
 */
export async function hedged(first: OpenCall, race: Race): Promise<Called> {
  const { deps, trail } = race;
  const one = run(first, race);
  const waiting = new Cancellation();
  const early = await Promise.race([one.result, sleep(race.delayMs, waiting)]);
  waiting.cancel('hedged');
  if (typeof early !== 'boolean') return early;
  if (race.cancellation.reason !== null) return one.result;
  let open = true;
  const shut = (): void => {
    open = false;
  };
  one.result.then(shut, shut);
  // A large request may be prepared for long, and nobody may wait for that once the first call has ended.
  const begin = await Promise.race([one.result, race.second()]);
  const second = typeof begin === 'function' && open ? begin() : null;
  if (second === null) return one.result;
  deps.telemetry.hedge('sent');
  const two = run(second, race);
  const called = await Promise.race([one.result, two.result]);
  const other = called.openCall === first ? two : one;
  if (isAnswer(called.result)) {
    if (called.openCall === second) deps.telemetry.hedge('won');
    await abandon(other, trail, deps);
    return called;
  }
  // A refusal of the request itself would come from the other call as well.
  if (isRefused(called.openCall.target, called.result, deps)) {
    await abandon(other, trail, deps);
    return called;
  }
  // If one fails, the other goes on; if the client has left, both end.
  judge(called.openCall, called.result, deps, trail);
  return other.result;
}

/** Sends a call that can be cancelled separately. */
function run(openCall: OpenCall, { start, cancellation }: Race): Runner {
  const own = new Cancellation();
  cancellation.onCancel(() => own.cancel(cancellation.reason ?? 'hedged'));
  if (cancellation.reason !== null) own.cancel(cancellation.reason);
  const result = start(openCall, own).then((result) => ({ openCall, result }));
  return { openCall, cancellation: own, result };
}

/** Cancels the slower call, and accounts for what it used. */
async function abandon(runner: Runner, trail: Trail, deps: AttemptDeps): Promise<void> {
  runner.cancellation.cancel('hedged');
  const { openCall, result } = await runner.result;
  // It may have failed by itself before it was cancelled.
  if (result.kind === 'status' || (result.kind === 'failed' && result.failure !== 'cancelled')) {
    judge(openCall, result, deps, trail);
    return;
  }
  const { target } = openCall;
  const billed = billedOf(target, result);
  const nowMs = deps.clock();
  trail.add(openCall, 'hedge_lost', '', result.kind === 'failed' ? null : result, nowMs);
  if (billed !== null) trail.bill(billed);
  endCall(openCall, 'abandoned', 'hedge_lost', billed?.facts ?? null, deps, nowMs);
}

/** What the provider bills for a discarded answer; null: nothing had arrived. */
function billedOf(target: Target, result: Answered | Failed): BilledTry | null {
  switch (result.kind) {
    case 'stream': {
      const { scanner } = result.stream;
      return { target, facts: scanner.facts(), complete: false, text: () => scanner.takeText() };
    }
    case 'whole':
      return { target, facts: result.facts, complete: true, text: result.text };
    // Never hedged.
    case 'session':
      return null;
    case 'failed':
      return result.arrived === null ? null : { target, complete: false, ...result.arrived };
  }
}
