/** What a request may cost at most, which is reserved, and what it has cost, which is settled. */
import { costNanoUsd } from '../catalog/facts.ts';
import type { Estimator } from '../count/estimate.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Usage } from '../exchange/usage.ts';
import type { Plan } from '../upstream/target.ts';
import { type MediaBounds, mediaBounds } from './media.ts';
import type { Rule } from './rule.ts';

/** Reply tokens reserved where neither the request nor the model states a limit. */
const replyTokensDefault = 4096;

/** Upper bounds of one request over all targets that may answer it. */
export interface Bounds {
  readonly promptTokens: number;
  /** Of all choices together. */
  readonly replyTokens: number;
  readonly characters: number;
  /** Of the dearest target; null: one of them has no known price. */
  readonly nanoUsd: number | null;
}

/** Where nothing hangs on a request's size. */
export const noBounds: Bounds = { promptTokens: 0, replyTokens: 0, characters: 0, nanoUsd: 0 };

/** Bounds the cost of a request. @param dollars whether they are asked for */
export function boundsOf(
  endpoint: Pick<Endpoint, 'kind' | 'auxiliary'>,
  request: ModelRequest,
  plan: Plan,
  estimator: Estimator,
  dollars: boolean,
): Bounds {
  const textTokens = estimator.tokens(request.model, request.textBytes);
  const { auxiliary, kind } = endpoint;
  const media = auxiliary === undefined ? null : mediaBounds(auxiliary, request, textTokens);
  const promptTokens = textTokens + (media?.inputTokens ?? 0);
  const replies = kind === 'chat';
  let replyTokens = 0;
  let nanoUsd: number | null = 0;
  for (const { target } of plan.steps) {
    const { outputMaxTokens, price } = target.facts;
    const asked = request.maxTokens ?? outputMaxTokens ?? replyTokensDefault;
    const each = outputMaxTokens === null ? asked : Math.min(asked, outputMaxTokens);
    const ofTarget = replies ? each * request.choices : (media?.outputTokens ?? 0);
    replyTokens = Math.max(replyTokens, ofTarget);
    if (!dollars || nanoUsd === null) continue;
    const usage = usageOf(promptTokens, ofTarget, media);
    nanoUsd = price === null ? null : Math.max(nanoUsd, costNanoUsd(price, usage));
  }
  return { promptTokens, replyTokens, characters: request.textCharacters, nanoUsd };
}

/** Nano-dollars of so many more reply tokens, of the dearest target. */
export function replyNanoUsd(plan: Plan, outputTokens: number): number {
  let most = 0;
  for (const { target } of plan.steps)
    if (target.facts.price !== null)
      most = Math.max(most, costNanoUsd(target.facts.price, usageOf(0, outputTokens)));
  return most;
}

const usageOf = (inputTokens: number, outputTokens: number, media: MediaBounds | null = null): Usage => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  known: true,
  ...(media === null ? {} : { media }),
});

/** What a rule reserves of a request, in its meter's measure. What is counted at all costs one at least. */
export function reserveOf({ unit, unitSize }: Rule, bounds: Bounds): number {
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
      return bounds.nanoUsd ?? 0;
  }
}

/** What a rule charges for a reply, in its meter's measure; null: it can't be known, so all that was reserved. */
export function chargeOf(rule: Rule, usage: Usage, nanoUsd: number | null): number | null {
  const { unit, unitSize } = rule;
  switch (unit) {
    case 'tokens':
      return Math.ceil((usage.inputTokens + usage.outputTokens) / unitSize);
    case 'inputTokens':
      return Math.ceil(usage.inputTokens / unitSize);
    case 'outputTokens':
      return Math.ceil(usage.outputTokens / unitSize);
    case 'usd':
      return nanoUsd ?? (rule.allowsUnpriced ? 0 : null);
    // Known on the way in, or held and let go.
    case 'requests':
    case 'characters':
    case 'concurrency':
      return 0;
  }
}

/** Spent on the way in: nothing of it hangs on the reply, so that it refills while that is under way. */
export const isSpentAtOnce = ({ unit }: Rule): boolean => unit === 'requests' || unit === 'characters';
