/** The story of a request: what each stage decided and how long it took, from its record. */
import { catalogue } from '../base/errors.ts';
import type { Findings } from '../native/pii.ts';
import type { RecentRecord } from './recent.ts';
import { type ExchangeRecord, isFailure } from './record.ts';

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
  /** The gateway or a provider failed. */
  readonly failure: boolean;
  /** What to do about its error; empty: it has none. */
  readonly hint: string;
};

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
  deliver: (r) => (r.stopped ? 'ended by a limit' : `status ${r.status}`),
};

type Times = Partial<Record<StageName, readonly [atMs: number, ms: number]>>;

/** Each stage's time, where each was taken. @param last the stage that the request ended in */
function measured({ passedMs, startedMs, durationMs }: ExchangeRecord, last: StageName): Times {
  const times: Times = {};
  let fromMs = 0;
  for (const [i, passed] of passedMs.entries()) {
    const toMs = passed - startedMs;
    times[stageNames[i] as StageName] = [fromMs, Math.max(0, toMs - fromMs)];
    fromMs = toMs;
  }
  times[last] = [fromMs, Math.max(0, durationMs - fromMs)];
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

/** The stage that a request ended in. */
function lastOf({ error, status, abandoned, replayed, cache, passedMs }: ExchangeRecord): StageName {
  const open = stageNames[passedMs.length] ?? 'deliver';
  // Whatever failed, or was left by its client, ended in the stage that had not let it pass.
  if (error !== '' || (abandoned && status >= 400)) return open;
  return replayed ? 'replay' : cache === 'hit' ? 'cache' : 'deliver';
}

/** The stages a request went through. */
export function stagesOf(record: ExchangeRecord): StageStory[] {
  const { error, abandoned, passedMs } = record;
  const last = lastOf(record);
  const isTimed = passedMs.length > 0;
  const times = isTimed ? measured(record, last) : known(record);
  const story: StageStory[] = [];
  for (const [i, stage] of stageNames.entries()) {
    const [atMs, ms] = times[stage] ?? [0, 0];
    if (stage === last) {
      const verdict = error !== '' ? error : abandoned ? 'the client left' : passing[stage](record);
      // A stream that broke off was delivered all the same.
      return [...story, { stage, verdict, kind: error === '' ? 'end' : 'refused', atMs, ms }];
    }
    // Lists of models, for example, skip most stages.
    if (!isTimed || i < passedMs.length)
      story.push({ stage, verdict: passing[stage](record), kind: 'ok', atMs, ms });
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
    failure: isFailure(record),
    hint: record.error === '' ? '' : catalogue[record.error].hint,
  };
}
