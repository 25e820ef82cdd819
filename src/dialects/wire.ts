/** Requests to providers, and what their writers must know about the destination. */
import type { Json } from '../base/json.ts';
import type { Method } from '../exchange/endpoint.ts';
import type { ReplyReading } from './reading.ts';
import type { Refuses } from './refuses.ts';
import type { TurnRules } from './turns.ts';

/** A request to a provider. Headers are flat name, value pairs. */
export interface UpstreamRequest {
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** Undefined: POST. */
  readonly method?: Method;
  /** Media type of the body; undefined: JSON; null: there is no body. */
  readonly contentType?: string | null;
  /** How the reply is read. */
  readonly reading: ReplyReading;
  /** Protocols that a WebSocket is opened with, best first; undefined: it is none, or leaves them open. */
  readonly protocols?: readonly string[];
}

/** Members of OpenAI's messages for unsigned reasoning. */
export const reasoningFields = ['reasoning', 'reasoning_content'] as const;
/** One of them. */
export type ReasoningField = (typeof reasoningFields)[number];

/** Where a provider deviates from its dialect; only the dialect's own files look at it. */
export interface Quirks {
  /** Refuses `stream_options`, and reports usage in the last event of a stream by itself. */
  readonly noStreamOptions?: true;
  /** Expects its key as `Authorization: Bearer`, whatever its dialect uses. */
  readonly bearer?: true;
  /** Expects its key as `api-key` (Azure). */
  readonly apiKeyHeader?: true;
  /** Paths contain the model, as `/deployments/{model}`, and requests the API version (Azure). */
  readonly deployments?: true;
  /** Accepts `max_completion_tokens` for all models, whatever they are called. */
  readonly completionTokens?: true;
  /** Members of the assistant's messages in which it takes its reasoning back. */
  readonly reasoningBack?: readonly ReasoningField[];
  /** Gives sealed reasoning in `reasoning_details`, and takes it back there. */
  readonly detailsBack?: true;
  /** What it demands of turns, beyond its dialect. */
  readonly turns?: TurnRules;
}

/** The target of a request, as far as dialects need to know it. */
export interface Destination {
  /** Path part of the provider's base URL, without a trailing slash. */
  readonly basePath: string;
  /** The provider's model name, as the request says it. */
  readonly model: string;
  /** The model that is really served: what its name can't say where its owner chose it, as Azure's deployments. */
  readonly served: string;
  /** Headers with the credential, and those of the configuration, as flat name, value pairs. */
  readonly headers: readonly string[];
  readonly quirks: Quirks;
  /** The model's largest reply in tokens; null: unknown. */
  readonly outputMaxTokens: number | null;
  /** Whether the model can reason; null or undefined: unknown. */
  readonly reasons?: boolean | null;
  /** What the model refuses; undefined: nothing is known. */
  readonly refuses?: Refuses | undefined;
  /** The longest reply, which the route sets since the request doesn't; null or undefined: as the request says. */
  readonly maxTokens?: number | null;
}

/** A translated request, before the destination's path and headers are added. */
export interface ChatCall {
  /** After the base URL. */
  readonly path: string;
  readonly body: Json;
  /** Headers of the dialect, as flat name, value pairs. */
  readonly headers: readonly string[];
}
