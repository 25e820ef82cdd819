/** OpenAI's embeddings, for clients and for providers. https://platform.openai.com/docs/api-reference/embeddings */

import { countOf, type Json, listOf, numberOf, objectOf, textOf, withoutNulls } from '../../base/json.ts';
import { type Notes, noteInvalid, noteUnsupported } from '../chat.ts';
import type { EmbedClient, EmbedProvider, EmbedReply, EmbedRequest } from '../embed.ts';
import { isVector, writeVector } from '../embeddings.ts';
import { noteRest } from '../members.ts';
import type { AskedVectors } from '../reading.ts';
import type { ChatCall, Destination } from '../wire.ts';
import { deploymentOf } from './write-request.ts';

/** `input_type` is Cohere's; apps that use Cohere's models send it through OpenAI's SDK. */
const known = new Set(['model', 'input', 'dimensions', 'encoding_format', 'input_type']);
const nothing: ReadonlySet<string> = new Set();
/** Texts of a request that is translated, each of which may become a hundred times as long. OpenAI allows 2,048. */
const textsMax = 65_536;

function readRequest(body: Json, notes: Notes): EmbedRequest {
  noteRest(body, known, nothing, notes);
  const { input, encoding_format: format } = body;
  const list = Array.isArray(input) ? input : [input];
  const texts = list.filter((text) => typeof text === 'string');
  // Token ids are valid for one model only.
  if (texts.length < list.length) noteUnsupported(notes, 'input');
  if (list.length === 0) noteInvalid(notes, 'input', 'must contain at least one text');
  if (list.length > textsMax) noteInvalid(notes, 'input', `must contain at most ${textsMax} texts`);
  return {
    texts,
    dimensions: numberOf(body.dimensions),
    base64: format === 'base64',
    purpose: textOf(body.input_type),
  };
}

const writeReply = ({ vectors, inputTokens }: EmbedReply, { base64, model }: AskedVectors): Json => ({
  object: 'list',
  data: vectors.map((vector, index) => ({
    object: 'embedding',
    index,
    embedding: writeVector(vector, base64),
  })),
  model,
  usage: { prompt_tokens: inputTokens ?? 0, total_tokens: inputTokens ?? 0 },
});

/** The client side of OpenAI's embeddings. */
export const embedClient: EmbedClient = { readRequest, writeReply, ownHeaders: ['openai-beta'] };

function writeRequest({ texts, dimensions, base64 }: EmbedRequest, to: Destination): ChatCall {
  const format = base64 ? 'base64' : null;
  const body = withoutNulls({ model: to.model, input: texts, dimensions, encoding_format: format });
  return { path: `${deploymentOf(to)}/embeddings`, body, headers: [] };
}

function readReply({ data, usage }: Json): EmbedReply | null {
  const inOrder = listOf(data).toSorted((a, b) => countOf(a.index) - countOf(b.index));
  const vectors = inOrder.map(({ embedding }) => embedding);
  const { prompt_tokens: prompt, total_tokens: total } = objectOf(usage);
  const tokens = numberOf(prompt ?? total);
  return vectors.every(isVector) ? { vectors, inputTokens: tokens } : null;
}

/** The provider side of OpenAI's embeddings. */
export const embedProvider: EmbedProvider = { writeRequest, readReply };
