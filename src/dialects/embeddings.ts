/** Translates embeddings between a client's dialect and a provider's. */

import { isUtf8 } from 'node:buffer';
import { Refusal } from '../base/errors.ts';
import { isObject, parseObject } from '../base/json.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { noFacts } from '../native/reply.ts';
import { createNotes } from './chat.ts';
import type { EmbedClient, EmbedProvider, Vector } from './embed.ts';
import { passHeaders } from './headers.ts';
import type { AcrossEmbeddings, AskedVectors, ReplyReading } from './reading.ts';
import {
  invalidIn,
  lostHeaders,
  type Translated,
  type Untranslatable,
  type WrittenRequest,
} from './translate.ts';
import type { Destination } from './wire.ts';

const none = Buffer.alloc(0);

/** A request for vectors as a provider reads it, or why it can't. */
export type WrittenVectors =
  | (WrittenRequest & { readonly asked: Omit<AskedVectors, 'model'> })
  | Untranslatable;

/** Writes a client's body in the provider's dialect; refuses an invalid one. */
export function writeEmbeddings(
  body: Buffer,
  client: EmbedClient,
  provider: EmbedProvider,
  to: Destination,
): WrittenVectors | Refusal {
  const json = parseObject(body.toString('utf8'));
  if (json === null) return new Refusal('invalid_json', 'The body is not a JSON object.');
  const notes = createNotes();
  const request = client.readRequest(json, notes);
  const call = provider.writeRequest(request, to, notes);
  const refusal = invalidIn(notes);
  if (refusal !== null) return refusal;
  if (notes.unsupported !== null) return { kind: 'cannot', field: notes.unsupported };
  const { dropped, droppedMore } = notes;
  const { base64, texts } = request;
  return {
    kind: 'written',
    path: call.path,
    headers: call.headers,
    body: Buffer.from(JSON.stringify(call.body)),
    dropped,
    droppedMore,
    asked: { base64, count: texts.length },
  };
}

/** What is sent of a written request, and how its reply is read. */
export function translatedEmbeddings(
  written: WrittenVectors | Refusal,
  client: EmbedClient,
  provider: EmbedProvider,
  exchange: Exchange,
  to: Destination,
  { model, ...between }: Pick<AcrossEmbeddings, 'client' | 'provider'> & Pick<AskedVectors, 'model'>,
): Translated {
  if (written instanceof Refusal) return { kind: 'invalid', refusal: written };
  if (written.kind === 'cannot') return written;
  const { path, headers, body, dropped, droppedMore, asked } = written;
  const sent = [...to.headers, ...headers];
  passHeaders(['traceparent', 'tracestate'], exchange.headers, sent);
  const vectors = { ...asked, model };
  const reading = { ...embedReading(client, provider, vectors), apart: { ...between, vectors } };
  return {
    kind: 'sent',
    sent: { path: to.basePath + path, headers: sent, body, reading },
    dropped,
    droppedMore,
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
