/** The neutral form of embeddings, and the two sides of a dialect that translate it. */
import type { Json } from '../base/json.ts';
import type { Notes } from './chat.ts';
import type { AskedVectors } from './reading.ts';
import type { ChatCall, Destination } from './wire.ts';

/** A request for the vectors of texts. */
export interface EmbedRequest {
  readonly texts: readonly string[];
  /** Length of a vector; null: the model's default. */
  readonly dimensions: number | null;
  /** The client wants vectors as little-endian 32-bit floats in Base64. */
  readonly base64: boolean;
  /** What the vectors are for, in Cohere's terms; null: the client didn't say. */
  readonly purpose: string | null;
}

/** A vector as received: its numbers, or their Base64. */
export type Vector = string | readonly number[];

/** The reply to an `EmbedRequest`. */
export interface EmbedReply {
  /** In the order of the texts. */
  readonly vectors: readonly Vector[];
  /** Null: the provider doesn't report them. */
  readonly inputTokens: number | null;
}

/** The client side of a dialect with embeddings. */
export interface EmbedClient {
  /** Headers, lower case, that only this dialect has; reported as dropped when they are left out. */
  readonly ownHeaders?: readonly string[];
  /** Reads a request; adds invalid and unsupported fields to the notes. */
  readRequest(body: Json, notes: Notes): EmbedRequest;
  writeReply(reply: EmbedReply, asked: AskedVectors): Json;
}

/** The provider side of a dialect with embeddings. */
export interface EmbedProvider {
  /** Writes a request; adds unsupported fields to the notes. */
  writeRequest(request: EmbedRequest, to: Destination, notes: Notes): ChatCall;
  /** Reads a reply; null: it is invalid. */
  readReply(body: Json): EmbedReply | null;
}
