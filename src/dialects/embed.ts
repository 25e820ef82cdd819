/** Embeddings, whatever the dialect. */
import type { Json } from '../base/json.ts';
import type { Notes } from './chat.ts';
import type { ChatCall, Destination } from './wire.ts';

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
