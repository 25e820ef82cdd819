/** Stage count: what a reply used, by the provider's word or, where it gives none, by estimate. */
import type { ModelRequest, Usage } from '../exchange.ts';
import type { Estimator } from '../limit/estimate.ts';
import type { ReplyFacts } from '../native.ts';

/**
 * Turns a reply's facts into usage, and lets the estimator learn from it.
 * @param complete the reply came to its own end; else what arrived is counted, whatever was stated before
 */
export function countUsage(
  request: ModelRequest,
  facts: ReplyFacts,
  complete: boolean,
  estimator: Estimator,
): Usage {
  const { inputTokens, outputTokens, cachedInputTokens } = facts;
  const stated = facts.usage && (inputTokens > 0 || outputTokens > 0);
  if (stated && complete) {
    estimator.learn(request.model, request.textBytes, inputTokens);
    return { inputTokens, outputTokens, cachedInputTokens, known: true };
  }
  return {
    inputTokens: inputTokens > 0 ? inputTokens : estimator.tokens(request.model, request.textBytes),
    outputTokens: Math.max(outputTokens, estimator.tokens(request.model, facts.textBytes)),
    cachedInputTokens,
    known: false,
  };
}
