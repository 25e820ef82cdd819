/** The contract of a dialect: pure translation between wire format and gateway, without I/O. */

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

/** A string inside a stream's event that continues a text: of one choice or content block. */
export interface TextSlot {
  /** Identifies the text among those of the stream. */
  readonly channel: string;
  readonly holder: Json;
  readonly field: string;
}

/** The meaning of a provider's error response; decides on retry, cooldown, fallback and breaker. */
export type FaultKind =
  /** The request itself is at fault (400, 404, 413, 422, …): passed on to the client. */
  | 'rejected'
  /** The prompt is too long for the model: passed on, unless the route has a fallback for that. */
  | 'context_window'
  /** The provider's content policy refuses the request: passed on, unless the route has a fallback for that. */
  | 'content_policy'
  /** The credential is refused (401 or 403). */
  | 'credential'
  /** 429: the target cools down, the next one is tried. */
  | 'rate_limited'
  /** A quota or credit balance is used up: like `rate_limited`, but a retry is useless. */
  | 'quota'
  /** 408, 5xx, 529: retried, then the next target. */
  | 'server'
  /** 1xx or 3xx: redirects are never followed. */
  | 'unexpected';

/** What a provider's error response means. */
export interface ProviderFault {
  readonly kind: FaultKind;
  /** Ms after which the provider allows a retry; null: it doesn't say. */
  readonly retryAfterMs: number | null;
}

/** State of a stream that the gateway ends early because a limit or budget is used up. */
export interface StoppedStream {
  /** The last whole events that were passed on. */
  readonly last: Buffer;
  /** Number of the content block that is still open; -1: none. */
  readonly openBlock: number;
  /** Number of replies asked for. */
  readonly choices: number;
  /** The client asked for usage on the stream. */
  readonly wantsUsage: boolean;
  /** Tokens as far as known. */
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** One dialect, as providers speak it and as clients expect it. */
export interface Dialect {
  readonly name: DialectName;
  /** Its chat API as clients use it; null: clients can't use it. */
  readonly chatClient: ChatClient | null;
  /** Its chat API as providers offer it; null: its providers have none. */
  readonly chatProvider: ChatProvider | null;
  /** Its embeddings as clients use them and as providers offer them; undefined: they can't be translated. */
  readonly embedClient?: EmbedClient;
  readonly embedProvider?: EmbedProvider;
  /** The header from which the dialect's SDKs read the request id. */
  readonly requestIdHeader: string;
  /** Whether a response header of a provider, in lower case, is passed on to the client. */
  passesBack(header: string): boolean;
  /** Headers with the credential, as flat name, value pairs. */
  credential(apiKey: string, quirks: Quirks): readonly string[];
  /** Writes a request of the dialect's own clients for a provider of the same dialect. */
  encode(
    endpoint: Endpoint,
    request: ModelRequest,
    headers: IncomingHttpHeaders,
    to: Destination,
  ): UpstreamRequest;
  /**
   * Interprets an error response. `body` may be truncated or of any form; `wallMs` is the Unix time in ms, for a
   * `Retry-After` with a date.
   */
  fault(status: number, headers: IncomingHttpHeaders, body: Buffer, wallMs: number): ProviderFault;
  /** The last event, for a stream that had its finish reason but ended without it. */
  readonly streamEnd: Buffer;
  /** Ends a stream as if it had reached its token limit; null: `StreamReading.lengthEnd` does. */
  readonly lengthEnd: ((stopped: StoppedStream) => Buffer) | null;
  /** An error as a response body. */
  errorBody(refusal: Refusal, requestId: string): Buffer;
  /** An error as an event of a stream, which makes the dialect's SDKs throw. */
  errorEvent(refusal: Refusal, requestId: string): Buffer;
  /** An event that announces that the answer starts again from the beginning. */
  restartEvent(target: string): Buffer;
  /** The strings of an event that continue a text, where placeholders of masked values are restored. */
  textSlots(event: Json): TextSlot[];
  /** Prefixes of the channels that this event ends. */
  endedChannels(event: Json): string[];
  /** A copy of `event` that carries only text, without usage, finish reason or names. */
  carrierOf(event: Json): Json;
  /** Bodies of the list of models and of one model. */
  models(names: readonly string[]): Buffer;
  model(name: string): Buffer;
}

/** The kind of a fault by its status alone, the same in all dialects. */
export function faultKind(status: number): FaultKind {
  if (status === 401 || status === 403) return 'credential';
  if (status === 429) return 'rate_limited';
  if (status >= 500 || status === 408) return 'server';
  if (status >= 400) return 'rejected';
  return 'unexpected';
}
