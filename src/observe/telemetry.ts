/** The observer: turns each reported event into a metric, a log line, or both. */
import type { Log } from '../base/log.ts';
import { say } from '../base/log-lines.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { World } from '../base/world.ts';
import type { Charge } from '../count/usage.ts';
import type { Said, StreamKeeping } from './content.ts';
import { createLineWriter, type LineForm } from './line.ts';
import type { Metrics } from './metrics.ts';
import { createNotices } from './notices.ts';
import type { Recent } from './recent.ts';
import type { ExchangeRecord } from './record.ts';
import type { Spend } from './spend.ts';
import { createTurn, type Ended } from './turn.ts';

/** Takes every record: the ledger, for example. @param endedMs ms since 1970 @param said null: it isn't exported */
export interface Follower {
  add(record: ExchangeRecord, endedMs: number, said: Said | null): void;
}

/** Telemetry, plus the events that only the pipeline and the process report. */
export interface Observer extends Telemetry {
  /** The last records. */
  readonly recent: Recent;
  /** What was used and spent since the start. */
  readonly spend: Spend;
  /** Keeps streams for what is exported of them; null: nothing is that requests or replies say. */
  readonly content: StreamKeeping | null;
  /** A request is finished. @param said what it and its reply say; null: that isn't exported */
  record(record: ExchangeRecord, said: Said | null): void;
  /** Handles the records of this turn of the event loop now; otherwise they are at its end. */
  flush(): void;
  /** Usage and cost of one billed call for a tenant's request. */
  charge(tenant: string, charge: Charge): void;
  /** A new configuration was adopted, or refused. */
  reload(ok: boolean): void;
  /** The catalog file can't be used (with the reason), or is in use or not configured (null). A line for each change. */
  catalogFile(problem: string | null): void;
  /** Sets the limits that metrics may name: those of the configuration. All others belong to stored keys. */
  nameLimits(names: ReadonlySet<string>): void;
}

/** Label for all limits of stored keys: their names aren't from the configuration, as label values must be. */
export const storedKeyLimit = 'stored-key';

/** A provider that can't be reached is logged once in so long. */
const unreachableMs = 60_000;

const memoryLines = { short: 'memoryShort', full: 'memoryFull', eased: 'memoryEased' } as const;

/** Creates the observer. `clock`: monotonic ms; `wallClock`: ms since 1970. */
export function createObserver(
  metrics: Metrics,
  {
    recent,
    spend,
    content,
    all,
  }: Pick<Observer, 'recent' | 'spend' | 'content'> & { readonly all: readonly Follower[] },
  log: Log,
  form: LineForm,
  world: Pick<World, 'clock' | 'wallClock' | 'onKeyRefused'>,
): Observer {
  const notice = createNotices(log, world.clock);
  const writeLine = createLineWriter(log, form);
  let foreignLimits = 0;
  const saidMs = new Map<string, number>();
  const failingIssuers = new Set<string>();
  let limitNames: ReadonlySet<string> = new Set();
  let catalogProblem: string | null = null;
  const defect = (requestId: string, cause: unknown): void =>
    say(log, 'defect', { requestId, stack: placeOf(cause) });
  const turn = createTurn(
    [
      ({ record }) => metrics.record(record),
      ...all.map((follower) => (ended: Ended) => follower.add(ended.record, ended.endedMs, ended.said)),
      ({ record, endedMs }) => writeLine(record, endedMs),
    ],
    defect,
  );
  return {
    recent,
    spend,
    content,
    record: (record, said) => turn.add({ record, endedMs: world.wallClock(), said }),
    flush: turn.flush,
    charge: metrics.charge,
    reload: metrics.reload,
    catalogFile(problem) {
      metrics.catalogFile(problem === null);
      if (problem === catalogProblem) return;
      catalogProblem = problem;
      if (problem === null) say(log, 'catalogUp');
      else say(log, 'catalogDown', { reason: problem });
    },
    nameLimits(names) {
      limitNames = names;
    },
    call: metrics.call,
    connectionsSpent: metrics.connectionsSpent,
    hedge: metrics.hedge,
    retryBudgetSpent: metrics.retryBudgetSpent,
    breaker: (subject, name, open) => say(log, open ? 'breakerOpened' : 'breakerClosed', { [subject]: name }),
    credentialRefused(provider, status, apiKey) {
      say(log, 'keyRefused', { provider, status, apiKey });
      world.onKeyRefused();
    },
    quotaSpent: (provider, status, apiKey) => say(log, 'keySpent', { provider, status, apiKey }),
    unreachable(provider, failure, code, advice) {
      const nowMs = world.clock();
      // The breaker lets a call through every now and then.
      if (nowMs - (saidMs.get(provider) ?? Number.NEGATIVE_INFINITY) < unreachableMs) return;
      saidMs.set(provider, nowMs);
      say(log, 'unreachable', { provider, failure, code, advice });
    },
    platformCredential: (provider, platform, cause, advice) =>
      say(log, 'noPlatformCredential', { provider, platform, cause, advice }),
    engine: (provider, down) => say(log, down ? 'engineDown' : 'engineUp', { provider }),
    issuerKeys(issuer, problem) {
      metrics.jwks(issuer, problem === null);
      if (problem !== null && !failingIssuers.has(issuer)) {
        failingIssuers.add(issuer);
        say(log, 'issuerDown', { issuer, problem });
      } else if (problem === null && failingIssuers.delete(issuer)) say(log, 'issuerUp', { issuer });
    },
    peers(up, why) {
      metrics.peers(up);
      say(log, up ? 'peersUp' : 'peersDown', up ? {} : { why });
    },
    hint: metrics.hint,
    leases(up, why) {
      metrics.leases(up);
      say(log, up ? 'leasesUp' : 'leasesDown', up ? {} : { why });
    },
    leaseCall: metrics.leaseCall,
    keysShared: metrics.keysShared,
    claim: metrics.claim,
    leasePods: metrics.leasePods,
    leaseAsk: metrics.leaseAsk,
    leasesForeign(limits) {
      const before = foreignLimits;
      foreignLimits = limits;
      metrics.leasesForeign(limits);
      if (before === 0) say(log, 'leasesForeign', { limits });
      else if (limits === 0) say(log, 'leasesOwn');
    },
    batchRefused: metrics.batchRefused,
    limit(limit, event, scope) {
      metrics.limit(limitNames.has(limit) ? limit : storedKeyLimit, event);
      notice(limit, event, scope);
    },
    usageImplausible: (target) => say(log, 'usageImplausible', { target }),
    tokenCount: metrics.count,
    budgetsSaved: (problem) =>
      say(
        log,
        problem === null ? 'budgetsSaved' : 'budgetsUnsaved',
        problem === null ? {} : { reason: problem },
      ),
    cacheQuestion: metrics.cacheQuestion,
    cacheNews: metrics.cacheNews,
    cacheTrust: (tenant, route, live) =>
      say(log, live ? 'cacheTrusted' : 'cacheDistrusted', { tenant, route }),
    cacheSnapshot: (event, detail) =>
      event === 'restored'
        ? say(log, 'snapshotRestored', { entries: Number(detail) })
        : say(log, event === 'refused' ? 'snapshotRefused' : 'snapshotUnsaved', { reason: detail }),
    memory: (state) => say(log, memoryLines[state]),
    cacheEmbedding: metrics.cacheEmbedding,
    cacheEmbedder: (why) => (why === null ? say(log, 'embedderUp') : say(log, 'embedderDown', { why })),
    cacheVerifier: (why) => (why === null ? say(log, 'verifierReady') : say(log, 'verifierMissing', { why })),
    recogniserCheck: metrics.recogniserCheck,
    recogniser(up, why) {
      metrics.recogniser(up);
      say(log, up ? 'recogniserUp' : 'recogniserDown', up ? {} : { why });
    },
    defect,
  };
}

/** Where a defect is, without its message, which may quote a request. */
function placeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return '';
  const head = String(cause);
  const { name, stack = '' } = cause;
  return stack.startsWith(head) ? name + stack.slice(head.length) : name;
}
