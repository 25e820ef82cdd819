/** One flat record per request: its line in the log, and the source of most metrics. */
import type { ErrorCode } from '../base/errors.ts';
import type { Bill } from '../count/usage.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Priority } from '../exchange/priority.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Tier } from '../native/classify.ts';
import { type Findings, noFindings } from '../native/pii.ts';
import type { Plan } from '../upstream/target.ts';

/** What the cache did for a request. */
export type CacheUse = 'hit' | 'miss' | 'bypass';

/** Record of a finished request. Only flat values; never text of prompts, keys or replies. */
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
  readonly status: number;
  /** Error code of the catalogue, or empty. */
  readonly error: ErrorCode | '';
  /** Codes of refusals that were only reported (`mode: observe`), comma-separated. */
  readonly observed: string;
  readonly stream: boolean;
  readonly cache: CacheUse;
  readonly replayed: boolean;
  /** Number of calls to providers, and the outcome of each. */
  readonly attempts: number;
  readonly tried: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
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
  /** The client disconnected before the end. */
  readonly abandoned: boolean;
  /** A budget ended the stream before the model did. */
  readonly stopped: boolean;
  /** How often personal data occurred in the request, by kind. */
  readonly findings: Findings;
  /** HMAC-SHA-256 of the SHA-256 of the scrubbed body, hex. */
  readonly digest: string;
  readonly priority: Priority;
  readonly durationMs: number;
  /** Part of it spent in the batch queue. */
  readonly queuedMs: number;
  /** Part of it spent waiting for the provider's reply to begin. */
  readonly upstreamMs: number;
}

/** How a request ended. */
export interface Outcome {
  readonly status: number;
  readonly error?: ErrorCode | '';
  readonly target?: string;
  readonly replayed?: boolean;
  readonly savedNanoUsd?: number;
  readonly abandoned?: boolean;
  readonly stopped?: boolean;
  readonly upstreamMs?: number;
}

/** What the stages found out about a request. */
export interface Course {
  readonly identity: Identity | null;
  readonly request: ModelRequest | null;
  readonly plan: Pick<Plan, 'pattern' | 'tier'> | null;
  /** Calls to providers, and the outcome of each. */
  readonly trail: { readonly calls: number; readonly text: string } | null;
  readonly cacheUse: CacheUse;
  readonly priority: Priority;
  readonly queuedMs: number;
  /** As in `ExchangeRecord`. */
  readonly observed: string;
}

/** For a request that reached no stage. */
export const noCourse: Course = {
  identity: null,
  request: null,
  plan: null,
  trail: null,
  cacheUse: 'bypass',
  priority: 'interactive',
  queuedMs: 0,
  observed: '',
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

const plainName = /^[\w.:@/-]{1,128}$/;

/** Builds the record of a finished request. @param nowMs monotonic ms */
export function createRecord(
  exchange: Pick<Exchange, 'id' | 'startedMs'> & { readonly endpoint: { readonly name: string } },
  { identity, request, plan, trail, cacheUse, priority, queuedMs, observed }: Course,
  outcome: Outcome,
  { usage, costNanoUsd, priced }: Bill,
  nowMs: number,
): ExchangeRecord {
  const model = request?.model ?? '';
  return {
    requestId: exchange.id,
    endpoint: exchange.endpoint.name,
    tenant: identity?.tenant ?? '',
    team: identity?.team ?? '',
    user: identity?.user ?? '',
    keyId: identity?.keyId ?? '',
    tags: identity === null ? '' : tagsText(identity.tags),
    model: plainName.test(model) ? model : '',
    route: plan?.pattern ?? '',
    tier: plan?.tier ?? '',
    target: outcome.target ?? '',
    status: outcome.status,
    error: outcome.error ?? '',
    observed,
    stream: request?.stream ?? false,
    cache: cacheUse,
    replayed: outcome.replayed ?? false,
    attempts: trail?.calls ?? 0,
    tried: trail?.text ?? '',
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    cachedInputTokens: usage.cachedInputTokens,
    cacheWriteTokens: usage.cacheWriteTokens,
    searchUnits: usage.searchUnits ?? 0,
    usageKnown: usage.known,
    costNanoUsd,
    priced,
    savedNanoUsd: outcome.savedNanoUsd ?? 0,
    abandoned: outcome.abandoned ?? false,
    stopped: outcome.stopped ?? false,
    findings: request?.findings ?? noFindings,
    digest: request?.keyedDigest ?? '',
    priority,
    durationMs: nowMs - exchange.startedMs,
    queuedMs,
    upstreamMs: outcome.upstreamMs ?? 0,
  };
}
