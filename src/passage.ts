/** What one request holds while it is at work, and lets go of exactly once when it is over. */
import type { Trail } from './attempt/trail.ts';
import type { CacheKey } from './cache/cache.ts';
import type { Refusal } from './errors.ts';
import {
  addUsage,
  type Exchange,
  type Identity,
  type ModelRequest,
  noUsage,
  type StoredReply,
  type Usage,
  type WholeReply,
} from './exchange.ts';
import type { Stages } from './gateway.ts';
import type { Permit } from './limit/limit.ts';
import { type CacheUse, createRecord, type Outcome } from './observe/record.ts';
import type { Claim } from './replay/replay.ts';
import { refusalReply } from './respond.ts';

/** How a request ended, and what of its reply may be kept. */
export interface Closing extends Outcome {
  /** A complete reply, for the idempotency key. */
  readonly keep?: StoredReply | null;
  /** It may answer others as well. */
  readonly cacheable?: boolean;
}

/** Recorded for a client that left before it had a reply; nginx' number, since HTTP has none. */
const clientGoneStatus = 499;

export class Passage {
  identity: Identity | null = null;
  request: ModelRequest | null = null;
  permit: Permit | null = null;
  claim: Claim | null = null;
  cacheKey: CacheKey | null = null;
  cacheUse: CacheUse = 'bypass';
  trail: Trail | null = null;
  readonly exchange: Exchange;
  readonly stages: Stages;
  #closed = false;

  constructor(exchange: Exchange, stages: Stages) {
    this.exchange = exchange;
    this.stages = stages;
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

  /** Settles the permit, answers the idempotency key, stores, and records. Later calls do nothing. */
  close(closing: Closing): void {
    if (this.#closed) return;
    this.#closed = true;
    const { stages, trail } = this;
    const nowMs = stages.clock();
    const keep = closing.keep ?? null;
    const usage = withSpent(closing.usage, trail);
    this.permit?.settle(usage ?? noUsage);
    this.claim?.finish(keep);
    if (keep !== null && closing.cacheable === true && this.cacheKey !== null)
      stages.cache.put(this.cacheKey, keep, nowMs);
    const tried = trail === null ? {} : { attempts: trail.calls, tried: trail.text };
    const outcome = { cache: this.cacheUse, ...tried, ...closing, ...(usage === undefined ? {} : { usage }) };
    stages.observe(createRecord(this.exchange, this.identity, this.request, outcome, nowMs));
  }

  /** Reports a defect of the gateway's own; `cause` may name code but never holds request text. */
  bug(cause: unknown): void {
    this.stages.onBug(this.exchange.id, cause);
  }
}

/** A reply's usage, and that of calls made for it whose answers nobody got. */
function withSpent(usage: Usage | undefined, trail: Trail | null): Usage | undefined {
  const spent = trail?.spent ?? null;
  if (spent === null) return usage;
  return addUsage(usage ?? noUsage, spent);
}
