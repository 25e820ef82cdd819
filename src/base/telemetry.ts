/**
 * The events that rooms report. A room states a fact; `observe/telemetry.ts` decides whether it becomes a metric, a log
 * line or both. A text that becomes a label comes from the configuration or from a closed list, so that the number of
 * labels stays bounded; only targets may be models that requests name, within a bound. Other texts (`scope`, `problem`,
 * `why`, `cause`) may only go to the log.
 */

/** What limits and budgets report, other than an admitted request. */
export type LimitEvent = 'refused' | 'observed' | 'soft' | 'delayed' | 'unpriced' | 'overflow';

/** Why a batch request was not sent; `left`: its client disconnected. */
export type BatchRefusal = 'queue_full' | 'deadline' | 'expired' | 'draining' | 'left';

/** The result of counting a reply's tokens in a worker. */
export type CountResult = 'counted' | 'queue_full' | 'late' | 'failed';

/** A cloud platform that issues credentials to its machines. */
export type Platform = 'google' | 'azure' | 'aws';

/**
 * What the cache did for a question in other words: answered it at a level, or let it go upstream to be judged
 * (`shadow`, `sample`); how an answer was judged; whether the closer look that was wanted came in time.
 */
export const questionEvents = [
  'normalised',
  'semantic',
  'shadow',
  'sample',
  'right',
  'wrong',
  'verified',
  'unverified',
] as const;

/** One of these. */
export type QuestionEvent = (typeof questionEvents)[number];

/**
 * What came of asking a provider for a question's vector: `invalid`, it gave something else; `full`, too many asked;
 * `resting`, it wasn't asked, since it failed before.
 */
export const embedResults = ['embedded', 'late', 'failed', 'invalid', 'full', 'resting'] as const;

/** One of these. */
export type EmbedResult = (typeof embedResults)[number];

/** What became of a cache's news: sent or adopted; dropped, since Redis or this pod can't take them; refused: not ours. */
export const cacheNewsEvents = ['sent', 'adopted', 'dropped', 'refused'] as const;

/** One of these. */
export type CacheNewsEvent = (typeof cacheNewsEvents)[number];

/**
 * What became of a request's texts that a recogniser had to see: checked, or all known from earlier requests; or why not:
 * it was late, or failed; too many wait for it (`busy`); it failed before, and wasn't asked (`skipped`); `too_long`.
 */
export const recogniserChecks = [
  'checked',
  'known',
  'late',
  'failed',
  'busy',
  'skipped',
  'too_long',
] as const;

/** One of these. */
export type RecogniserCheck = (typeof recogniserChecks)[number];

/** One method for each kind of event. */
export interface Telemetry {
  /**
   * A call to a provider has ended.
   * @param target `provider/model`
   * @param durationMs from sending it to the end of its reply
   * @param ttftMs until the first content, or the whole reply; null: none came
   * @param made only the request names it
   */
  call(target: string, outcome: string, durationMs: number, ttftMs: number | null, made: boolean): void;
  /** A hedging call was sent, or it answered first. */
  hedge(what: 'sent' | 'won'): void;
  /** A provider can't be reached for a reason that an operator must mend. @param code the network's, or empty */
  unreachable(provider: string, failure: string, code: string, advice: string): void;
  /** A call was not made, since all connections that `attempt.connectionsMax` allows are in use. */
  connectionsSpent(provider: string): void;
  /** A provider says that the account's money or quota is spent; that credential cools down. */
  quotaSpent(provider: string, status: number, apiKey: number): void;
  /** The retry budget refused a call. */
  retryBudgetSpent(kind: 'retry' | 'hedge'): void;
  /** A circuit breaker opened or closed. @param name the target's label or the provider's name */
  breaker(subject: 'target' | 'provider', name: string, open: boolean): void;
  /** A provider refused one of the gateway's credentials. @param index position among the provider's credentials */
  credentialRefused(provider: string, status: number, index: number): void;
  /** The platform's credential could not be obtained. @param cause name of the error @param advice what may help */
  platformCredential(provider: string, platform: Platform, cause: string, advice: string): void;
  /** A self-hosted engine began to fail its probes, or passes them again. */
  engine(provider: string, down: boolean): void;
  /** An issuer's public keys were fetched (null), or could not be. */
  issuerKeys(issuer: string, problem: string | null): void;
  /** The Redis that connects peers became reachable, or unreachable (with the reason). */
  peers(up: boolean, why: string): void;
  /** A hint was sent to peers, received from one, or dropped. */
  hint(what: 'sent' | 'received' | 'dropped'): void;
  /** Shared limits are leased over Redis (true), or this pod uses its share of each. Once per change. */
  leases(up: boolean, why: string): void;
  /** A call to Redis for leases has ended. */
  leaseCall(outcome: 'answered' | 'failed'): void;
  /** Sidecars that share this Redis, this one included. */
  leasePods(pods: number): void;
  /** A request waited for Redis, since its limit is too small to be sliced; `late`: the pod's share decided. */
  leaseAsk(outcome: 'answered' | 'late'): void;
  /** Redis keys of this many shared limits hold something else: this pod uses its share of them. Once per change. */
  leasesForeign(limits: number): void;
  /** Stored keys were sent to other pods, and adopted from them. */
  keysShared(sent: number, adopted: number): void;
  /** A pod asked the others about an idempotency key; `alone`: Redis didn't answer in time. */
  claim(result: 'mine' | 'running' | 'stored' | 'alone'): void;
  /** A batch request was refused or left the queue unsent. */
  batchRefused(reason: BatchRefusal): void;
  /** A limit or budget did something. @param limit its name @param scope whom it counts for, as in messages */
  limit(limit: string, event: LimitEvent, scope: string): void;
  /** A call stated more tokens, or a higher cost, than a request can have. @param target `provider/model` */
  usageImplausible(target: string): void;
  /** Counting a reply's tokens has ended. */
  tokenCount(result: CountResult): void;
  /** Budgets could not be written to the store (with the reason), or can be again (null). Once per change. */
  budgetsSaved(problem: string | null): void;
  /** The cache answered a question in other words, or judged an answer. */
  cacheQuestion(event: QuestionEvent): void;
  /** News of a cache went to other pods, or came from one. */
  cacheNews(event: CacheNewsEvent): void;
  /** From now on a tenant's questions to a route are answered in other words (true), or no longer. */
  cacheTrust(tenant: string, route: string, live: boolean): void;
  /** The cache adopted what an earlier process kept; it couldn't; or it couldn't be kept. @param detail entries, or why not */
  cacheSnapshot(event: 'restored' | 'refused' | 'unsaved', detail: string): void;
  /** Memory runs short, so the cache makes room; it is full, so new requests are refused; they are accepted again. */
  memory(state: 'short' | 'full' | 'eased'): void;
  /** The cache's verifier is ready; or it isn't, and why. */
  cacheVerifier(why: string | null): void;
  /** A provider was asked for a question's vector. */
  cacheEmbedding(result: EmbedResult): void;
  /** The provider that makes the cache's vectors isn't asked for a while, and why; or it answers again (null). */
  cacheEmbedder(why: string | null): void;
  /** A recogniser had to see a request's texts. @param tookMs how long it took to ask; null: it wasn't asked */
  recogniserCheck(check: RecogniserCheck, tookMs: number | null): void;
  /** The recogniser answers again, or no longer (and why). Once per change. */
  recogniser(up: boolean, why: string): void;
  /** An unexpected exception: a bug in the gateway. */
  defect(requestId: string, cause: unknown): void;
}

const nothing = (): void => {};

/** Ignores every event: for commands and tests that run without a sidecar. */
export const silent: Telemetry = {
  call: nothing,
  hedge: nothing,
  retryBudgetSpent: nothing,
  breaker: nothing,
  credentialRefused: nothing,
  quotaSpent: nothing,
  unreachable: nothing,
  connectionsSpent: nothing,
  platformCredential: nothing,
  engine: nothing,
  issuerKeys: nothing,
  peers: nothing,
  hint: nothing,
  leases: nothing,
  leaseCall: nothing,
  leasePods: nothing,
  leaseAsk: nothing,
  leasesForeign: nothing,
  keysShared: nothing,
  claim: nothing,
  batchRefused: nothing,
  limit: nothing,
  usageImplausible: nothing,
  tokenCount: nothing,
  budgetsSaved: nothing,
  cacheQuestion: nothing,
  cacheNews: nothing,
  cacheTrust: nothing,
  cacheSnapshot: nothing,
  memory: nothing,
  cacheVerifier: nothing,
  cacheEmbedding: nothing,
  cacheEmbedder: nothing,
  recogniserCheck: nothing,
  recogniser: nothing,
  defect: nothing,
};
