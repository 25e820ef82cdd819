/** Gemini's `:countTokens`, `:embedContent` and `:batchEmbedContents`: reads requests, writes replies. */
import { isObject, type Json } from '../base/json.ts';
import { numberField } from './check.ts';
import { embed } from './embeddings.ts';
import { invalid } from './errors.ts';
import { readGenerate } from './gemini-request.ts';
import { countTokens } from './text.ts';

const batchMax = 100;
const dimensionsDefault = 3072;

/** A text to embed. */
export interface EmbedAsked {
  readonly text: string;
  readonly dimensions: number;
}

/** Reads the body of `:countTokens`; returns the tokens. Throws a `Rejection` if the API would refuse. */
export function readCount(body: Json, model: string): number {
  const { generateContentRequest: inner } = body;
  if (inner === undefined) return readGenerate(body, model, false).inputTokens;
  if (!isObject(inner)) invalid("Invalid value at 'generate_content_request' (type mismatch).");
  if (body.contents !== undefined) invalid('contents and generate_content_request are mutually exclusive.');
  return readGenerate(inner, model, false).inputTokens;
}

/** The reply to `:countTokens`. */
export const tokensBody = (totalTokens: number): string =>
  JSON.stringify({ totalTokens, promptTokensDetails: [{ modality: 'TEXT', tokenCount: totalTokens }] });

/** Reads one embed request. @param at its path in a batch; empty if it isn't in one */
export function readEmbed(body: Json, model: string, at: string): EmbedAsked {
  if (at !== '' && body.model === undefined) invalid(`* ${at}model: model is required.`);
  if (body.model !== undefined && body.model !== `models/${model}`)
    invalid(`* BatchEmbedContentsRequest.${at}model: must be the model of the path, models/${model}.`);
  const { content } = body;
  if (!isObject(content) || !Array.isArray(content.parts)) invalid(`* ${at}content: content is required.`);
  const parts = isObject(content) && Array.isArray(content.parts) ? content.parts : [];
  const text = parts.map((part: unknown) => (isObject(part) ? String(part.text ?? '') : '')).join(' ');
  const range = { min: 1, max: dimensionsDefault, whole: true };
  return { text, dimensions: numberField('gemini', body, 'outputDimensionality', range, dimensionsDefault) };
}

/** Reads the body of `:batchEmbedContents`. Throws a `Rejection` if the API would refuse. */
export function readBatch(body: Json, model: string): EmbedAsked[] {
  const { requests } = body;
  if (!Array.isArray(requests) || requests.length === 0)
    return invalid('* BatchEmbedContentsRequest.requests: requests is required.');
  if (requests.length > batchMax)
    invalid(`* BatchEmbedContentsRequest.requests: at most ${batchMax} requests can be in one batch`);
  return requests.map((one: unknown, index) =>
    isObject(one) ? readEmbed(one, model, `requests[${index}].`) : invalid("Invalid value at 'requests'."),
  );
}

const usageOf = (asked: readonly EmbedAsked[], withUsage: boolean): object => {
  const promptTokenCount = asked.reduce((sum, { text }) => sum + countTokens(text), 0);
  return withUsage ? { usageMetadata: { promptTokenCount } } : {};
};

const vectorOf = ({ text, dimensions }: EmbedAsked, seed: number): object => ({
  values: Array.from(embed(text, seed, dimensions), (value) => Math.round(value * 1e7) / 1e7),
});

/** The reply to `:embedContent`. */
export const embeddingBody = (asked: readonly EmbedAsked[], seed: number, withUsage: boolean): string => {
  const [embedding] = asked.map((one) => vectorOf(one, seed));
  return JSON.stringify({ embedding, ...usageOf(asked, withUsage) });
};

/** The reply to `:batchEmbedContents`. */
export const batchBody = (asked: readonly EmbedAsked[], seed: number, withUsage: boolean): string =>
  JSON.stringify({
    embeddings: asked.map((one) => vectorOf(one, seed)),
    ...usageOf(asked, withUsage),
  });
