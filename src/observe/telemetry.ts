/** The observer: turns each reported event into a metric, a log line, or both. */
import type { Log } from '../base/log.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { Charge } from '../count/usage.ts';

import { type LineForm, logRecord } from './line.ts';
import type { Metrics } from './metrics.ts';
import { createNotices } from './notices.ts';
import type { Recent } from './recent.ts';
import type { ExchangeRecord } from './record.ts';
import type { Spend } from './spend.ts';

/** Takes every record: the ledger, for example. @param endedMs ms since 1970 */
export interface Follower {
  add(record: ExchangeRecord, endedMs: number): void;
}

/** Telemetry, plus the events that only the pipeline and the process report. */
export interface Observer extends Telemetry {
  /** The last records. */
  readonly recent: Recent;
  /** What was used and spent since the start. */
  readonly spend: Spend;
  /** A request is finished. */
  record(record: ExchangeRecord): void;
  /** Usage and cost of one billed call for a tenant's request. */
  charge(tenant: string, charge: Charge): void;
  /** A new configuration was adopted, or refused. */
  reload(ok: boolean): void;
  /** Sets the limits that metrics may name: those of the configuration. All others belong to stored keys. */
  nameLimits(names: ReadonlySet<string>): void;
}

/** Label for all limits of stored keys: their names aren't from the configuration, as label values must be. */
export const storedKeyLimit = 'stored-key';

/** Creates the observer. `clock`: monotonic ms; `wallClock`: ms since 1970. */
export function createObserver(
  metrics: Metrics,
  {
    recent,
    spend,
    all,
  }: { readonly recent: Recent; readonly spend: Spend; readonly all: readonly Follower[] },
  log: Log,
  form: LineForm,
  world: { readonly clock: () => number; readonly wallClock: () => number },
): Observer {
  const notice = createNotices(log, world.clock);
  const failingIssuers = new Set<string>();
  let limitNames: ReadonlySet<string> = new Set();
  return {
    recent,
    spend,
    record(record) {
      const wallMs = world.wallClock();
      metrics.record(record);
      for (const follower of all) follower.add(record, wallMs);
      logRecord(log, record, wallMs, form);
    },
    charge: metrics.charge,
    reload: metrics.reload,
    nameLimits(names) {
      limitNames = names;
    },
    call: metrics.call,
    hedge: metrics.hedge,
    retryBudgetSpent: metrics.retryBudgetSpent,
    breaker(subject, name, open) {
      if (open) log.warn({ [subject]: name }, 'circuit breaker opened');
      else log.info({ [subject]: name }, 'circuit breaker closed');
    },
    credentialRefused: (provider, status, apiKey) =>
      log.error(
        { provider, status, apiKey },
        'the provider refused this apiKey; it is not used for a minute',
      ),
    platformCredential: (provider, platform, cause, advice) =>
      log.error(
        { provider, cause },
        `could not get ${platform === 'aws' ? 'keys from AWS' : `a token from ${platform}`}: ${advice}; trying again in 15 s`,
      ),
    engine: (provider, down) =>
      log.warn(
        { provider, down },
        down ? 'the engine fails its probes' : 'the engine passes its probes again',
      ),
    issuerKeys(issuer, problem) {
      metrics.jwks(issuer, problem === null);
      if (problem !== null && !failingIssuers.has(issuer)) {
        failingIssuers.add(issuer);
        log.warn({ issuer, problem }, "the issuer's keys cannot be fetched; known keys stay in use");
      } else if (problem === null && failingIssuers.delete(issuer))
        log.info({ issuer }, "the issuer's keys can be fetched again");
    },
    peers(up, why) {
      metrics.peers(up);
      if (up) log.info('peers can be reached over Redis');
      else log.warn({ why }, 'peers cannot be reached over Redis; requests are served as before');
    },
    hint: metrics.hint,
    leases(up, why) {
      metrics.leases(up);
      if (up) log.info('shared limits are leased');
      else
        log.warn({ why }, 'shared limits cannot be leased from Redis; this pod goes on at its share of each');
    },
    leaseCall: metrics.leaseCall,
    leaseForeign: () =>
      log.error('a key of a shared limit in Redis holds something else; this pod goes on at its share of it'),
    batchRefused: metrics.batchRefused,
    limit(limit, event, scope) {
      metrics.limit(limitNames.has(limit) ? limit : storedKeyLimit, event);
      notice(limit, event, scope);
    },
    tokenCount: metrics.count,
    budgetsSaved: (problem) =>
      problem === null
        ? log.info('budgets are saved to the store again')
        : log.error({ reason: problem }, 'budgets could not be saved to the store; trying again'),
    defect: (requestId, cause) =>
      log.error({ requestId, stack: cause instanceof Error ? cause.stack : '' }, 'defect'),
  };
}
