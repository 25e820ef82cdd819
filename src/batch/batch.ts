/**
 * Stage batch: batch requests wait here, in memory, until there is capacity that no interactive request needs. At most
 * one is started per turn of the event loop, so that interactive requests that have arrived meanwhile go first.
 */
import { cancelRefusal } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import type { BatchRefusal, Telemetry } from '../base/telemetry.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Priority } from '../exchange/priority.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { livingFirst } from '../upstream/living.ts';
import { callTokens, type Health } from '../upstream/open-call.ts';
import type { Plan, Step } from '../upstream/target.ts';
import { Alarm } from './alarm.ts';
import { Pace } from './pace.ts';
import { FairQueue, type Queued } from './queue.ts';
import type { BatchSettings } from './settings.ts';
import { createRoom, type Room, roomiestFirst } from './targets.ts';

/** The part of a configuration that batch requests depend on. */
export interface BatchConfig {
  readonly batch: BatchSettings;
  readonly listen: { readonly inFlightMax: number };
}

/** The batch queue and the counts of requests in flight. Kept over reloads. */
export interface Batch {
  /** Waits for the request's turn; resolves with the steps to try, those with room first, or a refusal. Never rejects. */
  wait(
    exchange: Exchange,
    identity: Identity,
    request: ModelRequest,
    plan: Plan,
    deadlineMs: number,
  ): Promise<readonly Step[] | Refusal>;
  /** Counts an interactive request as in flight. */
  begin(): void;
  /** A request in flight has ended. @param inFlightMs ms since it began, or since its turn */
  end(priority: Priority, status: number, inFlightMs: number): void;
  /** Adopts a new configuration. */
  update(config: BatchConfig): void;
  /** Refuses all waiting and all new batch requests: the process ends, and the queue with it. */
  close(): void;
  /** Waiting requests, and the bytes of their bodies. */
  readonly waiting: number;
  readonly waitingBytes: number;
  /** Requests in flight. */
  inFlight(priority: Priority): number;
}

/** What the stage needs. */
export interface BatchDeps {
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly telemetry: Pick<Telemetry, 'batchRefused'>;
  /** Breakers and upstream limits. */
  readonly health: Health;
}

interface Waiting extends Queued {
  readonly plan: Plan;
  /** Tokens that a call reserves in upstream limits. */
  readonly tokens: number;
  /** Resolves the waiting request, and releases it. */
  settle: (turn: readonly Step[] | Refusal) => void;
  /** Its steps, found when its turn came; null until then. */
  turn: readonly Step[] | null;
}

/** Shortest time between two searches of the whole queue for requests that can no longer meet their deadline. */
const sweepMs = 1_000;

/** Tolerance in ms within which an expired deadline is noticed. */
const deadlineStepMs = 10;

/** How soon targets are checked again after none had room. */
const roomCheckMs = 50;

/** A request is only queued if it should be answered within this share of its time, since estimates err. */
const timeShareMax = 0.8;

/** Tokens assumed for a reply in the shares of tenants, since its length isn't known. */
const replyCost = 256;

/** Bounds of `retry-after`. */
const retryMinMs = 1_000;

const retryMaxMs = 600_000;

/** Statuses by which providers say that they have no room. */
const overloaded = new Set([429, 503, 504, 529]);

/** @param tokensOf estimates a prompt's tokens */
export function createBatch(
  first: BatchConfig,
  tokensOf: (model: string, textBytes: number) => number,
  deps: BatchDeps,
): Batch {
  const { clock } = deps;
  const queue = new FairQueue<Waiting>();
  const pace = new Pace(first.batch.concurrencyMax, clock());
  let config = first;
  let interactive = 0;
  let running = 0;
  let closed = false;
  let starting = false;
  let sweptMs = clock();

  const refuse = reporter(deps.telemetry);

  /** Whether interactive traffic and the concurrency limit leave room for one more. */
  const open = (): boolean =>
    running < pace.limit && interactive < config.batch.interactiveShare * config.listen.inFlightMax;

  /** Starts one request, and continues in the next turn of the event loop. */
  const startOne = (): void => {
    starting = false;
    if (queue.size === 0 || !open()) return;
    const nowMs = clock();
    const room = createRoom(deps.health, nowMs);
    const entry = queue.take((each) => isDue(each, room));
    if (entry === null) return alarm.setWithin(roomCheckMs);
    const leftMs = entry.deadlineMs - nowMs;
    if (leftMs <= 0) entry.settle(refuse('expired', expired()));
    else if (leftMs < (pace.serviceMs ?? 0))
      entry.settle(refuse('deadline', tooLate(pace.serviceMs ?? 0, leftMs)));
    else {
      pace.observe(nowMs, running, true);
      running += 1;
      entry.settle(entry.turn ?? entry.plan.steps);
    }
    startSoon();
  };

  const startSoon = (): void => {
    if (starting || queue.size === 0 || !open()) return;
    starting = true;
    setImmediate(startOne);
  };

  const alarm = new Alarm(clock, () => {
    const nowMs = clock();
    pace.observe(nowMs, running, queue.size > 0);
    if (nowMs - sweptMs >= sweepMs || queue.nextDeadlineMs <= nowMs) sweep(nowMs);
    startSoon();
    watch(queue.nextDeadlineMs);
  });

  /** Refuses requests that are past their deadline or can no longer be answered before it. */
  const sweep = (nowMs: number): void => {
    sweptMs = nowMs;
    const { tenants } = queue;
    queue.sweep((entry, rank) => {
      const leftMs = entry.deadlineMs - nowMs;
      const needsMs = pace.answeredInMs(Math.min(queue.size, rank * tenants)) ?? 0;
      if (leftMs > 0 && needsMs <= leftMs) return false;
      entry.settle(leftMs <= 0 ? refuse('expired', expired()) : refuse('deadline', tooLate(needsMs, leftMs)));
      return true;
    });
  };

  /** Sets the timer for a deadline and for the next sweep. */
  const watch = (deadlineMs: number): void => {
    if (queue.size > 0) alarm.setWithin(Math.max(deadlineStepMs, Math.min(sweepMs, deadlineMs - clock())));
  };

  /** Why a request can't join the queue; null: it can. */
  const refusalFor = (entry: Waiting, nowMs: number): Refusal | null => {
    const { queueMax, queueMaxBytes } = config.batch;
    if (closed) return refuse('draining', lost());
    if (queue.size >= queueMax || queue.bytes + entry.bytes > queueMaxBytes)
      return refuse('queue_full', full(queue, queueMax, pace));
    const rank = queue.rank(entry.tenant, entry.deadlineMs);
    const others = queue.tenants + (rank === 0 ? 1 : 0);
    const needsMs = pace.answeredInMs(Math.min(queue.size, (rank + 1) * Math.max(1, others) - 1));
    const leftMs = entry.deadlineMs - nowMs;
    if (needsMs === null || needsMs <= leftMs * timeShareMax) return null;
    if (running === 0 && queue.size === 0 && pace.forget(nowMs)) return null;
    return refuse('deadline', tooLate(needsMs, leftMs));
  };

  return {
    wait(exchange, identity, request, plan, deadlineMs) {
      return new Promise((resolve) => {
        const { cancellation } = exchange;
        const leave = (): void => {
          if (!entry.waiting) return;
          queue.remove(entry);
          entry.settle(refuse('left', cancelRefusal(cancellation)));
        };
        const promptTokens = tokensOf(request.model, request.textBytes);
        const entry = entryOf(identity, request, plan, deadlineMs, promptTokens, (turn) => {
          cancellation.off(leave);
          resolve(turn);
        });
        const refusal =
          cancellation.reason === null ? refusalFor(entry, clock()) : cancelRefusal(cancellation);
        if (refusal !== null) return resolve(refusal);
        cancellation.onCancel(leave);
        if (queue.size === 0) pace.observe(clock(), running, false);
        queue.add(entry);
        startSoon();
        watch(deadlineMs);
      });
    },
    begin() {
      interactive += 1;
    },
    end(priority, status, inFlightMs) {
      if (priority === 'interactive') interactive -= 1;
      else {
        const nowMs = clock();
        pace.observe(nowMs, running, queue.size > 0);
        running -= 1;
        pace.ended(nowMs, inFlightMs, overloaded.has(status) ? 'overloaded' : status < 400 ? 'ok' : 'other');
      }
      startSoon();
    },
    update(next) {
      config = next;
      pace.limitMax = next.batch.concurrencyMax;
      startSoon();
    },
    close() {
      closed = true;
      queue.sweep((entry) => {
        entry.settle(refuse('draining', lost()));
        return true;
      });
      alarm.clear();
    },
    get waiting() {
      return queue.size;
    },
    get waitingBytes() {
      return queue.bytes;
    },
    inFlight: (priority) => (priority === 'batch' ? running : interactive),
  };
}

/** Reports a refusal, and returns it. */
const reporter =
  (telemetry: BatchDeps['telemetry']) =>
  (reason: BatchRefusal, refusal: Refusal): Refusal => {
    telemetry.batchRefused(reason);
    return refusal;
  };

const settled = (): void => {};

/** Whether some target of a request has room; remembers which. */
function isDue(entry: Waiting, room: Room): boolean {
  const { plan, tokens } = entry;
  entry.turn = roomiestFirst(livingFirst(plan.steps), plan, tokens, room);
  return entry.turn !== null;
}

/** A request for the queue. @param done called with its turn, once */
function entryOf(
  { tenant }: Identity,
  request: ModelRequest,
  plan: Plan,
  deadlineMs: number,
  promptTokens: number,
  done: (turn: readonly Step[] | Refusal) => void,
): Waiting {
  const entry: Waiting = {
    tenant,
    cost: replyCost + promptTokens,
    bytes: request.body.length,
    deadlineMs,
    waiting: false,
    plan,
    tokens: callTokens(request, promptTokens),
    turn: null,
    settle(turn) {
      // A removed entry must not keep its request body alive.
      entry.settle = settled;
      done(turn);
    },
  };
  return entry;
}

const retryAfter = (ms: number): number => Math.min(retryMaxMs, Math.max(retryMinMs, ms));

const seconds = (ms: number): string => `${(Math.max(0, ms) / 1000).toFixed(1)} s`;

const tooLate = (needsMs: number, leftMs: number): Refusal =>
  new Refusal(
    'batch_deadline',
    `This batch request needs about ${seconds(needsMs)}, but its deadline is in ${seconds(leftMs)}.`,
    { retryAfterMs: retryAfter(needsMs - leftMs) },
  );

function full({ size, bytes }: FairQueue<Waiting>, queueMax: number, { perMs }: Pace): Refusal {
  const what =
    size >= queueMax
      ? `${size} batch requests are waiting already`
      : `The waiting batch requests hold ${bytes} bytes already`;
  return new Refusal('batch_queue_full', `${what}.`, {
    retryAfterMs: retryAfter(perMs === null ? 0 : 1 / perMs),
  });
}

const expired = (): Refusal =>
  new Refusal(
    'batch_expired',
    'The deadline of this batch request passed while it was waiting for its turn.',
  );

const lost = (): Refusal =>
  new Refusal(
    'draining',
    'Sidegate is shutting down, and its batch queue is in memory only: this request was not sent to any provider.',
    { retryAfterMs: retryMinMs },
  );
