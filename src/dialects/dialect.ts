/** The contract of a dialect: pure translation between wire and gateway, no I/O. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint, EndpointName, ModelRequest } from '../exchange.ts';
import type { NativeDialect } from '../native.ts';
import type {
  ChatReply,
  ChatRequest,
  ChatStreamReader,
  ChatStreamWriter,
  Notes,
  ProviderError,
  ReplyContext,
} from './chat.ts';
import type { EmbedClient, EmbedProvider } from './embeddings.ts';
import type { Framer } from './framer.ts';
import type { ReplyReading } from './read-reply.ts';

export type { DialectName };

/** What is sent upstream. Headers are flat name, value pairs. */
export interface UpstreamRequest {
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** Left out: POST. */
  readonly method?: 'GET' | 'DELETE';
  /** Media type of the body; left out: JSON; null: it has none. */
  readonly contentType?: string | null;
  /** How the answer is read on its way to the client. */
  readonly reading: ReplyReading;
}

/** Where a provider departs from its dialect; the dialect's own file acts on it. */
export interface Quirks {
  /** Refuses `stream_options`, and tells usage in the last event of a stream without being asked. */
  readonly noStreamOptions?: true;
  /** Takes its key as `Authorization: Bearer`, in whatever dialect. */
  readonly bearer?: true;
  /** Takes its key as `api-key` (Azure). */
  readonly apiKeyHeader?: true;
  /** Its paths name the model, as `/deployments/{model}`, and its requests the version of its API (Azure). */
  readonly deployments?: true;
  /** Knows `max_completion_tokens`, whatever its models are called. */
  readonly completionTokens?: true;
  /** Refuses calls of tools in a conversation without the `reasoning_content` that came with them. */
  readonly reasoningBack?: true;
}

/** What `encode` must know of where a request goes. */
export interface Destination {
  /** Path part of the provider's base URL, without a trailing slash. */
  readonly basePath: string;
  /** The provider's model name. */
  readonly model: string;
  /** Credential headers and the configuration's own, flat. */
  readonly headers: readonly string[];
  readonly quirks: Quirks;
  /** The model's largest reply in tokens; null: unknown. */
  readonly outputMaxTokens: number | null;
  /** Whether the model reasons at all; null or left out: unknown. */
  readonly reasons?: boolean | null;
}

/** The part of a request that goes to a provider of another dialect than the client's. */
export interface ChatCall {
  /** After the base URL. */
  readonly path: string;
  readonly body: Json;
  /** Headers of the dialect's own, flat. */
  readonly headers: readonly string[];
}

/** A dialect that clients may speak: requests are read, replies written. */
export interface ChatClient {
  /** Reads a request; what is wrong or has no place goes into the notes. */
  readRequest(body: Json, notes: Notes): ChatRequest;
  /** Null: this dialect has no form for such a reply. */
  writeReply(reply: ChatReply, context: ReplyContext): Json | null;
  createWriter(context: ReplyContext): ChatStreamWriter;
  /** A provider's refusal in this dialect's words. */
  writeError(error: ProviderError, requestId: string): Json;
  /** Headers, lower case, that change what a request means; named where no other dialect has them. None where left out. */
  readonly ownHeaders?: readonly string[];
}

/** A dialect that providers may speak: requests are written, replies read. */
export interface ChatProvider {
  /** What the native core knows it as. */
  readonly native: NativeDialect;
  /** Media type of its streams, without parameters. */
  readonly streamType: string;
  /** Writes a request; what can't be said goes into the notes. */
  writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall;
  /** Reads a whole reply; null: it isn't one; `unfinished`: it wasn't ready in time. */
  readReply(body: Json): ChatReply | 'unfinished' | null;
  createReader(): ChatStreamReader;
  /** Cuts a stream into its events; server-sent events where it is null. */
  readonly createFramer: ((eventMaxBytes: number) => Framer) | null;
  /** Reads a refusal; `body` may be anything at all. */
  readError(status: number, body: Buffer): ProviderError;
}

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
  /** Its own endpoints, which are passed through to providers of the same dialect. */
  readonly endpoints: readonly EndpointName[];
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

/** The data of the last event that is a JSON object; empty when there is none. */
export function lastEvent(events: Buffer): Readonly<Record<string, unknown>> {
  for (const block of events
    .toString('utf8')
    .split(/\r\n\r\n|\n\n|\r\r/)
    .reverse()) {
    const data = block.split(/[\r\n]+/).flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []));
    try {
      const event: unknown = JSON.parse(data.join('\n'));
      if (typeof event === 'object' && event !== null) return event as Record<string, unknown>;
    } catch {
      // A comment, or the end of the stream.
    }
  }
  return {};
}

/** An edit of a body: bytes `start`–`end` are replaced by `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Replaces spans of a body. Edits must be ordered and must not overlap; other bytes stay as they are. */
export function edit(body: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return body;
  const parts: Buffer[] = [];
  let from = 0;
  for (const { start, end, text } of edits) {
    parts.push(body.subarray(from, start), Buffer.from(text));
    from = end;
  }
  parts.push(body.subarray(from));
  return Buffer.concat(parts);
}

/** A body that asks for the provider's model name; the same bytes where it is the client's. */
export function renameModel(request: ModelRequest, model: string): Buffer {
  if (model === request.model) return request.body;
  const { modelStart, modelEnd, body } = request;
  return edit(body, [{ start: modelStart - 1, end: modelEnd + 1, text: JSON.stringify(model) }]);
}

/** Reads `retry-after-ms`, `Retry-After` (seconds or date) in ms from now; null when absent or senseless. */
export function retryAfterMs(headers: IncomingHttpHeaders, wallMs: number): number | null {
  const exact = Number(headers['retry-after-ms'] ?? Number.NaN);
  if (Number.isFinite(exact) && exact >= 0) return exact;
  const value = headers['retry-after'];
  if (value === undefined) return null;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return seconds >= 0 ? seconds * 1000 : null;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - wallMs);
}

/** A duration as OpenAI writes it, "1s", "6m0s", "20ms" or "1h2m3.5s", in ms; null: it is none. */
export function durationMs(text: string): number | null {
  const parts = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/.exec(
    text,
  );
  if (parts === null || text === '') return null;
  const [days = 0, hours = 0, minutes = 0, seconds = 0, ms = 0] = parts
    .slice(1)
    .map((part) => Number(part ?? 0));
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms;
}

/** One of a provider's limits, as its headers show it. */
export interface LimitState {
  /** Left of it now; null: the provider doesn't say. */
  readonly remaining: string | undefined;
  /** Ms until it is whole again; null: the provider doesn't say. */
  readonly resetMs: number | null;
}

/** Ms until the limits that are used up reset; where none is, the first of those that will. Null: nothing is said. */
export function resetMs(limits: readonly LimitState[]): number | null {
  const told = limits.filter((limit): limit is LimitState & { resetMs: number } => limit.resetMs !== null);
  if (told.length === 0) return null;
  const spent = told.filter(({ remaining }) => remaining === undefined || Number(remaining) <= 0);
  return spent.length > 0
    ? Math.max(...spent.map((limit) => limit.resetMs))
    : Math.min(...told.map((limit) => limit.resetMs));
}

/** A header's one value. */
export const headerOf = (headers: IncomingHttpHeaders, name: string): string | undefined => {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
};

/** Adds those of the client's headers that a dialect passes on. */
export function passHeaders(names: readonly string[], from: IncomingHttpHeaders, to: string[]): void {
  for (const name of names) {
    const value = from[name];
    if (typeof value === 'string') to.push(name, value);
  }
}

/** The fault kinds that all dialects share. */
export function faultKind(status: number): FaultKind {
  if (status === 401 || status === 403) return 'credential';
  if (status === 429) return 'rate_limited';
  if (status >= 500 || status === 408) return 'server';
  if (status >= 400) return 'rejected';
  return 'unexpected';
}
