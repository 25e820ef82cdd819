/**
 * What the rooms report while they work. A room states a fact; whether it becomes a metric, a log line or both is
 * decided by the implementation in `observe/telemetry.ts`. Every text is from the configuration or from a closed list
 * of this file, so that labels stay bounded; none is of a request.
 */

/** What limits and budgets report beside letting pass. */
export type LimitEvent = 'refused' | 'observed' | 'soft' | 'delayed' | 'unpriced' | 'overflow';

/** Why a batch request left the queue without a turn. */
export type BatchRefusal = 'queue_full' | 'deadline' | 'expired' | 'draining' | 'left';

/** What became of counting a reply's tokens. */
export type CountResult = 'counted' | 'queue_full' | 'late' | 'failed';

/** A platform that gives machines their own credentials. */
export type Platform = 'google' | 'azure' | 'aws';

export interface Telemetry {
  /** A call to a provider has ended. @param target `provider/model`, from the configuration */
  call(target: string, outcome: string): void;
  /** A hedged request was sent, or answered first. */
  hedge(what: 'sent' | 'won'): void;
  /** The retry budget refused a call. */
  retryBudgetSpent(kind: 'retry' | 'hedge'): void;
  /** A circuit breaker opened or closed. @param name the target's label or the provider's name */
  breaker(subject: 'target' | 'provider', name: string, open: boolean): void;
  /** A provider refused a credential of the gateway's own. @param index which of the provider's */
  credentialRefused(provider: string, status: number, index: number): void;
  /** The machine's own credential can't be had. @param cause name of the error @param advice what may help */
  platformCredential(provider: string, platform: Platform, cause: string, advice: string): void;
  /** A self-hosted engine fails its probes, or passes them again. */
  engine(provider: string, down: boolean): void;
  /** An issuer's public keys were fetched (null), or could not be. */
  issuerKeys(issuer: string, problem: string | null): void;
  /** The Redis where peers meet can be reached, or not. */
  peers(up: boolean, why: string): void;
  /** A hint to or from a peer. */
  hint(what: 'sent' | 'received' | 'dropped'): void;
  batchRefused(reason: BatchRefusal): void;
  /** @param limit name of a limit or budget @param scope whom it is about, as in messages */
  limit(limit: string, event: LimitEvent, scope: string): void;
  tokenCount(result: CountResult): void;
  /** Budgets could not be written to the store (with the reason), or can again (null). Once for each change. */
  budgetsSaved(problem: string | null): void;
  /** A defect of the gateway's own. */
  defect(requestId: string, cause: unknown): void;
}

const nothing = (): void => {};

/** Reports nothing: for what works beside a running sidecar. */
export const silent: Telemetry = {
  call: nothing,
  hedge: nothing,
  retryBudgetSpent: nothing,
  breaker: nothing,
  credentialRefused: nothing,
  platformCredential: nothing,
  engine: nothing,
  issuerKeys: nothing,
  peers: nothing,
  hint: nothing,
  batchRefused: nothing,
  limit: nothing,
  tokenCount: nothing,
  budgetsSaved: nothing,
  defect: nothing,
};
