/** Gemini's `:countTokens`, `:embedContent` and `:batchEmbedContents`: requests read, replies spelled. */
import { isObject, type Json, numberField } from './check.ts';
import { embed } from './embeddings.ts';
import { invalid } from './errors.ts';
import { readGenerate } from './gemini-request.ts';
import { countTokens } from './text.ts';

const batchMax = 100;
const dimensionsDefault = 3072;

/** A text to be embedded. */
export interface EmbedAsked {
  readonly text: string;
  readonly dimensions: number;
}

/** Reads the body of `:countTokens`; gives the tokens. Throws a `Rejection` where the API would refuse. */
export function readCount(body: Json, model: string): number {
  const { generateContentRequest: inner } = body;
  if (inner === undefined) return readGenerate(body, model, false).inputTokens;
  if (!isObject(inner)) invalid("Invalid value at 'generate_content_request' (type mismatch).");
  if (body.contents !== undefined) invalid('contents and generate_content_request are mutually exclusive.');
  return readGenerate(inner, model, false).inputTokens;
}

export const tokensBody = (totalTokens: number): string =>
  JSON.stringify({ totalTokens, promptTokensDetails: [{ modality: 'TEXT', tokenCount: totalTokens }] });

/** Reads one request for a vector. @param at where it stands in a batch; empty: it is alone */
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

export const embeddingBody = (asked: readonly EmbedAsked[], seed: number, withUsage: boolean): string => {
  const [embedding] = asked.map((one) => vectorOf(one, seed));
  return JSON.stringify({ embedding, ...usageOf(asked, withUsage) });
};

export const batchBody = (asked: readonly EmbedAsked[], seed: number, withUsage: boolean): string =>
  JSON.stringify({
    embeddings: asked.map((one) => vectorOf(one, seed)),
    ...usageOf(asked, withUsage),
  });
