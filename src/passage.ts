/** What one request holds while it is in flight, and releases exactly once when it is finished. */
import type { Trail } from './attempt/trail.ts';
import { catalogue, type ErrorCode, type Refusal } from './base/errors.ts';
import type { Asked, Judging } from './cache/alike.ts';
import { type CacheKey, cacheControl } from './cache/key.ts';
import type { Place } from './cache/places.ts';
import { savedByChoice } from './count/choice.ts';
import type { Counts } from './count/usage.ts';
import { type Bill, bill, isStated, learn, nothingBilled } from './count/usage.ts';
import { refusalReply } from './dialects/refusal.ts';
import type { Exchange } from './exchange/exchange.ts';
import type { Identity } from './exchange/identity.ts';
import type { Priority } from './exchange/priority.ts';
import type { CacheLevel, StoredReply, WholeReply } from './exchange/reply.ts';
import type { ModelRequest } from './exchange/request.ts';
import { noUsage } from './exchange/usage.ts';
import type { Permit } from './limit/permit.ts';
import { observedLimitHeader } from './limit/report.ts';
import { bodyFlags } from './native/inspect.ts';
import { type Findings, noFindings } from './native/pii.ts';
import type { Said, SaidReply } from './observe/content.ts';
import { type CacheUse, type Course, createRecord, notTimed, type Outcome } from './observe/record.ts';
import type { ScrubPolicy } from './scrub/policy.ts';
import type { Stages } from './stages.ts';
import type { Claim } from './store/flights.ts';
import type { Plan } from './upstream/target.ts';

/** A complete reply without its cost, which is known only when the request is settled. */
export type KeptReply = Omit<StoredReply, 'costNanoUsd'>;

/** Whether a reply was stored before, and so has its cost. */
const isPriced = (reply: KeptReply | StoredReply): reply is StoredReply => 'costNanoUsd' in reply;

/** How a request ended, and what may be stored of its reply. */
export interface Closing extends Outcome {
  /** A complete reply, for those that share it. */
  readonly keep?: KeptReply | StoredReply | null;
  /** The reply is complete, even if it isn't kept. */
  readonly complete?: boolean;
  /** The reply may also be stored in the cache. */
  readonly cacheable?: boolean;
  /** It was a session, whose replies were charged as they ended. */
  readonly session?: {
    readonly bill: Bill;
    /** It ended within a reply, so that nobody knows what that cost. */
    readonly cut: boolean;
  };
}

/** How a request ended: a stream that began with success may still have failed. */
const endStatus = ({ status, error = '', abandoned }: Closing): number =>
  abandoned === true ? clientGoneStatus : error === '' ? status : catalogue[error].status;

const noTries: Trail['billed'] = [];

/** Recorded for a client that disconnected before its reply. HTTP has no such status; nginx uses this one. */
const clientGoneStatus = 499;

/** The state of one request on its way through the stages. */
export class Passage implements Course {
  identity: Identity | null = null;
  request: ModelRequest | null = null;
  permit: Permit | null = null;
  claim: Claim | null = null;
  cacheKey: CacheKey | null = null;
  /** Where a reply that is cached belongs; null: none is. */
  place: Place | null = null;
  /** The question that the reply answers; null: nothing but the request itself. */
  asked: Asked | null = null;
  /** A stored reply that the provider's is compared with. */
  judging: Judging | null = null;
  /** Ends once it is known whether there is one. */
  look: Promise<void> | null = null;
  cacheUse: CacheUse = 'bypass';
  cacheLevel: CacheLevel | '' = '';
  plan: Plan | null = null;
  trail: Trail | null = null;
  priority: Priority = 'interactive';
  /** Ms it waited for the pace of a limit, and for its turn in the batch queue. */
  queuedMs = 0;
  /** What is done about personal data; null: the caller isn't known yet. */
  policy: ScrubPolicy | null = null;
  /** What was found in the reply. */
  replyFindings: Findings = noFindings;
  /** What the reply says, before values are restored; null: it isn't exported. */
  reply: SaidReply | null = null;
  /** When the request's time is over, monotonic ms. */
  deadlineMs = Number.POSITIVE_INFINITY;
  /** When providers began to be asked, monotonic ms; null: not yet. */
  begunMs: number | null = null;
  /** When each stage let it pass, monotonic ms, in their order; null: nobody wants to know. */
  readonly #passedMs: number[] | null;
  /** Codes of refusals that were only reported. */
  #observed: ErrorCode[] | null = null;
  readonly exchange: Exchange;
  readonly stages: Stages;
  #closed = false;

  constructor(exchange: Exchange, stages: Stages) {
    this.exchange = exchange;
    this.stages = stages;
    this.#passedMs = stages.observer.recent.size > 0 ? [stages.clock()] : null;
  }

  /** The next stage has let it pass: called for each in its turn, from `authenticate` to `attempt`; `listen` has. */
  passed(): void {
    if (this.#passedMs !== null) this.#passedMs.push(this.stages.clock());
  }

  get passedMs(): readonly number[] {
    return this.#passedMs ?? notTimed;
  }

  /** Providers are being asked from now on. @param nowMs monotonic ms */
  begin(nowMs: number): void {
    this.begunMs = nowMs;
    if (this.priority === 'interactive') this.stages.batch.begin();
  }

  /** The cache has an answer. */
  hit(level: CacheLevel): void {
    this.cacheUse = 'hit';
    this.cacheLevel = level;
  }

  /** In observe mode, notes the refusal and returns true: the request passes. */
  observes(refusal: Refusal): boolean {
    if (this.stages.config.mode !== 'observe') return false;
    this.#observed ??= [];
    this.#observed.push(refusal.code);
    return true;
  }

  /** Codes of the refusals that were only reported, comma-separated; `rate_limited` for all limits together. */
  get observed(): string {
    const first = this.identity?.observed ?? null;
    const limited = this.permit?.headers.includes(observedLimitHeader) === true;
    if (first === null && this.#observed === null && !limited) return '';
    const codes = [...(first === null ? [] : [first]), ...(this.#observed ?? [])];
    return (limited ? [...codes, 'rate_limited'] : codes).join(',');
  }

  /** Closes the request with a refusal, and makes its reply. */
  refuse(refusal: Refusal): WholeReply {
    // If the client disconnected first, nobody reads the refusal, and it counts as no error.
    const abandoned = this.exchange.cancellation.reason === 'client_gone';
    this.close(
      abandoned
        ? { status: clientGoneStatus, abandoned }
        : { status: refusal.entry.status, error: refusal.code },
    );
    return refusalReply(refusal, this.exchange.endpoint.dialect, this.exchange.id);
  }

  /**
   * Gives the reply to those that share it, stores it, settles the permit, and writes the record. Later calls do
   * nothing. If a provider reported no usage, permit and record wait for the tokenizer, at most `count.deadlineMs`;
   * what the request held only while in flight is released at once.
   * @param nowMs monotonic ms
   * @returns the request's usage and cost, as far as known now
   */
  close(closing: Closing, nowMs: number = this.stages.clock()): Bill {
    if (this.#closed) return nothingBilled;
    this.#closed = true;
    const { stages } = this;
    if (this.begunMs !== null) stages.batch.end(this.priority, endStatus(closing), nowMs - this.begunMs);
    try {
      return this.#finish(closing, nowMs);
    } catch (cause) {
      // Whatever went wrong, everything must be released.
      this.reportDefect(cause);
      this.claim?.finish(null);
      this.permit?.settle(nothingBilled.usage, 0);
      return nothingBilled;
    }
  }

  #finish(closing: Closing, nowMs: number): Bill {
    const { stages, request, exchange } = this;
    if (closing.session !== undefined) return this.#endSession(closing, closing.session, nowMs);
    const billed = this.#billed();
    for (const target of this.trail?.implausible ?? []) stages.observer.usageImplausible(target);
    const { auxiliary, dialect, kind } = exchange.endpoint;
    const first =
      request === null || billed.length === 0
        ? nothingBilled
        : bill(request, billed, stages.estimator, null, auxiliary?.unstated);
    this.#store(closing, first, nowMs);
    // The tokenizer can't read the bodies of auxiliary endpoints.
    if (request === null || auxiliary !== undefined || billed.every(isStated)) {
      this.#settle(closing, first, null, nowMs);
      return first;
    }
    this.permit?.release();
    const unstated = billed.filter((each) => !isStated(each));
    const prompt = unstated.every(({ facts }) => facts.inputTokens > 0) ? null : request.body;
    const replies = unstated.map((each) => ({ text: each.text(), bytes: each.facts.textBytes }));
    stages.counter.count({ endpoint: { dialect, kind }, prompt, replies }, (counts) => {
      const counted = counts === null ? first : bill(request, billed, stages.estimator, counts);
      this.#settle(closing, counted, counts, nowMs);
    });
    return first;
  }

  #endSession(closing: Closing, { bill, cut }: NonNullable<Closing['session']>, nowMs: number): Bill {
    this.permit?.settle(cut ? null : noUsage, 0);
    const usage = { ...bill.usage, known: bill.usage.known && !cut };
    const all = { ...bill, usage, priced: bill.priced && !cut };
    this.stages.observer.record(createRecord(this.exchange, this, closing, all, nowMs), null);
    return all;
  }

  /** The billed calls; none for requests that count tokens, which providers answer for free. */
  #billed(): Trail['billed'] {
    return this.exchange.endpoint.kind === 'count' ? noTries : (this.trail?.billed ?? noTries);
  }

  #store({ keep, complete, cacheable }: Closing, { costNanoUsd }: Bill, nowMs: number): void {
    if (keep === undefined || keep === null)
      return this.claim?.finish(null, complete === true ? costNanoUsd : null);
    const stored = isPriced(keep) ? keep : { ...keep, costNanoUsd };
    this.claim?.finish(stored);
    const { cache } = this.stages;
    const fit = cacheable === true;
    const judge = (): void => {
      if (this.judging !== null) cache.judge(this.judging, fit ? stored : null, nowMs);
    };
    if (this.look === null) judge();
    else void this.look.then(judge);
    const { cacheKey: key, place } = this;
    if (!fit || key === null || place === null) return;
    const { exchange, identity, asked } = this;
    const tags = identity?.tags ?? [];
    const { maxAgeMs } = cacheControl(exchange);
    cache.put({ key, place, askedMs: exchange.startedMs, tags, maxAgeMs, asked }, stored, nowMs);
  }

  #settle(closing: Closing, billed: Bill, counts: Counts | null, nowMs: number): void {
    const { stages, identity, request } = this;
    // What was only promised may cost all that was reserved.
    const promised = this.#isPromised();
    this.permit?.settle(promised ? null : billed.usage, billed.costNanoUsd, billed.priced);
    // Images and sound would distort what is learned about text.
    if (request !== null && this.exchange.endpoint.auxiliary?.unstated !== 'unpriced')
      learn(request, this.#billed(), stages.estimator, counts);
    for (const charge of billed.charges) stages.observer.charge(identity?.tenant ?? '', charge);
    const routingSavedNanoUsd = this.#savedByChoice(closing.target, billed);
    const outcome = routingSavedNanoUsd === 0 ? closing : { ...closing, routingSavedNanoUsd };
    stages.observer.record(createRecord(this.exchange, this, outcome, billed, nowMs), this.#said());
  }

  /** What was saved by choosing the target that answered by its price; 0: it wasn't. */
  #savedByChoice(answered: string | undefined, { charges }: Bill): number {
    const { plan, priority } = this;
    // By strategy `cost`, among all targets that are able; of a chain for batch requests, instead of the first.
    const byTier = plan !== null && plan.tier !== null;
    if (plan === null || !(byTier || (priority === 'batch' && plan.fixed))) return 0;
    const charge = charges.findLast(({ target }) => target === answered);
    if (charge === undefined) return 0;
    const choices = byTier ? plan.steps : plan.steps.slice(0, 1);
    return savedByChoice(
      charge,
      choices.map(({ target }) => target.facts),
    );
  }

  /** Keeps what a complete reply says, if that is exported. @param stream it consists of events */
  hear(body: Buffer, stream: boolean): void {
    if (this.stages.observer.content !== null) this.reply = { pieces: [body], stream, cut: false };
  }

  /** What is exported of what was said: only of chat, and if anybody answered or was asked. */
  #said(): Said | null {
    const { request, policy, exchange, stages, reply } = this;
    if (stages.observer.content === null || exchange.endpoint.kind !== 'chat') return null;
    if (request === null || policy === null || (reply === null && this.trail === null)) return null;
    return {
      dialect: exchange.endpoint.dialect,
      scope: policy.exported(),
      request: request.body,
      reply,
    };
  }

  /** Whether a provider goes on with an answer that nobody waits for here, so that nobody knows what it will cost. */
  #isPromised(): boolean {
    const billed = this.#billed();
    if (billed.some(({ facts }) => facts.promised === true)) return true;
    if (((this.request?.flags ?? 0) & bodyFlags.background) === 0) return false;
    return (this.trail?.calls ?? 0) > 0 && !billed.some((each) => each.complete && isStated(each));
  }

  /** Reports a defect of the gateway. `cause` may contain names from the code, but never text of a request. */
  reportDefect(cause: unknown): void {
    this.stages.observer.defect(this.exchange.id, cause);
  }
}
