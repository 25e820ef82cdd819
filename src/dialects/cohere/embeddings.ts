/** Cohere's embeddings, for clients of other dialects. https://docs.cohere.com/v2/reference/embed */

import { countOf, isObject, type Json, numberOf, objectOf, withoutNulls } from '../../base/json.ts';
import { type Notes, noteUnsupported } from '../chat.ts';
import type { EmbedProvider, EmbedReply, EmbedRequest } from '../embed.ts';
import { isVector } from '../embeddings.ts';
import type { ChatCall, Destination } from '../wire.ts';

/** More texts than this are refused. */
const textsMax = 96;

/** The API requires a purpose; most vectors are stored for search. */
const usualPurpose = 'search_document';

function writeRequest(
  { texts, dimensions, base64, purpose }: EmbedRequest,
  to: Destination,
  notes: Notes,
): ChatCall {
  if (texts.length > textsMax) noteUnsupported(notes, 'input');
  const body = withoutNulls({
    model: to.model,
    texts,
    input_type: purpose ?? usualPurpose,
    embedding_types: [base64 ? 'base64' : 'float'],
    output_dimension: dimensions,
  });
  return { path: '/embed', body, headers: [] };
}

function readReply({ embeddings, meta }: Json): EmbedReply | null {
  if (!isObject(embeddings)) return null;
  const vectors = embeddings.base64 ?? embeddings.float;
  if (!Array.isArray(vectors) || !vectors.every(isVector)) return null;
  const { billed_units: billed, tokens } = objectOf(meta);
  const inputTokens = objectOf(billed).input_tokens ?? objectOf(tokens).input_tokens;
  return { vectors, inputTokens: numberOf(inputTokens) === null ? null : countOf(inputTokens) };
}

/** The provider side of Cohere's embeddings. */
export const embedProvider: EmbedProvider = { writeRequest, readReply };
