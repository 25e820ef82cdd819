/** The most a request may cost, which is reserved, and what it did cost, which is settled. */
import { costNanoUsd, type ModelFacts, type Price } from '../catalog/facts.ts';
import type { Estimator } from '../count/estimate.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Usage } from '../exchange/usage.ts';
import { bodyFlags } from '../native/inspect.ts';
import type { Pricing } from '../native/reply.ts';
import { type MediaBounds, mediaBounds } from './media.ts';
import type { Rule } from './rule.ts';

/** Reply tokens reserved if neither the request nor the model has a limit. */
const replyTokensDefault = 4096;

/** Tokens that one image in a chat takes at most, of the models whose counting is public. */
const imageTokensMax = 4096;

/** Tokens of the documents of one search unit: a hundred of some sentences each. https://docs.cohere.com/docs/rerank-overview */
const searchUnitTokens = 100 * 100;

/** Upper bounds of one request at one target. */
export interface Bounds {
  readonly promptTokens: number;
  /** Over all choices. */
  readonly replyTokens: number;
  readonly characters: number;
  /** Null: the target's model has no known price. */
  readonly nanoUsd: number | null;
}

/** For requests whose size no limit depends on. */
export const noBounds: Bounds = { promptTokens: 0, replyTokens: 0, characters: 0, nanoUsd: 0 };

/**
 * Upper bounds of a request at one target.
 * @param facts of the target's model
 * @param dollars whether to compute its cost; false: `nanoUsd` is 0
 */
export function boundsOf(
  { auxiliary, kind, billed }: Pick<Endpoint, 'kind' | 'auxiliary' | 'billed'>,
  request: ModelRequest,
  { outputMaxTokens, price }: ModelFacts,
  estimator: Estimator,
  dollars: boolean,
): Bounds {
  const textTokens = estimator.tokens(request.model, request.textBytes);
  const media = auxiliary === undefined ? null : mediaBounds(auxiliary, request, textTokens);
  const promptTokens = textTokens + (media?.inputTokens ?? imageTokensMax * request.images);
  const asked = request.maxTokens ?? outputMaxTokens ?? replyTokensDefault;
  const each = outputMaxTokens === null ? asked : Math.min(asked, outputMaxTokens);
  const writes = kind === 'chat' || billed === true;
  const replyTokens = writes ? each * request.choices : (media?.outputTokens ?? 0);
  const bounds = { promptTokens, replyTokens, characters: request.textCharacters };
  if (!dollars) return { ...bounds, nanoUsd: 0 };
  const searchUnits = kind === 'rerank' ? Math.ceil((1 + textTokens) / searchUnitTokens) : 0;
  const usage = { ...usageOf(promptTokens, replyTokens, media), searchUnits };
  return { ...bounds, nanoUsd: price === null ? null : mostNanoUsd(price, usage, request) };
}

/** Nano-dollars of `outputTokens` more reply tokens at the most expensive of several targets. */
export function replyNanoUsd(
  targets: readonly { readonly facts: ModelFacts }[],
  request: Pick<ModelRequest, 'flags'>,
  outputTokens: number,
): number {
  let most = 0;
  for (const {
    facts: { price },
  } of targets)
    if (price !== null) most = Math.max(most, mostNanoUsd(price, usageOf(0, outputTokens), request));
  return most;
}

const { priority, fast, resident, cacheWrite, cacheHour } = bodyFlags;
/** What a request asks for that costs other than usual. */
const pricedFlags = priority | fast | resident | cacheWrite | cacheHour;

/** What the usage may cost: at the class of service asked for or at the usual one, written to a cache or not. */
function mostNanoUsd(price: Price, usage: Usage, { flags }: Pick<ModelRequest, 'flags'>): number {
  const usual = costNanoUsd(price, usage);
  if ((flags & pricedFlags) === 0) return usual;
  const { inputTokens } = usage;
  const service = (flags & fast) !== 0 ? 'fast' : 'priority';
  const served: Pricing = {
    ...((flags & (fast | priority)) === 0 ? {} : { service }),
    ...((flags & resident) === 0 ? {} : { resident: true }),
  };
  const written = (flags & cacheWrite) === 0 ? 0 : inputTokens;
  const asked = (cacheWriteTokens: number): number =>
    costNanoUsd(price, {
      ...usage,
      cacheWriteTokens,
      pricing: { ...served, cacheWriteHourTokens: (flags & cacheHour) === 0 ? 0 : cacheWriteTokens },
    });
  return Math.max(usual, asked(0), asked(written));
}

const usageOf = (inputTokens: number, outputTokens: number, media: MediaBounds | null = null): Usage => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  known: true,
  ...(media === null ? {} : { media }),
});

/**
 * What a rule reserves for a request, in its meter's unit; at least 1 for what every request has. Infinite for dollars
 * that nobody knows, where the rule doesn't allow that: it only reports, or the request would have been refused.
 */
export function reserveOf(rule: Rule, bounds: Bounds): number {
  const { unit, unitSize, allowsUnpriced } = rule;
  switch (unit) {
    case 'requests':
    case 'concurrency':
      return 1;
    case 'characters':
      return Math.max(1, Math.ceil(bounds.characters / unitSize));
    case 'tokens':
      return Math.max(1, Math.ceil((bounds.promptTokens + bounds.replyTokens) / unitSize));
    case 'inputTokens':
      return Math.max(1, Math.ceil(bounds.promptTokens / unitSize));
    case 'outputTokens':
      return Math.ceil(bounds.replyTokens / unitSize);
    case 'usd':
      return bounds.nanoUsd ?? (allowsUnpriced ? 0 : Number.POSITIVE_INFINITY);
  }
}

/**
 * What a rule charges for a reply, in its meter's unit; null: unknown, so the whole reservation is charged.
 * @param knownNanoUsd what the calls cost that have a price
 * @param priced all of them have one
 */
export function chargeOf(rule: Rule, usage: Usage, knownNanoUsd: number, priced: boolean): number | null {
  const { unit, unitSize } = rule;
  switch (unit) {
    case 'tokens':
      return Math.ceil((usage.inputTokens + usage.outputTokens) / unitSize);
    case 'inputTokens':
      return Math.ceil(usage.inputTokens / unitSize);
    case 'outputTokens':
      return Math.ceil(usage.outputTokens / unitSize);
    case 'usd':
      return priced || rule.allowsUnpriced ? knownNanoUsd : null;
    // Charged before the call, or held only while the request is in flight.
    case 'requests':
    case 'characters':
    case 'concurrency':
      return 0;
  }
}

/** Whether a rule reserves more for a longer reply. */
export const growsWithReply = ({ unit }: Rule): boolean =>
  unit === 'tokens' || unit === 'outputTokens' || unit === 'usd';

/** Whether a rule's cost is known before the call: then it is spent at once, and refills during the reply. */
export const isSpentAtOnce = ({ unit }: Rule): boolean => unit === 'requests' || unit === 'characters';
