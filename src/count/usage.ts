/** Stage count: the usage and cost of a request's tries, as stated by the provider or otherwise counted from text. */
import { costNanoUsd, isPriceOf, type ModelFacts } from '../catalog/facts.ts';
import type { Endpoint, Unstated } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { noUsage, type Usage } from '../exchange/usage.ts';
import { bodyFlags } from '../native/inspect.ts';
import type { ReplyFacts } from '../native/reply.ts';
import type { Estimator } from './estimate.ts';

/** A call whose reply had begun: its provider bills the prompt and the part of the reply that it sent. */
export interface BilledTry {
  /** The target that was called. */
  readonly target: {
    /** `provider/model`, from the configuration. */
    readonly label: string;
    readonly facts: ModelFacts;
  };
  readonly facts: ReplyFacts;
  /** The reply wasn't cut off. */
  readonly complete: boolean;
  /** The text that arrived, decoded. Called at most once, and only if the provider stated no usage. */
  text(): Buffer;
}

/** Tokens counted by a tokenizer. */
export interface Counts {
  readonly promptTokens: number;
  /** How many of them are for images, which say nothing about the tokens of text. */
  readonly imageTokens: number;
  /** For each try without stated usage, in order. */
  readonly replyTokens: readonly number[];
}

/** Usage and cost of one try. */
export interface Charge {
  /** `provider/model`. */
  readonly target: string;
  readonly usage: Usage;
  /** Null: the model has no price. */
  readonly costNanoUsd: number | null;
}

/** Usage and cost of a request, over all its tries. */
export interface Bill {
  readonly charges: readonly Charge[];
  readonly usage: Usage;
  /** Sum over the tries that have a price. */
  readonly costNanoUsd: number;
  /** Every try has a price. */
  readonly priced: boolean;
}

/** The bill of a request without billed tries. */
export const nothingBilled: Bill = { charges: [], usage: noUsage, costNanoUsd: 0, priced: true };

/** Whether the provider stated the usage of the whole try. */
export function isStated({ facts, complete }: BilledTry): boolean {
  const { inputTokens, outputTokens, media } = facts;
  const stated = facts.usage && (inputTokens > 0 || outputTokens > 0 || (media?.soundMs ?? 0) > 0);
  return stated && (complete || facts.finish !== 'none');
}

/** Tokens of prompt and reply where nobody knows a model's. */
const contextTokensUsual = 2_000_000;
/**
 * How often one call may use them up: a model may have larger windows than the catalog knows, tools run in rounds, and
 * OpenAI takes 2,048 texts to embed at once, each with a window of its own.
 */
const windowsMax = { once: 8, inRounds: 200, ofMany: 2048 };
/** What one call may cost, in nano-dollars: 10,000 dollars. */
const costMaxNanoUsd = 1e13;

/** How often a request may use up a model's tokens of prompt and reply, in one call. */
export function windowsMaxOf(
  { kind }: Pick<Endpoint, 'kind'>,
  { serverTools, choices }: Pick<ModelRequest, 'serverTools' | 'choices'>,
): number {
  if (kind === 'embedding' || kind === 'rerank') return windowsMax.ofMany;
  return serverTools ? windowsMax.inRounds : windowsMax.once * choices;
}

/**
 * The try without tokens and costs that no request can have: a wrong figure would use up a budget at once. Such tokens are
 * counted from the text, like those that nobody states.
 * @param windows how often it may use up a model's tokens
 */
export function withPlausible(each: BilledTry, windows: number = windowsMax.once): BilledTry {
  const { facts, target } = each;
  const tokensMax = (target.facts.contextTokens ?? contextTokensUsual) * windows;
  const cost = facts.pricing?.statedNanoUsd ?? 0;
  const { inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens } = facts;
  const most = Math.max(inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens);
  if (most <= tokensMax && cost <= costMaxNanoUsd) return each;
  const { pricing, ...others } = facts;
  const { statedNanoUsd: _, ...service } = pricing ?? {};
  const none = { usage: false, inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, cacheWriteTokens: 0 };
  return { ...each, facts: { ...others, ...(most > tokensMax ? none : {}), pricing: service } };
}

/**
 * Adds up the tries.
 * @param counts null: usage that isn't stated is estimated from bytes
 * @param unstatedAs how a reply without stated usage is billed
 */
export function bill(
  request: ModelRequest,
  tries: readonly BilledTry[],
  estimator: Estimator,
  counts: Counts | null,
  unstatedAs: Unstated = 'estimated',
): Bill {
  let total = nothingBilled;
  let unstated = 0;
  for (const each of tries) {
    const found = counts?.replyTokens[unstated];
    const stated = isStated(each);
    if (!stated) unstated += 1;
    const usage =
      !stated && unstatedAs === 'nothing'
        ? noUsage
        : usageOf(request, each, estimator, counts?.promptTokens, found);
    const cost = costOf(each, usage, stated || unstatedAs !== 'unpriced');
    const charge = { target: each.target.label, usage, costNanoUsd: cost };
    total = {
      charges: total.charges.length === 0 ? [charge] : [...total.charges, charge],
      usage: total.charges.length === 0 ? usage : sum(total.usage, usage),
      costNanoUsd: total.costNanoUsd + (cost ?? 0),
      priced: total.priced && cost !== null,
    };
  }
  return total;
}

/** In nano-dollars; null: nobody knows. @param counted its tokens are known, or may be estimated */
function costOf({ target: { facts } }: BilledTry, usage: Usage, counted: boolean): number | null {
  const { price, statesCost } = facts;
  const statedNanoUsd = statesCost === true ? usage.pricing?.statedNanoUsd : undefined;
  if (statedNanoUsd !== undefined) return statedNanoUsd;
  return price !== null && counted && isPriceOf(price, usage) ? costNanoUsd(price, usage) : null;
}

function usageOf(
  request: ModelRequest,
  each: BilledTry,
  estimator: Estimator,
  promptTokens: number | undefined,
  replyTokens: number | undefined,
): Usage {
  const { inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, textBytes } = each.facts;
  const { media, searchUnits, pricing, reasoningTokens } = each.facts;
  const { model, textBytes: promptBytes } = request;
  const stated = isStated(each);
  const usage: { -readonly [Name in keyof Usage]: Usage[Name] } = {
    inputTokens:
      stated || inputTokens > 0 ? inputTokens : (promptTokens ?? estimator.tokens(model, promptBytes)),
    outputTokens: stated
      ? outputTokens
      : Math.max(outputTokens, replyTokens ?? estimator.tokens(model, textBytes)),
    cachedInputTokens,
    cacheWriteTokens,
    known: stated,
  };
  if (reasoningTokens !== undefined) usage.reasoningTokens = reasoningTokens;
  if (searchUnits !== undefined) usage.searchUnits = searchUnits;
  if (pricing !== undefined) usage.pricing = pricing;
  if (stated && media !== undefined) usage.media = media;
  return usage;
}

/** Adds up the tokens of two replies. */
export const sum = (a: Usage, b: Usage): Usage => ({
  inputTokens: a.inputTokens + b.inputTokens,
  outputTokens: a.outputTokens + b.outputTokens,
  cachedInputTokens: a.cachedInputTokens + b.cachedInputTokens,
  cacheWriteTokens: a.cacheWriteTokens + b.cacheWriteTokens,
  known: a.known && b.known,
  ...(a.reasoningTokens === undefined && b.reasoningTokens === undefined
    ? {}
    : { reasoningTokens: (a.reasoningTokens ?? 0) + (b.reasoningTokens ?? 0) }),
  ...(a.searchUnits === undefined && b.searchUnits === undefined
    ? {}
    : { searchUnits: (a.searchUnits ?? 0) + (b.searchUnits ?? 0) }),
});

/** What costs tokens in addition to the text. */
const nonTextFlags = bodyFlags.media | bodyFlags.audio | bodyFlags.tools | bodyFlags.schema;

/** Teaches the estimator the actual tokens of a prompt, if they are those of its text. */
export function learn(
  request: ModelRequest,
  tries: readonly BilledTry[],
  estimator: Estimator,
  counts: Counts | null,
): void {
  if ((request.flags & nonTextFlags) !== 0) return;
  const stated = tries.find(isStated);
  if (stated === undefined) {
    if (counts !== null)
      estimator.learn(request.model, request.textBytes, counts.promptTokens - counts.imageTokens);
  } else if ((request.flags & bodyFlags.images) === 0)
    estimator.learn(request.model, request.textBytes, stated.facts.inputTokens);
}
