/** Embeddings as all dialects understand them: what stands between a client's dialect and a provider's. */
import { isUtf8 } from 'node:buffer';
import { Refusal } from '../base/errors.ts';
import { isObject, type Json, parseObject } from '../base/json.ts';
import type { Exchange, ModelRequest } from '../exchange.ts';
import { noFacts } from '../native.ts';
import { createNotes, type Notes } from './chat.ts';
import { type ChatCall, type Destination, passHeaders } from './dialect.ts';
import type { ReplyReading } from './read-reply.ts';
import { invalidIn, lostHeaders, type Translated } from './translate.ts';

/** Texts whose vectors are asked for. */
export interface EmbedRequest {
  readonly texts: readonly string[];
  /** How many numbers a vector has; null: the model's own. */
  readonly dimensions: number | null;
  /** Vectors are wanted as little-endian 32-bit floats in Base64. */
  readonly base64: boolean;
  /** What the vectors are for, in Cohere's words; null: the client didn't say. */
  readonly purpose: string | null;
}

/** A vector as it came: its numbers, or their Base64. */
export type Vector = string | readonly number[];

export interface EmbedReply {
  /** In the order of the texts. */
  readonly vectors: readonly Vector[];
  /** Null: the provider doesn't say. */
  readonly inputTokens: number | null;
}

/** A dialect whose clients ask for embeddings. */
export interface EmbedClient {
  /** Headers of the dialect's own, which mean nothing elsewhere; named where they are left out. */
  readonly ownHeaders?: readonly string[];
  /** Reads a request; what is wrong or has no place goes into the notes. */
  readRequest(body: Json, notes: Notes): EmbedRequest;
  writeReply(reply: EmbedReply, asked: EmbedRequest, model: string): Json;
}

/** A dialect whose providers answer with embeddings. */
export interface EmbedProvider {
  /** Writes a request; what can't be said goes into the notes. */
  writeRequest(request: EmbedRequest, to: Destination, notes: Notes): ChatCall;
  /** Reads a reply; null: it isn't one. */
  readReply(body: Json): EmbedReply | null;
}

const none = Buffer.alloc(0);

/** A request for embeddings in the provider's dialect. */
export function translateEmbeddings(
  request: ModelRequest,
  client: EmbedClient,
  provider: EmbedProvider,
  exchange: Exchange,
  to: Destination,
): Translated {
  const json = parseObject(request.body.toString('utf8'));
  if (json === null)
    return { kind: 'invalid', refusal: new Refusal('invalid_json', 'The body is not a JSON object.') };
  const notes = createNotes();
  const asked = client.readRequest(json, notes);
  const { path, body, headers } = provider.writeRequest(asked, to, notes);
  const refusal = invalidIn(notes);
  if (refusal !== null) return { kind: 'invalid', refusal };
  if (notes.cannot !== null) return { kind: 'cannot', field: notes.cannot };
  const sent = [...to.headers, ...headers];
  passHeaders(['traceparent', 'tracestate'], exchange.headers, sent);
  const reading = embedReading(client, provider, asked, request.model);
  const written = Buffer.from(JSON.stringify(body));
  return {
    kind: 'sent',
    sent: { path: to.basePath + path, headers: sent, body: written, reading },
    dropped: notes.dropped,
    lost: lostHeaders(client, exchange),
  };
}

/** Reads vectors of one dialect and writes them in another; there are no streams of them. */
function embedReading(
  client: EmbedClient,
  provider: EmbedProvider,
  asked: EmbedRequest,
  model: string,
): ReplyReading {
  return {
    streamType: 'text/event-stream',
    whole(body) {
      const json = isUtf8(body) ? parseObject(body.toString('utf8')) : null;
      if (json === null) return null;
      if (isObject(json.error)) return { body: none, facts: { ...noFacts, error: true }, text: () => none };
      const reply = provider.readReply(json);
      // A vector too few would be another text's.
      if (reply === null || reply.vectors.length !== asked.texts.length) return null;
      const { inputTokens } = reply;
      const facts = { ...noFacts, usage: inputTokens !== null, inputTokens: inputTokens ?? 0 };
      const written = Buffer.from(JSON.stringify(client.writeReply(reply, asked, model)));
      return { body: written, facts, text: () => none };
    },
    arrived: () => null,
    stream() {
      throw new Error('vectors are not streamed');
    },
  };
}

/** A vector as the client wants it. */
export function writeVector(vector: Vector, base64: boolean): Vector {
  if (base64 === (typeof vector === 'string')) return vector;
  if (typeof vector === 'string') {
    const bytes = Buffer.from(vector, 'base64');
    return Array.from({ length: bytes.length >> 2 }, (_, n) => bytes.readFloatLE(n * 4));
  }
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [n, value] of vector.entries()) bytes.writeFloatLE(value, n * 4);
  return bytes.toString('base64');
}

/** Whether a value is a vector. */
export const isVector = (value: unknown): value is Vector =>
  typeof value === 'string' || (Array.isArray(value) && value.every((each) => typeof each === 'number'));
