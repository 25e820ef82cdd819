/** The story of a request: what each stage decided and how long it took, from its record. */
import { catalogue, type ErrorCode } from '../base/errors.ts';
import type { Findings } from '../native/pii.ts';
import type { RecentRecord } from './recent.ts';
import type { ExchangeRecord } from './record.ts';

/** The stages in the order of the pipeline. */
export const stageNames = [
  'listen',
  'authenticate',
  'inspect',
  'route',
  'replay',
  'limit',
  'scrub',
  'cache',
  'batch',
  'attempt',
  'deliver',
] as const;

/** A stage's name. */
export type StageName = (typeof stageNames)[number];

/** What a stage did. Times are ms since the request arrived. */
export interface StageStory {
  readonly stage: StageName;
  /** In words; never text of the request. */
  readonly verdict: string;
  /** `ok`: it went on; `end`: it answered; `refused`: it refused. */
  readonly kind: 'ok' | 'end' | 'refused';
  readonly atMs: number;
  readonly ms: number;
}

/** A record with its story, as JSON for the dashboard. */
export type Story = Omit<
  ExchangeRecord,
  'findings' | 'replyFindings' | 'steps' | 'startedMs' | 'passedMs'
> & {
  readonly number: number;
  /** Ms since 1970. */
  readonly endedMs: number;
  readonly findings: Readonly<Record<string, number>>;
  readonly replyFindings: Readonly<Record<string, number>>;
  readonly steps: readonly (ExchangeRecord['steps'][number] & { readonly atMs: number })[];
  readonly stages: readonly StageStory[];
  /** What to do about its error; empty: it has none. */
  readonly hint: string;
};

/** The stage that a code comes from; codes that aren't here come from `listen`. */
const stageOf: readonly (readonly [StageName, RegExp])[] = [
  ['authenticate', /^(missing_key|wrong_key|key_|token_|model_forbidden|endpoint_forbidden|callers_unknown)/],
  ['inspect', /^(invalid_json|invalid_form|invalid_field|duplicate_field)/],
  ['route', /^(model_not_found|not_capable|provider_unclear|invalid_header)/],
  ['replay', /^idempotency_/],
  ['limit', /^(rate_limited|request_too_costly|model_unpriced)/],
  ['scrub', /^pii_blocked/],
  ['batch', /^batch_/],
  ['attempt', /^(upstream_|targets_down|unsupported_field)/],
  ['deliver', /^stream_cut/],
];

const refusedBy = (code: ErrorCode): StageName =>
  stageOf.find(([, codes]) => codes.test(code))?.[0] ?? 'listen';

/** Found personal data by kind. */
const found = (findings: Findings): Record<string, number> =>
  Object.fromEntries(findings.map(({ kind, count }) => [kind, count]));

const kindsIn = (findings: Findings): string =>
  findings.map(({ kind, count }) => `${count} ${kind}`).join(', ');

/** What each stage says when it lets a request pass. */
const passing: Readonly<Record<StageName, (r: ExchangeRecord) => string>> = {
  listen: (r) => r.endpoint,
  authenticate: (r) =>
    [r.tenant, r.team, r.user, r.keyId].filter((name) => name !== '').join(' / ') || 'no caller',
  inspect: (r) => [r.model, r.stream ? 'stream' : 'whole reply'].filter((name) => name !== '').join(', '),
  route: (r) => [r.route, r.tier].filter((name) => name !== '').join(', tier ') || 'none',
  replay: (r) => (r.replayed ? 'reply of an earlier request' : 'first of its kind, or no key'),
  limit: (r) => (r.limits.length === 0 ? 'no limit applies' : `counted in ${r.limits.join(', ')}`),
  scrub: (r) => {
    const inReply = kindsIn(r.replyFindings);
    const all = [kindsIn(r.findings), inReply === '' ? '' : `in the reply ${inReply}`].filter(Boolean);
    return all.length === 0 ? 'nothing found' : `found ${all.join(', ')}`;
  },
  cache: (r) => (r.cacheLevel === '' ? r.cache : `${r.cache}, ${r.cacheLevel}`),
  batch: (r) => (r.priority === 'batch' ? 'waited for its turn' : 'interactive'),
  attempt: (r) => r.tried || 'no provider was asked',
  deliver: (r) => (r.abandoned ? 'the client left' : r.stopped ? 'ended by a limit' : `status ${r.status}`),
};

type Times = Partial<Record<StageName, readonly [atMs: number, ms: number]>>;

/** The stages that are timed: the first begins when the request has arrived, and the last ends with its reply. */
const timed = stageNames.slice(1);

/** Each stage's time, where each was taken. */
function measured({ passedMs, startedMs, durationMs }: ExchangeRecord): Times {
  const times: Times = {};
  let fromMs = 0;
  for (const [i, stage] of timed.entries()) {
    const passed = passedMs[i];
    const toMs = passed === undefined ? durationMs : passed - startedMs;
    times[stage] = [fromMs, Math.max(0, toMs - fromMs)];
    if (passed === undefined) return times;
    fromMs = toMs;
  }
  return times;
}

/** The times that every record has. */
function known(record: ExchangeRecord): Times {
  const { steps, durationMs, queuedMs, startedMs } = record;
  const firstMs = steps.length === 0 ? durationMs : Math.max(0, (steps[0]?.sentMs ?? 0) - startedMs);
  const replyMs = record.ttftMs > 0 ? record.ttftMs : durationMs;
  return {
    // Nothing but the pace of a limit holds up others.
    [record.priority === 'batch' ? 'batch' : 'limit']: [firstMs - queuedMs, queuedMs],
    attempt: [firstMs, Math.max(0, replyMs - firstMs)],
    deliver: [replyMs, Math.max(0, durationMs - replyMs)],
  };
}

/** The stages a request went through. */
export function stagesOf(record: ExchangeRecord): StageStory[] {
  const { error, replayed, cache, passedMs } = record;
  const times = passedMs.length === 0 ? known(record) : measured(record);
  const refusing = error === '' ? null : refusedBy(error);
  const ending: StageName = replayed ? 'replay' : cache === 'hit' ? 'cache' : 'deliver';
  const story: StageStory[] = [];
  for (const stage of stageNames) {
    const [atMs, ms] = times[stage] ?? [0, 0];
    if (stage === refusing) {
      story.push({ stage, verdict: error, kind: 'refused', atMs, ms });
      // A stream that broke off was delivered all the same.
      return story;
    }
    const kind = stage === ending ? 'end' : 'ok';
    story.push({ stage, verdict: passing[stage](record), kind, atMs, ms });
    if (kind === 'end' || (stage === 'listen' && record.endpoint === 'none')) return story;
  }
  return story;
}

/** The story of a record. */
export function storyOf({ number, endedMs, record }: RecentRecord): Story {
  const { findings, replyFindings, steps, startedMs, passedMs: _, ...rest } = record;
  return {
    ...rest,
    number,
    endedMs,
    findings: found(findings),
    replyFindings: found(replyFindings),
    steps: steps.map((step) => ({ ...step, atMs: step.sentMs - startedMs })),
    stages: stagesOf(record),
    hint: record.error === '' ? '' : catalogue[record.error].hint,
  };
}
