/** A request on its way to a provider of another dialect than the client's, and that provider's refusals back. */
import { Refusal } from '../base/errors.ts';
import { parseObject } from '../base/json.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { type ChatRequest, createNotes, type Notes, type ReplyContext } from './chat.ts';
import type { Dialect } from './dialect.ts';
import { passHeaders } from './headers.ts';
import { translatedReading } from './read-reply.ts';
import type { ChatClient, ChatProvider } from './sides.ts';
import type { Destination, UpstreamRequest } from './wire.ts';

/** A request read once, for any number of targets. */
export interface ReadRequest {
  readonly request: ChatRequest;
  readonly notes: Notes;
}

/** What goes to the provider, and what was left out of it; or the field that it can't be told. */
export type Translated =
  | {
      readonly kind: 'sent';
      readonly sent: UpstreamRequest;
      readonly dropped: readonly string[];
      /** Headers that were left out. SDKs send them unasked, so that nobody is refused for them. */
      readonly lost: readonly string[];
    }
  | { readonly kind: 'cannot'; readonly field: string }
  /** The client's own mistake. */
  | { readonly kind: 'invalid'; readonly refusal: Refusal };

/** Whether a provider of this dialect can answer an endpoint of that one. */
export function canServe(
  provider: Dialect,
  { kind }: Pick<Exchange['endpoint'], 'kind'>,
  client: Dialect,
): boolean {
  if (provider.name === client.name) return true;
  if (kind === 'embedding') return client.embedClient !== undefined && provider.embedProvider !== undefined;
  return (
    (kind === 'chat' || kind === 'models') && client.chatClient !== null && provider.chatProvider !== null
  );
}

/** Reads a client's body; refuses what is the client's own mistake. */
export function readRequest(client: ChatClient, { body, stream }: ModelRequest): ReadRequest | Refusal {
  const json = parseObject(body.toString('utf8'));
  if (json === null) return new Refusal('invalid_json', 'The body is not a JSON object.');
  const notes = createNotes();
  // Whether it streams is not in every dialect's body.
  const request = { ...client.readRequest(json, notes), stream };
  return invalidIn(notes) ?? { request, notes };
}

/** The client's own mistake, if it made one. */
export function invalidIn({ invalid }: Notes): Refusal | null {
  if (invalid === null) return null;
  const { field, message } = invalid;
  return new Refusal('invalid_field', `The field "${field}" ${message}.`, { param: field });
}

/** Writes a request in the provider's dialect. */
export function translate(
  { request, notes: before }: ReadRequest,
  client: ChatClient,
  provider: ChatProvider,
  exchange: Exchange,
  to: Destination,
  context: ReplyContext,
): Translated {
  if (before.cannot !== null) return { kind: 'cannot', field: before.cannot };
  const notes = createNotes(before);
  const { path, body, headers } = provider.writeRequest(request, to, notes);
  const refusal = invalidIn(notes);
  if (refusal !== null) return { kind: 'invalid', refusal };
  if (notes.cannot !== null) return { kind: 'cannot', field: notes.cannot };
  const sent = [...to.headers, ...headers];
  passHeaders(['traceparent', 'tracestate'], exchange.headers, sent);
  const reading = translatedReading(provider, client, context);
  return {
    kind: 'sent',
    sent: { path: to.basePath + path, headers: sent, body: Buffer.from(JSON.stringify(body)), reading },
    dropped: notes.dropped,
    lost: lostHeaders(client, exchange),
  };
}

/** Headers of a client's own dialect, which mean nothing in another. */
export const lostHeaders = (
  { ownHeaders = [] }: Pick<ChatClient, 'ownHeaders'>,
  { headers }: Exchange,
): string[] => ownHeaders.filter((name) => headers[name] !== undefined);

/** A provider's refusal in the client's dialect; its status is kept. */
export function translateError(
  status: number,
  body: Buffer,
  provider: ChatProvider,
  client: ChatClient,
  requestId: string,
): Buffer {
  return Buffer.from(JSON.stringify(client.writeError(provider.readError(status, body), requestId)));
}
