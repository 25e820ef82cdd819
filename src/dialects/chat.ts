/**
 * Chat as all dialects understand it: what stands between a client's dialect and a provider's.
 * A dialect reads its own wire into these types and writes its own wire from them, so N dialects need N translators.
 */

import type { Json } from '../base/json.ts';
import { type DialectName, dialectNames } from '../exchange/dialects.ts';

/** A prompt up to here may be kept in the provider's cache. */
export interface CacheMark {
  /** At least so long, in seconds; null: as long as the provider keeps it by itself. */
  readonly ttlS: number | null;
}

/** Where the bytes of an image or document are. */
export type Source =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string }
  /** A document that is plain text. */
  | { readonly kind: 'text'; readonly text: string };

export interface TextPart {
  readonly kind: 'text';
  readonly text: string;
  readonly cache: CacheMark | null;
}

export interface ImagePart {
  readonly kind: 'image';
  readonly source: Source;
  /** How closely it is looked at (OpenAI). */
  readonly detail: string | null;
  readonly cache: CacheMark | null;
  /** The field it came in, in the client's words; named when a provider can't take it. */
  readonly at: string;
}

export interface DocumentPart {
  readonly kind: 'document';
  readonly source: Source;
  readonly name: string | null;
  readonly cache: CacheMark | null;
  readonly at: string;
}

export interface AudioPart {
  readonly kind: 'audio';
  readonly mediaType: string;
  /** Base64. */
  readonly data: string;
  readonly at: string;
}

/** What a model thought. Providers that sign it want it back unchanged. */
export interface ReasoningPart {
  readonly kind: 'reasoning';
  readonly text: string;
  /** Proves to the provider that the text is its own; null: unsigned. */
  readonly signature: Signature | null;
}

/** A proof or secret that only one provider dialect can read again. */
export interface Signature {
  readonly by: DialectName;
  readonly value: string;
}

/** Reasoning that only its provider can read. */
export interface RedactedPart {
  readonly kind: 'redacted';
  readonly data: Signature;
}

export interface ToolCallPart {
  readonly kind: 'tool_call';
  readonly id: string;
  readonly name: string;
  /** JSON text of an object, as the model wrote it; may be faulty or empty in a reply. */
  readonly arguments: string;
  readonly cache: CacheMark | null;
  /** Belongs to the call itself (Gemini); null: none. */
  readonly signature: Signature | null;
  readonly at: string;
}

export interface ToolResultPart {
  readonly kind: 'tool_result';
  /** Id of the call. */
  readonly callId: string;
  /** Name of the tool, found by the call's id; null: no call has this id. */
  readonly name: string | null;
  readonly content: readonly (TextPart | ImagePart | DocumentPart)[];
  readonly isError: boolean;
  readonly cache: CacheMark | null;
  readonly at: string;
}

/** A refusal in the model's own words. */
export interface RefusalPart {
  readonly kind: 'refusal';
  readonly text: string;
}

export type Part =
  | TextPart
  | ImagePart
  | DocumentPart
  | AudioPart
  | ReasoningPart
  | RedactedPart
  | ToolCallPart
  | ToolResultPart
  | RefusalPart;

/** `tool_result` parts stand first in a user's message; the other parts as they came. */
export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant';
  readonly parts: readonly Part[];
  readonly name: string | null;
}

/** The parts of a message in that order. */
export function resultsFirst(parts: readonly Part[]): readonly Part[] {
  const results = parts.filter(({ kind }) => kind === 'tool_result');
  return results.length === 0 ? parts : [...results, ...parts.filter(({ kind }) => kind !== 'tool_result')];
}

export interface Tool {
  readonly name: string;
  readonly description: string | null;
  /** JSON schema of the arguments; null: it takes none. */
  readonly parameters: Json | null;
  readonly strict: boolean | null;
  readonly cache: CacheMark | null;
}

export type ToolChoice =
  | { readonly kind: 'auto' | 'none' | 'required' }
  | { readonly kind: 'tool'; readonly name: string };

/** The form the answer must have. */
export type OutputForm =
  | { readonly kind: 'json' }
  | {
      readonly kind: 'schema';
      readonly schema: Json;
      readonly name: string | null;
      readonly description: string | null;
      readonly strict: boolean | null;
    };

export const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
export type Effort = (typeof efforts)[number];

export interface ReasoningWish {
  readonly effort: Effort | null;
  /** Tokens the model may think. */
  readonly budgetTokens: number | null;
  /** The model itself decides how much. */
  readonly adaptive: boolean;
}

/** A request as the client meant it. Null: it said nothing about it. */
export interface ChatRequest {
  /** The client's name of each field, for messages and `x-sidegate-dropped`. */
  readonly names: Readonly<Record<ChatField, string>>;
  readonly stream: boolean;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice | null;
  readonly parallelToolCalls: boolean | null;
  readonly stop: readonly string[];
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly topK: number | null;
  readonly frequencyPenalty: number | null;
  readonly presencePenalty: number | null;
  readonly seed: number | null;
  readonly output: OutputForm | null;
  readonly reasoning: ReasoningWish | null;
  /** Stable name of the end user. */
  readonly user: string | null;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** Fields of a request that some dialects have no words for. */
export type ChatField =
  | 'tools'
  | 'toolChoice'
  | 'parallelToolCalls'
  | 'stop'
  | 'maxTokens'
  | 'temperature'
  | 'topP'
  | 'topK'
  | 'frequencyPenalty'
  | 'presencePenalty'
  | 'seed'
  | 'output'
  | 'reasoning'
  | 'user'
  | 'metadata';

/** What a translation could not carry; written by whoever reads or writes a request. */
export interface Notes {
  /** The client's own mistake; the first one counts. */
  invalid: { readonly field: string; readonly message: string } | null;
  /** A field that matters and can't be said: such a target is passed over. */
  cannot: string | null;
  /** Advisory fields that were left out. */
  readonly dropped: string[];
}

export const createNotes = (from?: Notes): Notes =>
  from === undefined
    ? { invalid: null, cannot: null, dropped: [] }
    : { invalid: from.invalid, cannot: from.cannot, dropped: [...from.dropped] };

export function noteInvalid(notes: Notes, field: string, message: string): void {
  notes.invalid ??= { field, message };
}

export function noteCannot(notes: Notes, field: string): void {
  notes.cannot ??= field;
}

export function noteDropped(notes: Notes, field: string): void {
  if (!notes.dropped.includes(field)) notes.dropped.push(field);
}

/** How closely a picture is to be looked at, where that can't be said. */
export function noteDetail({ detail, at }: ImagePart, notes: Notes): void {
  if (detail !== null && detail !== 'auto') noteDropped(notes, `${at}.detail`);
}

/** Texts of the system and the developer, for dialects where they stand before the conversation and are text only. */
export function systemTexts(messages: readonly ChatMessage[], notes: Notes): TextPart[] {
  return messages.flatMap(({ role, parts }) => {
    if (role !== 'system' && role !== 'developer') return [];
    return parts.flatMap((part): TextPart[] => {
      if (part.kind === 'text') return [part];
      if ('at' in part) noteCannot(notes, part.at);
      return [];
    });
  });
}

/** Tokens of one reply. */
export interface ChatUsage {
  /** The whole prompt, cached tokens included. */
  readonly inputTokens: number;
  /** Of them, read from the provider's cache. */
  readonly cachedInputTokens: number;
  /** Of them, written to it. */
  readonly cacheWriteTokens: number;
  /** The whole reply, reasoning included. */
  readonly outputTokens: number;
  /** Of them, reasoning; 0 where the provider doesn't say. */
  readonly reasoningTokens: number;
}

export const finishReasons = [
  'stop',
  'stop_sequence',
  'length',
  'tool_calls',
  'content_filter',
  'refusal',
  'other',
] as const;
/** Why generation ended. A reason nobody knows is `other`, and written as the dialect's plain end. */
export type FinishReason = (typeof finishReasons)[number];

export type ReplyPart = TextPart | RefusalPart | ReasoningPart | RedactedPart | ToolCallPart;

/** A whole answer. Empty id or model: the provider didn't say. */
export interface ChatReply {
  readonly id: string;
  readonly model: string;
  readonly parts: readonly ReplyPart[];
  readonly finish: FinishReason;
  /** The stop sequence that was met. */
  readonly stopSequence: string | null;
  readonly usage: ChatUsage | null;
}

/** What a block of a streamed answer holds. */
export type Block =
  | { readonly kind: 'text' | 'refusal' | 'reasoning' }
  | { readonly kind: 'redacted'; readonly data: Signature }
  | {
      readonly kind: 'tool_call';
      readonly id: string;
      readonly name: string;
      readonly signature: Signature | null;
    };

/**
 * A streamed answer: `start`, blocks (`begin`, `delta`s, `signature`, `end`, each with the block's number, counted from 0
 * in order of their beginning), `finish`, `stop`. Calls made at once may grow in turns, so that blocks overlap. `usage` may
 * come anywhere, the last one counts. Blocks that were not ended are ended by `finish`.
 */
export type ChatEvent =
  /** `createdS`: Unix time in seconds; left out: the provider didn't say. */
  | { readonly kind: 'start'; readonly id: string; readonly model: string; readonly createdS?: number }
  | { readonly kind: 'begin'; readonly index: number; readonly block: Block }
  /** Text, reasoning, or a piece of a call's arguments. */
  | { readonly kind: 'delta'; readonly index: number; readonly text: string }
  | { readonly kind: 'signature'; readonly index: number; readonly signature: Signature }
  | { readonly kind: 'end'; readonly index: number }
  | { readonly kind: 'finish'; readonly reason: FinishReason; readonly stopSequence: string | null }
  | { readonly kind: 'usage'; readonly usage: ChatUsage }
  /** The provider's last event: nothing follows. */
  | { readonly kind: 'stop' }
  /** What was sent is no answer; `unfinished`: the provider waited no longer for it. */
  | { readonly kind: 'error'; readonly unfinished?: true };

/** One event of a provider's stream, as the transport cut it. */
export interface WireEvent {
  /** Its name; empty where it has none. */
  readonly event: string;
  readonly data: Json;
}

/** Reads one stream of a provider. Unknown events say nothing; missing fields are left out. */
export interface ChatStreamReader {
  /** What one event says. */
  read(event: WireEvent): readonly ChatEvent[];
}

/** Writes one stream for a client. */
export interface ChatStreamWriter {
  /** Bytes for one event; empty: nothing yet. */
  write(event: ChatEvent): string;
}

/** What a writer of replies must know besides the reply. */
export interface ReplyContext {
  /** The model as the client named it, where the provider doesn't say. */
  readonly model: string;
  readonly requestId: string;
  /** Unix time in seconds. */
  readonly createdS: number;
  /** The client wants usage on its stream (OpenAI's `stream_options`). */
  readonly wantsUsage: boolean;
}

/** A provider's refusal of a request. */
export interface ProviderError {
  readonly status: number;
  readonly message: string;
  readonly code: string | null;
}

/** A signature as text for a client of `client`, who gives it back with the conversation. */
export const seal = ({ by, value }: Signature, client: DialectName): string =>
  by === client ? value : `${by}~${value}`;

/** A signature that a client of `client` gave back: its own dialect's where it names no other. */
export function unseal(text: string, client: DialectName): Signature {
  const named = /^([a-z-]{1,32})~/.exec(text);
  const by = dialectNames.find((name) => name === named?.[1]);
  return by === undefined ? { by: client, value: text } : { by, value: text.slice(by.length + 1) };
}

/** A budget of reasoning tokens as an effort, and the other way round. */
export function effortOf({ effort, budgetTokens }: ReasoningWish): Effort | null {
  if (effort !== null || budgetTokens === null) return effort;
  return budgetTokens < 4096 ? 'low' : budgetTokens < 16_384 ? 'medium' : 'high';
}

export const budgetOf: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1024,
  low: 2048,
  medium: 8192,
  high: 24_576,
  xhigh: 32_768,
  max: 32_768,
};
