/**
 * Hedged requests: when the first content is late, a second call goes out, and the first of the two to answer is taken
 * (Dean and Barroso, "The Tail at Scale", 2013). Here is when one is due, and the race.
 */
import { Cancellation, sleep } from '../base/cancellation.ts';
import type { BilledTry } from '../count/usage.ts';
import { type Admission, endCall } from '../upstream/admission.ts';
import type { Target } from '../upstream/target.ts';
import type { AttemptDeps } from './deps.ts';
import { type Answered, isAnswer, isRefused, judge } from './judge.ts';
import type { CallResult } from './result.ts';
import type { Trail } from './trail.ts';

type Failed = Extract<CallResult, { kind: 'failed' }>;

/** A call and what came of it. */
export interface Called {
  readonly admission: Admission;
  readonly result: CallResult;
}

/** What a race needs. */
export interface Race {
  readonly delayMs: number;
  readonly cancellation: Cancellation;
  /** Sends a call. */
  start(admission: Admission, cancellation: Cancellation): Promise<CallResult>;
  /** Admission for the second call; null: it may not be made. */
  second(): Admission | null;
  readonly trail: Trail;
  readonly deps: AttemptDeps;
}

interface Runner {
  readonly admission: Admission;
  readonly cancellation: Cancellation;
  readonly result: Promise<Called>;
}

/**
 * Sends a call, and a second one if the first is late. Gives the first answer, or the last miss; whatever came of the
 * other call has been told.
 */
export async function hedged(first: Admission, race: Race): Promise<Called> {
  const { deps, trail } = race;
  const one = run(first, race);
  const waiting = new Cancellation();
  const early = await Promise.race([one.result, sleep(race.delayMs, waiting)]);
  waiting.cancel('hedged');
  if (typeof early !== 'boolean') return early;
  const second = race.cancellation.reason === null ? race.second() : null;
  if (second === null) return one.result;
  deps.telemetry.hedge('sent');
  const two = run(second, race);
  const called = await Promise.race([one.result, two.result]);
  const other = called.admission === first ? two : one;
  if (isAnswer(called.result)) {
    if (called.admission === second) deps.telemetry.hedge('won');
    await lose(other, trail, deps);
    return called;
  }
  // What one refuses for the request's own sake, the other would refuse as well.
  if (isRefused(called.admission.target, called.result, deps)) {
    await lose(other, trail, deps);
    return called;
  }
  // One that failed leaves the other to go on; when the client has left, both end.
  judge(called.admission, called.result, deps, trail);
  return other.result;
}

/** Sends a call that can be given up alone. */
function run(admission: Admission, { start, cancellation }: Race): Runner {
  const own = new Cancellation();
  cancellation.onCancel(() => own.cancel(cancellation.reason ?? 'hedged'));
  if (cancellation.reason !== null) own.cancel(cancellation.reason);
  const result = start(admission, own).then((result) => ({ admission, result }));
  return { admission, cancellation: own, result };
}

/** Gives the slower call up, and accounts for what it used. */
async function lose(runner: Runner, trail: Trail, deps: AttemptDeps): Promise<void> {
  runner.cancellation.cancel('hedged');
  const { admission, result } = await runner.result;
  // It may have failed by itself before it was given up.
  if (result.kind === 'status' || (result.kind === 'failed' && result.failure !== 'cancelled')) {
    judge(admission, result, deps, trail);
    return;
  }
  const { target } = admission;
  const billed = billedOf(target, result);
  trail.add(target.label, 'hedge_lost');
  if (billed !== null) trail.bill(billed);
  endCall(admission, 'abandoned', 'hedge_lost', billed?.facts ?? null, deps);
}

/** What the provider bills of an answer that nobody gets; null: nothing had come. */
function billedOf(target: Target, result: Answered | Failed): BilledTry | null {
  switch (result.kind) {
    case 'stream': {
      const { scanner } = result.stream;
      return { target, facts: scanner.facts(), complete: false, text: () => scanner.takeText() };
    }
    case 'whole':
      return { target, facts: result.facts, complete: true, text: result.text };
    case 'failed':
      return result.arrived === null ? null : { target, complete: false, ...result.arrived };
  }
}
