/** One flat record per request: the line in the log, and the source of every metric. */
import type { ErrorCode } from '../base/errors.ts';
import type { Bill } from '../count/usage.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Priority } from '../exchange/priority.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Tier } from '../native/classify.ts';
import { type Findings, noFindings } from '../native/pii.ts';
import type { Plan } from '../upstream/target.ts';

/** How the cache took part. */
export type CacheUse = 'hit' | 'miss' | 'bypass';

/** Flat strings and numbers only; never prompt, key or reply text. */
export interface ExchangeRecord {
  readonly requestId: string;
  readonly endpoint: string;
  readonly tenant: string;
  readonly team: string;
  readonly user: string;
  readonly keyId: string;
  readonly tags: string;
  /** As asked for; empty where it isn't a plain name. */
  readonly model: string;
  /** Name or pattern of the route, and the tier it chose by; empty: none. */
  readonly route: string;
  readonly tier: Tier | '';
  /** `provider/model` that answered, from the configuration. */
  readonly target: string;
  readonly status: number;
  /** Error code of the catalogue, or empty. */
  readonly error: ErrorCode | '';
  /** Codes of refusals that were only reported (`mode: observe`), separated by commas. */
  readonly observed: string;
  readonly stream: boolean;
  readonly cache: CacheUse;
  readonly replayed: boolean;
  /** Calls made upstream, and what came of each. */
  readonly attempts: number;
  readonly tried: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  /** Of a rerank; 0 for all else. */
  readonly searchUnits: number;
  /** False: tokens are counted or estimated, since the provider didn't state them. */
  readonly usageKnown: boolean;
  /** Whole nano-dollars, all tries together; of those that have a price. */
  readonly costNanoUsd: number;
  /** False: some of the tokens have no price, so the cost is more than is said. */
  readonly priced: boolean;
  /** What the same reply cost when it was made, where a stored one took its place. */
  readonly savedNanoUsd: number;
  /** The client left before the end. */
  readonly abandoned: boolean;
  /** A budget ended the stream before the model did. */
  readonly stopped: boolean;
  /** How often personal data occurred in the request, by kind. */
  readonly findings: Findings;
  /** HMAC-SHA-256 of the SHA-256 of the scrubbed body, hex. */
  readonly digest: string;
  readonly priority: Priority;
  readonly durationMs: number;
  /** Of that, in the batch queue. */
  readonly queuedMs: number;
  /** Of that, in the provider's hands until its reply began. */
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

/** What became known of a request on its way through the stages. */
export interface Course {
  readonly identity: Identity | null;
  readonly request: ModelRequest | null;
  readonly plan: Pick<Plan, 'pattern' | 'tier'> | null;
  /** Calls made, and what came of each. */
  readonly trail: { readonly calls: number; readonly text: string } | null;
  readonly cacheUse: CacheUse;
  readonly priority: Priority;
  readonly queuedMs: number;
  /** As `ExchangeRecord.observed`. */
  readonly observed: string;
}

/** Of a request that came to no stage. */
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

/** A key has one list of tags for all its requests. */
function tagsText(tags: readonly string[]): string {
  if (tags === lastTags) return lastTagsText;
  lastTags = tags;
  lastTagsText = tags.join(',');
  return lastTagsText;
}

const plainName = /^[\w.:@/-]{1,128}$/;

/** Builds the record of a request that is over. */
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
