/** A reply in neutral form, whole and as a stream of events, and what reads and writes it. */

import type { Json } from '../base/json.ts';
import { type MediaUsage, noFacts, type Pricing, type ReplyFacts } from '../native/reply.ts';
import type {
  ReasoningPart,
  RedactedPart,
  RefusalPart,
  Signature,
  TextPart,
  ToolCallPart,
  ToolOrigin,
} from './chat.ts';

/** Tokens of one reply. */
export interface ChatUsage {
  /** The whole prompt, including cached tokens. */
  readonly inputTokens: number;
  /** Input tokens read from the provider's cache. */
  readonly cachedInputTokens: number;
  /** Input tokens written to the provider's cache. */
  readonly cacheWriteTokens: number;
  /** The whole reply, including reasoning. */
  readonly outputTokens: number;
  /** Output tokens spent on reasoning; 0 if the provider doesn't report them. */
  readonly reasoningTokens: number;
  /** What else decides the price; undefined: nothing. */
  readonly pricing?: Pricing;
  /** Tokens of images and audio among them; undefined: it states none. */
  readonly media?: MediaUsage;
}

/** The facts of a reply of which nothing is known but what it used. */
export const factsOfUsage = ({
  inputTokens,
  outputTokens,
  cachedInputTokens,
  cacheWriteTokens,
  ...more
}: ChatUsage): ReplyFacts => ({
  ...noFacts,
  usage: true,
  inputTokens,
  outputTokens,
  cachedInputTokens,
  cacheWriteTokens,
  finish: 'stop',
  ...(more.reasoningTokens === 0 ? {} : { reasoningTokens: more.reasoningTokens }),
  ...(more.pricing === undefined ? {} : { pricing: more.pricing }),
  ...(more.media === undefined ? {} : { media: more.media }),
});

/** Every reason for which generation ends. */
export const finishReasons = [
  'stop',
  'stop_sequence',
  'length',
  'tool_calls',
  'content_filter',
  'refusal',
  'other',
  'failed',
] as const;
/**
 * Why generation ended. An unknown reason is `other`, which is written as the dialect's normal end. `failed`: it is no
 * answer, so the call has failed, and the reason is never written.
 */
export type FinishReason = (typeof finishReasons)[number];

/** A page that a text of a reply cites. */
export interface UrlCitation {
  readonly url: string;
  readonly title: string | null;
  /** Where in the text, in UTF-16 units; both 0: unknown. */
  readonly start: number;
  readonly end: number;
}

/** A text of a reply. */
export interface ReplyText extends TextPart {
  readonly citations?: readonly UrlCitation[];
}

/** A picture that the model made. */
export interface PicturePart {
  readonly kind: 'picture';
  /** Where it is, or itself as a data URL. */
  readonly url: string;
}

/** Anything that a reply can contain. */
export type ReplyPart = ReplyText | PicturePart | RefusalPart | ReasoningPart | RedactedPart | ToolCallPart;

/** A reply that isn't streamed. Empty id or model: the provider sent none. */
export interface ChatReply {
  readonly id: string;
  readonly model: string;
  readonly parts: readonly ReplyPart[];
  readonly finish: FinishReason;
  /** The stop sequence that ended it. */
  readonly stopSequence: string | null;
  readonly usage: ChatUsage | null;
  /** No answer yet, but the promise of one, which will be billed. */
  readonly promised?: true;
  /** The provider's own tools may have done something for it. */
  readonly acted?: true;
}

/** A block of a streamed reply, without the text that follows in deltas. */
export type Block =
  | { readonly kind: 'text' | 'refusal' | 'reasoning' }
  | { readonly kind: 'redacted'; readonly data: Signature }
  | PicturePart
  | {
      readonly kind: 'tool_call';
      readonly id: string;
      readonly name: string;
      readonly signature: Signature | null;
    };

/**
 * An event of a streamed reply. The order is `start`, blocks (`begin`, `delta`s, `signature`, `end`, each with the
 * block's number, counted from 0 in order of their beginning), `finish`, `stop`. Deltas of parallel calls may
 * alternate, so blocks may overlap. `usage` may come anywhere; the last one counts. `finish` ends all open blocks.
 */
export type ChatEvent =
  /** `createdS`: Unix time in seconds; undefined: the provider sent none. */
  | { readonly kind: 'start'; readonly id: string; readonly model: string; readonly createdS?: number }
  | { readonly kind: 'begin'; readonly index: number; readonly block: Block }
  /** Text, reasoning, or a piece of a call's arguments. */
  | { readonly kind: 'delta'; readonly index: number; readonly text: string }
  | { readonly kind: 'signature'; readonly index: number; readonly signature: Signature }
  | { readonly kind: 'citation'; readonly index: number; readonly citation: UrlCitation }
  | { readonly kind: 'end'; readonly index: number }
  | {
      readonly kind: 'finish';
      readonly reason: FinishReason;
      readonly stopSequence: string | null;
      /** As of a whole reply. */
      readonly acted?: true;
    }
  | { readonly kind: 'usage'; readonly usage: ChatUsage }
  /** The end of the provider's stream. */
  | { readonly kind: 'stop' }
  /** The provider sent an error or nonsense; `unfinished`: it gave up waiting for its model. */
  | { readonly kind: 'error'; readonly unfinished?: true };

/** One event of a provider's stream, before it is interpreted. */
export interface WireEvent {
  /** Its name; empty: none. */
  readonly event: string;
  readonly data: Json;
}

/** Reads one stream of a provider. Unknown events and missing fields are ignored. */
export interface ChatStreamReader {
  /** Translates one event into neutral ones. */
  read(event: WireEvent): readonly ChatEvent[];
}

/** Writes one stream for a client. */
export interface ChatStreamWriter {
  /** Bytes for one event; empty: nothing yet. */
  write(event: ChatEvent): string;
}

/** What a writer needs in addition to the reply. */
export interface ReplyContext {
  /** The client's name of the model, used if the provider sends none. */
  readonly model: string;
  readonly requestId: string;
  /** Unix time in seconds. */
  readonly createdS: number;
  /** The client wants usage on its stream (OpenAI's `stream_options`). */
  readonly wantsUsage: boolean;
  /** What the reply says again of the request (Responses API); undefined: nothing. */
  readonly echo?: Json | undefined;
  /** Tools that are no plain functions for the client, by their names in neutral form; undefined: none. */
  readonly origins?: ReadonlyMap<string, ToolOrigin> | undefined;
}

/** A provider's error response. */
export interface ProviderError {
  readonly status: number;
  readonly message: string;
  readonly code: string | null;
}
