/** Checks of limits and budgets that the schema can't express: complete, free of contradictions, and effective. */

import { didYouMean } from '../base/did-you-mean.ts';
import { algorithms } from '../exchange/algorithm.ts';
import { createZone } from '../limit/calendar.ts';
import { type Path, pathText } from './faults.ts';
import { absent, type Draft, once, type Report } from './report.ts';

type DraftLimit = NonNullable<NonNullable<Draft['limits']>[number]>;
type DraftKeyLimit = NonNullable<NonNullable<NonNullable<DraftKey>['limits']>[number]>;
type DraftKey = NonNullable<NonNullable<Draft['authenticate']>['keys']>[number];
type DraftMatch = DraftLimit['match'];

/** Checks all limits and budgets, those of keys included. */
export function checkLimits(draft: Draft, report: Report): void {
  const name = once(report, 'name');
  const known = knownNames(draft);
  draft.limits?.forEach((limit, index) => {
    const path = ['limits', index];
    name(limit?.name, [...path, 'name']);
    if (limit === undefined) return;
    checkCounting(limit, path, report);
    checkPer(limit.per, path, report);
    checkMatch(limit.match, known, path, report);
  });
  draft.budgets?.forEach((budget, index) => {
    const path = ['budgets', index];
    name(budget?.name, [...path, 'name']);
    if (budget === undefined) return;
    checkZone(budget.timeZone, [...path, 'timeZone'], report);
    checkPer(budget.per, path, report);
    checkMatch(budget.match, known, path, report);
  });
  draft.authenticate?.keys?.forEach((key, index) => {
    checkOwnLimits(key?.limits, ['authenticate', 'keys', index, 'limits'], report);
  });
  checkDominated(draft, report);
  checkSharing(draft, report);
  if ((draft.budgets?.length ?? 0) > 0 && absent(draft.store, 'path')) {
    report.warn(['budgets'], 'without `store.path`, a restart resets what was spent');
  }
}

/** Checks the limits of one key. */
export function checkOwnLimits(limits: NonNullable<DraftKey>['limits'], path: Path, report: Report): void {
  const own = once(report, 'name');
  limits?.forEach((limit, position) => {
    own(limit?.name, [...path, position, 'name']);
    if (limit !== undefined) checkCounting(limit, [...path, position], report);
  });
}

/** Checks that a limit has what its algorithm needs, and nothing that contradicts it. */
function checkCounting(limit: DraftLimit | DraftKeyLimit, path: Path, report: Report): void {
  const unit = limit.unit ?? 'requests';
  const faulty = (key: string): boolean => !absent(limit, key) && Reflect.get(limit, key) === undefined;
  if (faulty('unit') || faulty('algorithm')) return;
  const has = (key: 'algorithm' | 'refillPerSecond' | 'windowSeconds' | 'unitSize'): boolean =>
    limit[key] !== undefined;
  if (unit === 'concurrency') {
    for (const key of ['algorithm', 'refillPerSecond', 'windowSeconds', 'unitSize'] as const)
      if (has(key)) report.fault([...path, key], 'has no meaning for `unit: concurrency`: remove it', 'key');
  } else {
    const algorithm = limit.algorithm ?? 'token_bucket';
    const { rateFrom } = algorithms[algorithm];
    for (const key of ['refillPerSecond', 'windowSeconds'] as const) {
      if (key === rateFrom) {
        if (absent(limit, key)) report.fault(path, `needs \`${key}\` for \`algorithm: ${algorithm}\``, 'key');
      } else if (has(key)) {
        report.fault([...path, key], `has no meaning for \`algorithm: ${algorithm}\`: remove it`, 'key');
      }
    }
  }
  if (unit === 'usd' && has('unitSize'))
    report.fault([...path, 'unitSize'], 'has no meaning for `unit: usd`: remove it', 'key');
  if (unit !== 'usd' && !absent(limit, 'unpriced'))
    report.fault([...path, 'unpriced'], 'applies to `unit: usd` only: remove it', 'key');
  if (unit !== 'usd' && limit.capacity !== undefined && limit.capacity < 1)
    report.fault([...path, 'capacity'], 'no request could ever pass: each costs at least 1');
}

function checkPer(per: DraftLimit['per'], path: Path, report: Report): void {
  const scope = once(report, 'value');
  per?.forEach((name, index) => {
    scope(name, [...path, 'per', index]);
  });
}

function checkZone(timeZone: string | undefined, path: Path, report: Report): void {
  if (timeZone === undefined) return;
  try {
    createZone(timeZone);
  } catch {
    const guess = didYouMean(timeZone, Intl.supportedValuesOf('timeZone'));
    const message = `there is no time zone ${report.show(timeZone)}${guess}`;
    report.fault(path, guess === '' ? `${message}: use an IANA name, such as Europe/Berlin` : message);
  }
}

/** The bound that a limit or budget sets. */
interface Bound {
  readonly path: Path;
  readonly name: string | undefined;
  readonly amount: number;
  /** A bucket's refill rate, or minus a window's length: higher is looser. */
  readonly pace: number;
  /** It counts for all pods together: one of each pod can be smaller and still allow more in all. */
  readonly shared: boolean;
  /** It ends streams that need more than is left. */
  readonly stops: boolean;
  /** It refuses what has no known price. */
  readonly strict: boolean;
}

/** Whether one refuses or ends whatever the other does. */
const isAsStrict = (one: Bound, other: Bound): boolean =>
  one.amount <= other.amount &&
  one.pace <= other.pace &&
  one.shared >= other.shared &&
  one.stops >= other.stops &&
  one.strict >= other.strict;

const windowOrder = ['hour', 'day', 'week', 'month'] as const;

/** Finds limits without effect, because another one for the same requests is at least as strict. */
function checkDominated(draft: Draft, report: Report): void {
  const groups = new Map<string, Bound[]>();
  const together = !absent(draft.sync, 'redis');
  const boundOf = (
    each: Pick<DraftLimit, 'name' | 'scope' | 'onHardEnd' | 'unpriced'>,
    path: Path,
    amount: number,
    pace: number,
  ): Bound => ({
    path,
    name: each.name,
    amount,
    pace,
    shared: each.scope === undefined ? together : each.scope === 'shared',
    stops: each.onHardEnd === 'stop',
    strict: each.unpriced !== 'allow',
  });
  const add = (what: readonly unknown[], bound: Bound): void => {
    const key = JSON.stringify(what);
    groups.set(key, [...(groups.get(key) ?? []), bound]);
  };
  draft.limits?.forEach((limit, index) => {
    if (limit?.capacity === undefined || limit.mode === 'observe') return;
    const { unit = 'requests', unitSize = 1, algorithm = 'token_bucket', per, match = {}, traffic } = limit;
    const windowed = algorithms[algorithm].rateFrom === 'windowSeconds';
    const pace = windowed ? -(limit.windowSeconds ?? 0) : (limit.refillPerSecond ?? 0);
    const what = [unit, unitSize, algorithm, per ?? ['tenant'], match, traffic];
    add(what, boundOf(limit, ['limits', index], limit.capacity, pace));
  });
  draft.budgets?.forEach((budget, index) => {
    if (budget?.usd === undefined || budget.window === undefined || budget.mode === 'observe') return;
    const { timeZone = 'UTC', per = ['tenant'], match = {}, traffic, usd } = budget;
    const bound = boundOf(budget, ['budgets', index], usd, -windowOrder.indexOf(budget.window));
    const what = ['budget', timeZone, per, match, traffic];
    // A week can span two months, so neither window contains the other.
    if (budget.window !== 'month') add([...what, 'week'], bound);
    if (budget.window !== 'week') add([...what, 'month'], bound);
  });
  const reported = new Set<Path>();
  for (const bounds of groups.values()) {
    for (const loose of bounds) {
      if (reported.has(loose.path)) continue;
      const tight = bounds.find(
        // Duplicate names are reported elsewhere.
        (other) => other.name !== loose.name && isAsStrict(other, loose),
      );
      if (tight === undefined) continue;
      // Of two equal ones, the later is reported.
      if (isAsStrict(loose, tight) && bounds.indexOf(tight) > bounds.indexOf(loose)) continue;
      reported.add(loose.path);
      report.fault(
        loose.path,
        `has no effect: ${pathText(tight.path)} is at least as strict for the same requests`,
        'key',
      );
    }
  }
}

/** The names that `match` may refer to. */
interface KnownNames {
  /** Callers with stored keys or tokens may have further names. */
  readonly open: boolean;
  readonly tenant: ReadonlySet<string>;
  readonly key: ReadonlySet<string>;
  readonly route: ReadonlySet<string>;
}

/** The names in the configuration. Others, such as users, are known at run time only. */
function knownNames(draft: Draft): KnownNames {
  const { keys = [], anonymousTenant = '' } = draft.authenticate ?? {};
  return {
    open: (draft.authenticate?.oidc?.length ?? 0) > 0 || draft.store?.path !== undefined,
    tenant: new Set([...keys.map((key) => key?.tenant ?? ''), anonymousTenant]),
    key: new Set(keys.map((key) => key?.id ?? '')),
    route: new Set((draft.routes ?? []).map((route) => route?.model ?? '')),
  };
}

const unknowns = {
  tenant: 'no key belongs to the tenant',
  key: 'there is no key',
  route: 'there is no route for the model',
} as const;

function checkMatch(match: DraftMatch, known: KnownNames, path: Path, report: Report): void {
  for (const kind of ['tenant', 'key', 'route'] as const) {
    const given = match?.[kind];
    if (given === undefined || (known.open && kind !== 'route')) continue;
    const patterns = Array.isArray(given) ? given : [given];
    patterns.forEach((pattern, index) => {
      // A route's name may end in *; elsewhere a trailing * makes a pattern.
      if (typeof pattern !== 'string' || known[kind].has(pattern) || pattern.endsWith('*')) return;
      const at = Array.isArray(given) ? [...path, 'match', kind, index] : [...path, 'match', kind];
      report.warn(at, `${unknowns[kind]} ${report.show(pattern)}${didYouMean(pattern, known[kind])}`);
    });
  }
}

/** How long leases last: `rhythmOf` of `src/sync/leases.ts`. */
const leaseSecondsOf = (slots: number): number => (slots === 1 ? 3 : 2.5 * slots);
/** A limit can be sliced for requests of which a pod's fair part holds this many. */
const fewRequests = 4;

/** Whom limits count for: all pods together, or each for itself, and whether leases can slice them. */
function checkSharing(draft: Draft, report: Report): void {
  const shares = !absent(draft.sync, 'redis');
  const pods = draft.sync?.podsExpected ?? 1;
  const leaseSeconds = leaseSecondsOf(draft.sync?.mode === 'cluster' ? (draft.sync.shards ?? 1) : 1);
  const all = [
    ...(draft.limits ?? []).map((limit, i) => ({ limit, path: ['limits', i] })),
    ...(draft.budgets ?? []).map((limit, i) => ({ limit, path: ['budgets', i] })),
  ];
  for (const { limit, path } of all) {
    if (limit === undefined) continue;
    if (limit.scope === 'shared' && !shares)
      report.fault([...path, 'scope'], '`shared` needs `sync.redis`, through which pods share limits');
    if (!shares || limit.scope === 'pod' || !('capacity' in limit)) continue;
    const { unit = 'requests', windowSeconds, capacity } = limit;
    if (windowSeconds !== undefined && windowSeconds <= leaseSeconds)
      report.warn(
        [...path, 'windowSeconds'],
        `is no longer than a lease (${leaseSeconds} s): up to a tenth of the limit may count in the next window`,
      );
    if (unit === 'requests' && capacity !== undefined && capacity < fewRequests * pods)
      report.warn(
        [...path, 'capacity'],
        `is too small to slice for ${pods} pods: each request waits up to 10 ms for Redis, then this pod's share decides`,
      );
    if (
      (unit === 'tokens' || unit === 'outputTokens') &&
      capacity !== undefined &&
      capacity < replyTokensDefault
    )
      report.warn(
        [...path, 'capacity'],
        `is less than one request may reserve (${replyTokensDefault} tokens unless it asks for fewer): such requests are refused`,
      );
  }
  const unsaid = all.filter(({ limit }) => limit !== undefined && limit.scope === undefined);
  const [first] = unsaid;
  if (!shares && first !== undefined)
    report.warn(
      first.path.slice(0, 1),
      'count in each pod by itself: with N pods, N times as much. Set `sync.redis` to share them, or `scope: pod` if that is meant',
    );
}

/** Tokens reserved for a reply whose request states no limit: `src/limit/cost.ts`. */
const replyTokensDefault = 4096;
