/** One record per request: its line in the log, its row in the ledger, and the source of most metrics. */
import type { IncomingHttpHeaders } from 'node:http';
import { catalogue, type ErrorCode } from '../base/errors.ts';
import type { Bill, Charge } from '../count/usage.ts';
import { type AttemptStep, noSteps } from '../exchange/attempt-step.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Priority } from '../exchange/priority.ts';
import type { CacheLevel } from '../exchange/reply.ts';
import { type ModelRequest, plainModel } from '../exchange/request.ts';
import type { Tier } from '../native/classify.ts';
import { type Findings, noFindings } from '../native/pii.ts';
import type { Finish } from '../native/reply.ts';
import type { Plan } from '../upstream/target.ts';

/** What the cache did for a request. */
export type CacheUse = 'hit' | 'miss' | 'bypass';

/** Record of a finished request; never text of prompts, keys or replies. Its line in the log has the flat values. */
export interface ExchangeRecord {
  readonly requestId: string;
  readonly endpoint: string;
  readonly tenant: string;
  readonly team: string;
  readonly user: string;
  readonly keyId: string;
  readonly tags: string;
  /** As requested; empty if it isn't a plain name. */
  readonly model: string;
  /** Name or pattern of the route, and the tier it was chosen for; empty: none. */
  readonly route: string;
  readonly tier: Tier | '';
  /** `provider/model` that answered, from the configuration. */
  readonly target: string;
  /** What the provider says answered, such as a dated version; empty if it says nothing, or no plain name. */
  readonly reportedModel: string;
  /** Why the last reply ended, as the provider says; `none`: it didn't, or doesn't say. */
  readonly finish: Finish;
  readonly status: number;
  /** Error code of the catalogue, or empty. */
  readonly error: ErrorCode | '';
  /** Codes of refusals that were only reported (`mode: observe`), comma-separated. */
  readonly observed: string;
  readonly stream: boolean;
  readonly cache: CacheUse;
  /** Empty: no reply was found. */
  readonly cacheLevel: CacheLevel | '';
  readonly replayed: boolean;
  /** Number of calls to providers, and the outcome of each. */
  readonly attempts: number;
  readonly tried: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Those of them spent on reasoning, as far as providers say. */
  readonly reasoningTokens: number;
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  /** Only reranks have any. */
  readonly searchUnits: number;
  /** False: the provider didn't report its usage, so tokens are counted or estimated. */
  readonly usageKnown: boolean;
  /** Whole nano-dollars, over all calls whose price is known. */
  readonly costNanoUsd: number;
  /** False: some calls have no known price, so the true cost is higher. */
  readonly priced: boolean;
  /** Original cost of a stored reply that was served again, nano-dollars. */
  readonly savedNanoUsd: number;
  /** What the choice of its target by price saved, nano-dollars: see `savedByChoice`. */
  readonly routingSavedNanoUsd: number;
  /** The client disconnected before the end. */
  readonly abandoned: boolean;
  /** A budget ended the stream before the model did. */
  readonly stopped: boolean;
  /** How often personal data occurred in the request, by kind. */
  readonly findings: Findings;
  /** The same of the reply, where replies are searched. */
  readonly replyFindings: Findings;
  /** HMAC-SHA-256 of the SHA-256 of the scrubbed body, hex. */
  readonly digest: string;
  readonly priority: Priority;
  readonly durationMs: number;
  /** Part of it spent waiting for the pace of a limit, and for its turn in the batch queue. */
  readonly queuedMs: number;
  /** Part of it spent waiting for the provider's reply to begin. */
  readonly upstreamMs: number;
  /** From arrival until the reply began; 0: no provider answered. */
  readonly ttftMs: number;
  /** Mean time between two tokens of a stream after its first, ms; 0: it has no two. */
  readonly interTokenMs: number;
  /** Trace and parent span of the request's `traceparent` (W3C), hex; empty: it has none. */
  readonly traceId: string;
  readonly parentSpanId: string;
  /** Whoever began the trace records it. */
  readonly traceSampled: boolean;
  /** The client's own id of the request; empty: it sent none. */
  readonly clientRequestId: string;
  /** When it arrived, monotonic ms. */
  readonly startedMs: number;
  /** When each stage from `listen` to `attempt` let it pass, monotonic ms; empty: `listen` refused it, or nobody wants to know. */
  readonly passedMs: readonly number[];
  /** What was tried, in order. */
  readonly steps: readonly AttemptStep[];
  /** Usage and cost of each billed call. */
  readonly charges: readonly Charge[];
  /** Names of the limits and budgets that the request was counted in. */
  readonly limits: readonly string[];
}

/** The members of a record that its line in the log doesn't have. */
export type BesideTheLine =
  | 'findings'
  | 'finish'
  | 'replyFindings'
  | 'parentSpanId'
  | 'startedMs'
  | 'passedMs'
  | 'steps'
  | 'charges'
  | 'limits';

/** What is recorded of a request as it arrived; one that was refused early has no headers. */
export interface Received extends Pick<Exchange, 'id' | 'startedMs'> {
  readonly headers?: IncomingHttpHeaders;
  readonly endpoint: { readonly name: string };
}

/** How a request ended. */
export interface Outcome {
  readonly status: number;
  readonly error?: ErrorCode | '';
  readonly target?: string;
  readonly replayed?: boolean;
  readonly savedNanoUsd?: number;
  readonly routingSavedNanoUsd?: number;
  readonly abandoned?: boolean;
  readonly stopped?: boolean;
  readonly upstreamMs?: number;
}

/**
 * Whether the gateway or a provider failed, rather than that a request was refused. A reply whose head went out before
 * has the status of success: then the error's own status says it.
 */
export const isFailure = ({ status, error }: Pick<ExchangeRecord, 'status' | 'error'>): boolean =>
  status >= 500 || (error !== '' && catalogue[error].status >= 500);

/** What the stages found out about a request. */
export interface Course {
  readonly identity: Identity | null;
  readonly request: ModelRequest | null;
  readonly plan: Pick<Plan, 'pattern' | 'tier'> | null;
  /** Calls to providers, and the outcome of each. */
  readonly trail: {
    readonly billed: readonly { readonly facts: { readonly model?: string; readonly finish: Finish } }[];
    readonly calls: number;
    readonly text: string;
    readonly steps: readonly AttemptStep[];
  } | null;
  /** What limits granted; null: it didn't come that far. */
  readonly permit: { readonly limits: readonly string[] } | null;
  readonly cacheUse: CacheUse;
  readonly cacheLevel: CacheLevel | '';
  readonly priority: Priority;
  readonly queuedMs: number;
  /** When providers began to be asked, monotonic ms; null: none was. */
  readonly begunMs: number | null;
  readonly replyFindings: Findings;
  /** As in `ExchangeRecord`. */
  readonly observed: string;
  readonly passedMs: readonly number[];
}

/** The stages of a request weren't timed. */
export const notTimed: readonly number[] = [];

/** For a request that reached no stage. */
export const noCourse: Course = {
  identity: null,
  request: null,
  plan: null,
  trail: null,
  permit: null,
  cacheUse: 'bypass',
  cacheLevel: '',
  priority: 'interactive',
  queuedMs: 0,
  begunMs: null,
  replyFindings: noFindings,
  observed: '',
  passedMs: notTimed,
};

let lastTags: readonly string[] = [];
let lastTagsText = '';

/** Tags as one text. Reused, since all requests of a key share one list. */
function tagsText(tags: readonly string[]): string {
  if (tags === lastTags) return lastTagsText;
  lastTags = tags;
  lastTagsText = tags.join(',');
  return lastTagsText;
}

let lastReported = '';
let lastReportedText = '';

/** What a provider says answered, if it is a plain name. Reused, as it is the same for most requests. */
function reportedText(model: string): string {
  if (model === lastReported) return lastReportedText;
  lastReported = model;
  lastReportedText = plainModel(model);
  return lastReportedText;
}

const noHeaders: IncomingHttpHeaders = {};
const noLimits: readonly string[] = [];

/** `version-traceid-parentid-flags` of W3C Trace Context; ids of only zeros are invalid, and later versions may go on. */
const traceParent =
  /^(?:00(?=.{53}$)|(?!00|ff)[0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]([0-9a-f])(?:-|$)/;
/** An id that a client may give its request: nothing that could be a text. */
const plainId = /^[\w.:@/-]{1,128}$/;

/** The client's own id: OpenAI's header, or the usual one of proxies. */
function clientIdOf(headers: IncomingHttpHeaders): string {
  const id = headers['x-client-request-id'] ?? headers['x-request-id'];
  return typeof id === 'string' && plainId.test(id) ? id : '';
}

/** Builds the record of a finished request. @param nowMs monotonic ms */
export function createRecord(
  exchange: Received,
  {
    identity,
    request,
    plan,
    trail,
    permit,
    cacheUse,
    cacheLevel,
    priority,
    queuedMs,
    begunMs,
    replyFindings,
    observed,
    passedMs,
  }: Course,
  outcome: Outcome,
  { usage, costNanoUsd, priced, charges }: Bill,
  nowMs: number,
): ExchangeRecord {
  const { headers = noHeaders } = exchange;
  const { traceparent } = headers;
  const { upstreamMs = 0 } = outcome;
  const durationMs = nowMs - exchange.startedMs;
  const ttftMs = upstreamMs === 0 || begunMs === null ? 0 : begunMs - exchange.startedMs + upstreamMs;
  // The time between the replies of a session is its client's.
  const streams = request?.stream === true && outcome.status !== 101;
  const streamed = streams && ttftMs > 0 && usage.outputTokens > 1;
  const last = trail?.billed.at(-1)?.facts;
  const trace = typeof traceparent === 'string' ? traceParent.exec(traceparent) : null;
  return {
    requestId: exchange.id,
    endpoint: exchange.endpoint.name,
    tenant: identity?.tenant ?? '',
    team: identity?.team ?? '',
    user: identity?.user ?? '',
    keyId: identity?.keyId ?? '',
    tags: identity === null ? '' : tagsText(identity.tags),
    model: plainModel(request?.model ?? ''),
    route: plan?.pattern ?? '',
    tier: plan?.tier ?? '',
    target: outcome.target ?? '',
    reportedModel: reportedText(last?.model ?? ''),
    finish: last?.finish ?? 'none',
    status: outcome.status,
    error: outcome.error ?? '',
    observed,
    stream: request?.stream ?? false,
    cache: cacheUse,
    cacheLevel,
    replayed: outcome.replayed ?? false,
    attempts: trail?.calls ?? 0,
    tried: trail?.text ?? '',
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    reasoningTokens: usage.reasoningTokens ?? 0,
    cachedInputTokens: usage.cachedInputTokens,
    cacheWriteTokens: usage.cacheWriteTokens,
    searchUnits: usage.searchUnits ?? 0,
    usageKnown: usage.known,
    costNanoUsd,
    priced,
    savedNanoUsd: outcome.savedNanoUsd ?? 0,
    routingSavedNanoUsd: outcome.routingSavedNanoUsd ?? 0,
    abandoned: outcome.abandoned ?? false,
    stopped: outcome.stopped ?? false,
    findings: request?.findings ?? noFindings,
    replyFindings,
    digest: request?.keyedDigest ?? '',
    priority,
    durationMs,
    queuedMs,
    upstreamMs,
    ttftMs,
    interTokenMs: streamed ? (durationMs - ttftMs) / (usage.outputTokens - 1) : 0,
    traceId: trace?.[1] ?? '',
    parentSpanId: trace?.[2] ?? '',
    // The lowest bit of the flags.
    traceSampled: (Number.parseInt(trace?.[3] ?? '0', 16) & 1) === 1,
    clientRequestId: clientIdOf(headers),
    startedMs: exchange.startedMs,
    passedMs,
    steps: trail?.steps ?? noSteps,
    charges,
    limits: permit?.limits ?? noLimits,
  };
}
