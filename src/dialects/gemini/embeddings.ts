/** Gemini's embeddings, for clients of other dialects. https://ai.google.dev/api/embeddings */

import { entryOf, type Json, numberOf, objectOf, withoutNulls } from '../../base/json.ts';
import type { EmbedProvider, EmbedReply, EmbedRequest } from '../embed.ts';
import { isVector } from '../embeddings.ts';
import type { ChatCall, Destination } from '../wire.ts';

/** Cohere's name → Gemini's, for the purposes that both have. */
const purposes: Readonly<Record<string, string>> = {
  search_document: 'RETRIEVAL_DOCUMENT',
  search_query: 'RETRIEVAL_QUERY',
  classification: 'CLASSIFICATION',
  clustering: 'CLUSTERING',
};

function writeRequest({ texts, dimensions, purpose }: EmbedRequest, to: Destination): ChatCall {
  const model = encodeURIComponent(to.model);
  const requests = texts.map((text) =>
    withoutNulls({
      model: `models/${to.model}`,
      content: { parts: [{ text }] },
      taskType: purpose === null ? null : entryOf(purposes, purpose),
      outputDimensionality: dimensions,
    }),
  );
  return { path: `/models/${model}:batchEmbedContents`, body: { requests }, headers: [] };
}

/** Not every model's reply states tokens. */
function readReply({ embeddings, usageMetadata }: Json): EmbedReply | null {
  if (!Array.isArray(embeddings)) return null;
  const vectors = embeddings.map((each: Json | null) => each?.values);
  return vectors.every(isVector)
    ? { vectors, inputTokens: numberOf(objectOf(usageMetadata).promptTokenCount) }
    : null;
}

/** The provider side of Gemini's embeddings. */
export const embedProvider: EmbedProvider = { writeRequest, readReply };
