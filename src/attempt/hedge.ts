/**
 * Hedged requests: when the first content is late, a second call goes out, and the first of the two to answer is taken
 * (Dean and Barroso, "The Tail at Scale", 2013). Here is when one is due, and the race.
 */
import { Cancellation } from '../base/cancellation.ts';
import type { Config } from '../config/schema.ts';
import type { BilledTry } from '../count/usage.ts';
import { type Admission, endCall } from '../upstream/admission.ts';
import type { Target } from '../upstream/target.ts';
import { sleep } from './backoff.ts';
import type { AttemptDeps } from './deps.ts';
import { type Answered, isAnswer, isRefused, judge } from './judge.ts';
import type { CallResult } from './result.ts';
import type { Trail } from './trail.ts';

export interface Hedges {
  /** Ms without content after which a request of this route is hedged; null: not wanted, or not known yet. */
  delayMs(pattern: string, stream: boolean): number | null;
  /** Learns how long the first content took; whole replies are their own first content. */
  observe(pattern: string, stream: boolean, ms: number): void;
}

/** Hedging as configured, by route; null: no route wants it. */
export function createHedges(config: Config): Hedges | null {
  const { enabled, delayMs } = config.attempt.hedge;
  const wanted = config.routes.filter(({ hedge }) => hedge ?? enabled);
  if (wanted.length === 0) return null;
  const made = () => ({ stream: createQuantile(), whole: createQuantile() });
  const routes = new Map(wanted.map(({ model }) => [model, made()]));
  return {
    delayMs(pattern, stream) {
      const route = routes.get(pattern);
      if (route === undefined) return null;
      return delayMs ?? (stream ? route.stream : route.whole).p95();
    },
    observe(pattern, stream, ms) {
      const route = routes.get(pattern);
      if (route !== undefined) (stream ? route.stream : route.whole).add(ms);
    },
  };
}

/** Bounds of the classes grow by the fourth root of 2: the estimate is at most 19% too high, from 1 ms to 18 minutes. */
const classesMax = 80;
const classesPerDoubling = 4;
/** Fewer observations say nothing of a 95th percentile. */
const observationsMin = 20;
/** Then all counts are halved, so that what was long ago weighs less and less. */
const observationsMax = 1000;

/** A streaming estimate of a 95th percentile in bounded memory. */
export function createQuantile(): { add(ms: number): void; p95(): number | null } {
  const counts = new Float64Array(classesMax);
  let total = 0;
  return {
    add(ms) {
      const at = Math.ceil(classesPerDoubling * Math.log2(Math.max(1, ms)));
      const index = Math.min(classesMax - 1, at);
      counts[index] = (counts[index] ?? 0) + 1;
      total += 1;
      if (total < observationsMax) return;
      for (let i = 0; i < classesMax; i++) counts[i] = (counts[i] ?? 0) / 2;
      total /= 2;
    },
    p95() {
      if (total < observationsMin) return null;
      let left = 0.05 * total;
      let at = classesMax - 1;
      for (; at > 0; at--) {
        left -= counts[at] ?? 0;
        if (left < 0) break;
      }
      return 2 ** (at / classesPerDoubling);
    },
  };
}

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
  deps.onHedge('sent');
  const two = run(second, race);
  const called = await Promise.race([one.result, two.result]);
  const other = called.admission === first ? two : one;
  if (isAnswer(called.result)) {
    if (called.admission === second) deps.onHedge('won');
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
