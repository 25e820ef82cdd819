/** Translates embeddings between a client's dialect and a provider's. */

import { isUtf8 } from 'node:buffer';
import { Refusal } from '../base/errors.ts';
import { isObject, parseObject } from '../base/json.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { noFacts } from '../native/reply.ts';
import { createNotes } from './chat.ts';
import type { EmbedClient, EmbedProvider, Vector } from './embed.ts';
import { passHeaders } from './headers.ts';
import type { AcrossEmbeddings, AskedVectors, ReplyReading } from './reading.ts';
import { invalidIn, lostHeaders, type Translated } from './translate.ts';
import type { Destination } from './wire.ts';

const none = Buffer.alloc(0);

/** Translates a request into the provider's dialect. */
export function translateEmbeddings(
  request: ModelRequest,
  client: EmbedClient,
  provider: EmbedProvider,
  exchange: Exchange,
  to: Destination,
  between: Pick<AcrossEmbeddings, 'client' | 'provider'>,
): Translated {
  const json = parseObject(request.body.toString('utf8'));
  if (json === null)
    return { kind: 'invalid', refusal: new Refusal('invalid_json', 'The body is not a JSON object.') };
  const notes = createNotes();
  const asked = client.readRequest(json, notes);
  const { path, body, headers } = provider.writeRequest(asked, to, notes);
  const refusal = invalidIn(notes);
  if (refusal !== null) return { kind: 'invalid', refusal };
  if (notes.unsupported !== null) return { kind: 'cannot', field: notes.unsupported };
  const sent = [...to.headers, ...headers];
  passHeaders(['traceparent', 'tracestate'], exchange.headers, sent);
  const { base64, texts } = asked;
  const vectors = { base64, count: texts.length, model: request.model };
  const reading = { ...embedReading(client, provider, vectors), apart: { ...between, vectors } };
  const written = Buffer.from(JSON.stringify(body));
  return {
    kind: 'sent',
    sent: { path: to.basePath + path, headers: sent, body: written, reading },
    dropped: notes.dropped,
    droppedMore: notes.droppedMore,
    lost: lostHeaders(client, exchange),
  };
}

/** Translates the reply; embeddings are never streamed. */
export function embedReading(
  client: EmbedClient,
  provider: EmbedProvider,
  asked: AskedVectors,
): ReplyReading {
  return {
    streamType: 'text/event-stream',
    whole(body) {
      const json = isUtf8(body) ? parseObject(body.toString('utf8')) : null;
      if (json === null) return null;
      if (isObject(json.error)) return { body: none, facts: { ...noFacts, error: true }, text: () => none };
      const reply = provider.readReply(json);
      // With a vector missing, the others could belong to other texts.
      if (reply === null || reply.vectors.length !== asked.count) return null;
      const { inputTokens } = reply;
      const facts = { ...noFacts, usage: inputTokens !== null, inputTokens: inputTokens ?? 0 };
      const written = Buffer.from(JSON.stringify(client.writeReply(reply, asked)));
      return { body: written, facts, text: () => none };
    },
    arrived: () => null,
    stream() {
      throw new Error('embeddings are not streamed');
    },
  };
}

/** A vector in the form the client wants. */
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
