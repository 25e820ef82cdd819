/** The contract of a dialect: pure translation between wire format and gateway, without I/O. */

import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { EmbedClient, EmbedProvider } from './embed.ts';
import type { ProviderFault } from './fault.ts';
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
  /** Headers by which an app says whom a call is billed to: passed on with the app's own credential only. */
  readonly billingHeaders: readonly string[];
  /** Whether a response header of a provider, in lower case, is passed on to the client. */
  passesBack(header: string): boolean;
  /** Headers with the credential, as flat name, value pairs. */
  credential(apiKey: string, quirks: Quirks): readonly string[];
  /**
   * The body without what only providers of other dialects can read, besides what foreign.ts finds; undefined: none.
   * @param signsCalls as of the provider (`sides.ts`)
   */
  readonly withoutForeign?: (body: Buffer, signsCalls: boolean) => Buffer;
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
  /** Whether an event says again what the stream said; undefined: none does, unless the client's side says that all do. */
  readonly repeatsStream?: (event: Json) => boolean;
  /** A copy of `event` that carries only text, without usage, finish reason, names or probabilities. */
  carrierOf(event: Json): Json;
  /** The reply to a request that counts tokens; undefined: clients of the dialect send none. */
  readonly tokenCount?: (tokens: number) => Json;
  /** Bodies of the list of models and of one model. */
  models(names: readonly string[]): Buffer;
  model(name: string): Buffer;
}
