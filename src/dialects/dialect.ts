/** The contract of a dialect: pure translation between wire and gateway, no I/O. */

import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { EmbedClient, EmbedProvider } from './embed.ts';
import type { ChatClient, ChatProvider } from './sides.ts';
import type { Destination, Quirks, UpstreamRequest } from './wire.ts';

export type { DialectName };

/** A place inside an event of a stream where text grows: one string of one choice or content block. */
export interface TextSlot {
  /** Tells it from the other texts of the stream. */
  readonly channel: string;
  readonly holder: Json;
  readonly field: string;
}

/** What kind of "no" a provider's status and body mean; decides retry, rest, fallback and breaker. */
export type FaultKind =
  /** The request itself is refused (400, 404, 413, 422, …): passed on. */
  | 'rejected'
  /** The prompt is too long for the model: passed on, unless the route has a target for that. */
  | 'context_window'
  /** The provider's content policy refuses the request: the same. */
  | 'content_policy'
  /** 401 or 403. */
  | 'credential'
  /** 429: this target rests, the next one answers. */
  | 'rate_limited'
  /** 429 for money or a spent quota: as `rate_limited`, and a retry is useless. */
  | 'quota'
  /** 408, 5xx, 529: retried, then the next target. */
  | 'server'
  /** 3xx, 1xx: never followed. */
  | 'unexpected';

export interface ProviderFault {
  readonly kind: FaultKind;
  /** When the provider says it may be asked again, in ms; null: it doesn't say. */
  readonly retryAfterMs: number | null;
}

/** A stream that is ended before the model does, because what it may use has ended. */
export interface StoppedStream {
  /** The last whole events that were passed on. */
  readonly last: Buffer;
  /** Number of the content block that has begun and not ended; -1: none. */
  readonly openBlock: number;
  /** Replies asked for. */
  readonly choices: number;
  /** The client asked for usage on the stream. */
  readonly wantsUsage: boolean;
  /** As far as they are known by now. */
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** One wire dialect, as the provider speaks it and as the client expects it. */
export interface Dialect {
  readonly name: DialectName;
  /** Its chat endpoints as clients call them; null: clients don't speak it. */
  readonly chatClient: ChatClient | null;
  /** Its chat as providers answer it; null: providers of it don't chat. */
  readonly chatProvider: ChatProvider | null;
  /** Its embeddings as clients ask for them, and as providers answer them; left out: only its own go to its own. */
  readonly embedClient?: EmbedClient;
  readonly embedProvider?: EmbedProvider;
  /** The header that the dialect's SDKs read a request's id from. */
  readonly requestIdHeader: string;
  /** Whether a provider's header, lower case, is passed back to the client. */
  passesBack(header: string): boolean;
  /** Headers that carry this credential. */
  credential(apiKey: string, quirks: Quirks): readonly string[];
  encode(
    endpoint: Endpoint,
    request: ModelRequest,
    headers: IncomingHttpHeaders,
    to: Destination,
  ): UpstreamRequest;
  /** Reads what a reply that isn't a success means. `body` may be cut or anything at all; `wallMs` dates `Retry-After`. */
  fault(status: number, headers: IncomingHttpHeaders, body: Buffer, wallMs: number): ProviderFault;
  /** What completes a stream that has its finish reason but not its last event. */
  readonly streamEnd: Buffer;
  /** Ends a stream as a reply does that reached its limit of tokens; null: its own readings do. */
  readonly lengthEnd: ((stopped: StoppedStream) => Buffer) | null;
  /** An error as the body of a reply. */
  errorBody(refusal: Refusal, requestId: string): Buffer;
  /** An error inside a stream; makes the dialect's SDKs throw. */
  errorEvent(refusal: Refusal, requestId: string): Buffer;
  /** Says inside a stream that the answer begins again from scratch. */
  restartEvent(target: string): Buffer;
  /** Where text grows in an event of its streams, so that masked values are found in it. */
  textSlots(event: Json): TextSlot[];
  /** Prefixes of the channels that end with this event. */
  endedChannels(event: Json): string[];
  /** An event to carry text on its own, made of a copy of `event`: it says nothing besides. */
  carrierOf(event: Json): Json;
  /** The list of models, or one of them. */
  models(names: readonly string[]): Buffer;
  model(name: string): Buffer;
}

/** The fault kinds that all dialects share. */
export function faultKind(status: number): FaultKind {
  if (status === 401 || status === 403) return 'credential';
  if (status === 429) return 'rate_limited';
  if (status >= 500 || status === 408) return 'server';
  if (status >= 400) return 'rejected';
  return 'unexpected';
}
