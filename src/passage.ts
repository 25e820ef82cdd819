/** What one request holds while it is at work, and lets go of exactly once when it is over. */
import type { Trail } from './attempt/trail.ts';
import type { ErrorCode, Refusal } from './base/errors.ts';
import type { CacheKey } from './cache/cache.ts';
import type { Counts } from './count/usage.ts';
import { type Bill, bill, isStated, learn, nothingBilled } from './count/usage.ts';
import { refusalReply } from './dialects/refusal.ts';
import type { Exchange } from './exchange/exchange.ts';
import type { Identity } from './exchange/identity.ts';
import type { Priority } from './exchange/priority.ts';
import type { StoredReply, WholeReply } from './exchange/reply.ts';
import type { ModelRequest } from './exchange/request.ts';
import type { Permit } from './limit/permit.ts';
import { type CacheUse, type Course, createRecord, type Outcome } from './observe/record.ts';
import type { Claim } from './replay/replay.ts';
import type { Stages } from './stages.ts';
import type { Plan } from './upstream/target.ts';

/** A complete reply without what it cost: that is known only where it is settled. */
export type KeptReply = Omit<StoredReply, 'costNanoUsd'>;

/** One that was stored before has its cost already. */
const isPriced = (reply: KeptReply | StoredReply): reply is StoredReply => 'costNanoUsd' in reply;

/** How a request ended, and what of its reply may be kept. */
export interface Closing extends Outcome {
  /** A complete reply, for the idempotency key. */
  readonly keep?: KeptReply | StoredReply | null;
  /** It may answer others as well. */
  readonly cacheable?: boolean;
}

const noTries: Trail['billed'] = [];

/** Recorded for a client that left before it had a reply; nginx' number, since HTTP has none. */
const clientGoneStatus = 499;

export class Passage implements Course {
  identity: Identity | null = null;
  request: ModelRequest | null = null;
  permit: Permit | null = null;
  claim: Claim | null = null;
  cacheKey: CacheKey | null = null;
  cacheUse: CacheUse = 'bypass';
  plan: Plan | null = null;
  trail: Trail | null = null;
  priority: Priority = 'interactive';
  queuedMs = 0;
  /** Refusals that were only reported. */
  #letPass: ErrorCode[] | null = null;
  readonly exchange: Exchange;
  readonly stages: Stages;
  #closed = false;
  /** Since when it is at work; null: it isn't yet. */
  #atWorkMs: number | null = null;

  constructor(exchange: Exchange, stages: Stages) {
    this.exchange = exchange;
    this.stages = stages;
  }

  /** It is at work from now on: providers are asked. */
  begin(nowMs: number): void {
    this.#atWorkMs = nowMs;
    if (this.priority === 'interactive') this.stages.batch.begin();
  }

  /** Whether a refusal is only to be reported, since the gateway observes. */
  letPass(refusal: Refusal): boolean {
    if (this.stages.config.mode !== 'observe') return false;
    this.#letPass ??= [];
    this.#letPass.push(refusal.code);
    return true;
  }

  /** What would have been refused if the gateway did not only observe: codes, separated by commas. */
  get observed(): string {
    const first = this.identity?.observed ?? null;
    if (first === null && this.#letPass === null) return '';
    return [...(first === null ? [] : [first]), ...(this.#letPass ?? [])].join(',');
  }

  /** Ends the request with a refusal. */
  refuse(refusal: Refusal): WholeReply {
    // When the client has left first nobody reads the refusal, and nobody is at fault.
    const abandoned = this.exchange.cancellation.reason === 'client_gone';
    this.close(
      abandoned
        ? { status: clientGoneStatus, abandoned }
        : { status: refusal.entry.status, error: refusal.code },
    );
    return refusalReply(refusal, this.exchange.endpoint.dialect, this.exchange.id);
  }

  /**
   * Answers the idempotency key, stores, settles the permit and records; later calls do nothing. Where a provider
   * stated no usage, permit and record wait for the tokenizer, within `count.deadlineMs`; what the request held only
   * while it was at work is free at once.
   * @param nowMs monotonic ms
   * @returns what the request cost, as far as it is known by now
   */
  close(closing: Closing, nowMs: number = this.stages.clock()): Bill {
    if (this.#closed) return nothingBilled;
    this.#closed = true;
    const { stages } = this;
    if (this.#atWorkMs !== null) stages.batch.end(this.priority, closing.status, nowMs - this.#atWorkMs);
    try {
      return this.#finish(closing, nowMs);
    } catch (cause) {
      // Whatever went wrong, nothing may stay held.
      this.bug(cause);
      this.claim?.finish(null);
      this.permit?.settle(nothingBilled.usage, null);
      return nothingBilled;
    }
  }

  #finish(closing: Closing, nowMs: number): Bill {
    const { stages, request, exchange } = this;
    const billed = this.#billed();
    const { auxiliary, dialect, kind } = exchange.endpoint;
    const first =
      request === null || billed.length === 0
        ? nothingBilled
        : bill(request, billed, stages.estimator, null, auxiliary?.unstated);
    this.#store(closing, first, nowMs);
    // Texts of chats are what the tokenizer knows.
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

  /** Counting tokens is free at the provider. */
  #billed(): Trail['billed'] {
    return this.exchange.endpoint.kind === 'count' ? noTries : (this.trail?.billed ?? noTries);
  }

  #store({ keep, cacheable }: Closing, { costNanoUsd }: Bill, nowMs: number): void {
    if (keep === undefined || keep === null) return this.claim?.finish(null);
    const stored = isPriced(keep) ? keep : { ...keep, costNanoUsd };
    this.claim?.finish(stored);
    if (cacheable === true && this.cacheKey !== null) this.stages.cache.put(this.cacheKey, stored, nowMs);
  }

  #settle(closing: Closing, billed: Bill, counts: Counts | null, nowMs: number): void {
    const { stages, identity, request } = this;
    this.permit?.settle(billed.usage, billed.priced ? billed.costNanoUsd : null);
    // Images and sound would spoil what is known of text.
    if (request !== null && this.exchange.endpoint.auxiliary?.unstated !== 'unpriced')
      learn(request, this.#billed(), stages.estimator, counts);
    for (const charge of billed.charges) stages.observer.charge(identity?.tenant ?? '', charge);
    stages.observer.record(createRecord(this.exchange, this, closing, billed, nowMs));
  }

  /** Reports a defect of the gateway's own; `cause` may name code but never holds request text. */
  bug(cause: unknown): void {
    this.stages.observer.defect(this.exchange.id, cause);
  }
}
