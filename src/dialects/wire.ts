/** What is sent upstream, and what must be known of where it goes. */
import type { Json } from '../base/json.ts';
import type { ReplyReading } from './reading.ts';

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
