/** What becomes of a report: a metric, a log line, or both. */
import type { Log } from '../base/log.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { Charge } from '../count/usage.ts';
import { logRecord } from './line.ts';
import type { Metrics } from './metrics.ts';
import { createNotices } from './notices.ts';
import type { ExchangeRecord } from './record.ts';

/** Telemetry, and what only the pipeline and the process report. */
export interface Observer extends Telemetry {
  /** A request is over. */
  record(record: ExchangeRecord): void;
  /** What one billed call of a tenant's request used and cost. */
  charge(tenant: string, charge: Charge): void;
  /** A new configuration is in use, or was refused. */
  reload(ok: boolean): void;
  /** Limits that may be named in metrics: those of the configuration. Others are stored keys'. */
  nameLimits(names: ReadonlySet<string>): void;
}

/** Limits of stored keys are named over the admin port; labels must come from the configuration. */
const storedKeyLimit = 'stored-key';

export function createObserver(
  metrics: Metrics,
  log: Log,
  world: { readonly clock: () => number; readonly wallClock: () => number },
): Observer {
  const notice = createNotices(log, world.clock);
  const failingIssuers = new Set<string>();
  let limitNames: ReadonlySet<string> = new Set();
  return {
    record(record) {
      metrics.record(record);
      logRecord(log, record, world.wallClock());
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
      if (open) log.warn({ [subject]: name }, 'its circuit breaker opened');
      else log.info({ [subject]: name }, 'its circuit breaker closed');
    },
    credentialRefused: (provider, status, apiKey) =>
      log.error({ provider, status, apiKey }, 'the provider refused its apiKey; it rests for a minute'),
    platformCredential: (provider, platform, cause, advice) =>
      log.error(
        { provider, cause },
        `no ${platform === 'aws' ? 'keys from AWS' : `token from ${platform}`}: ${advice}; asked again in 15 s`,
      ),
    engine: (provider, down) =>
      log.warn({ provider, down }, down ? 'the engine fails its probes' : 'the engine is back'),
    issuerKeys(issuer, problem) {
      metrics.jwks(issuer, problem === null);
      if (problem !== null && !failingIssuers.has(issuer)) {
        failingIssuers.add(issuer);
        log.warn({ issuer, problem }, "the issuer's keys cannot be fetched; known ones stay in use");
      } else if (problem === null && failingIssuers.delete(issuer))
        log.info({ issuer }, "the issuer's keys are here again");
    },
    peers(up, why) {
      metrics.peers(up);
      if (up) log.info('peers can be reached over Redis');
      else log.warn({ why }, 'peers cannot be reached over Redis; every request is served as before');
    },
    hint: metrics.hint,
    batchRefused: metrics.batchRefused,
    limit(limit, event, scope) {
      metrics.limit(limitNames.has(limit) ? limit : storedKeyLimit, event);
      notice(limit, event, scope);
    },
    tokenCount: metrics.count,
    budgetsSaved: (problem) =>
      problem === null
        ? log.info('budgets are written to the store again')
        : log.error({ reason: problem }, 'budgets could not be written to the store; it is tried again'),
    defect: (requestId, cause) =>
      log.error({ requestId, stack: cause instanceof Error ? cause.stack : '' }, 'defect'),
  };
}
