/**
 * The neutral form of chat, between a client's dialect and a provider's. Each dialect reads its wire format into these
 * types and writes it from them, so N dialects need N translators.
 */

import type { Json } from '../base/json.ts';
import { type DialectName, dialectNames } from '../exchange/dialects.ts';

/** A cache breakpoint: the prompt up to here may be kept in the provider's cache. */
export interface CacheMark {
  /** Shortest time to keep it, in seconds; null: the provider's default. */
  readonly ttlS: number | null;
}

/** The content of an image or document, or where to fetch it. */
export type Source =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string }
  /** A plain text document. */
  | { readonly kind: 'text'; readonly text: string };

/** Text of a message. */
export interface TextPart {
  readonly kind: 'text';
  readonly text: string;
  readonly cache: CacheMark | null;
}

/** An image in a message. */
export interface ImagePart {
  readonly kind: 'image';
  readonly source: Source;
  /** The resolution at which the model sees it (OpenAI). */
  readonly detail: string | null;
  readonly cache: CacheMark | null;
  /** The client's field that holds it, named in errors if a provider doesn't support it. */
  readonly at: string;
}

/** A document in a message. */
export interface DocumentPart {
  readonly kind: 'document';
  readonly source: Source;
  readonly name: string | null;
  readonly cache: CacheMark | null;
  readonly at: string;
}

/** Audio in a message. */
export interface AudioPart {
  readonly kind: 'audio';
  readonly mediaType: string;
  /** Base64. */
  readonly data: string;
  readonly at: string;
}

/** A model's reasoning. Providers that sign it require it back unchanged. */
export interface ReasoningPart {
  readonly kind: 'reasoning';
  readonly text: string;
  /** Proves to the provider that its model wrote the text; null: unsigned. */
  readonly signature: Signature | null;
}

/** A proof or encrypted text that only providers of one dialect can read. */
export interface Signature {
  readonly by: DialectName;
  readonly value: string;
}

/** Encrypted reasoning that only its provider can read. */
export interface RedactedPart {
  readonly kind: 'redacted';
  readonly data: Signature;
}

/** A model's call of a tool. */
export interface ToolCallPart {
  readonly kind: 'tool_call';
  readonly id: string;
  readonly name: string;
  /** The JSON text of an object, as the model wrote it; in a reply it may be invalid or empty. */
  readonly arguments: string;
  readonly cache: CacheMark | null;
  /** Signature of the call itself (Gemini); null: none. */
  readonly signature: Signature | null;
  readonly at: string;
}

/** The result of a tool call. */
export interface ToolResultPart {
  readonly kind: 'tool_result';
  /** Id of the call. */
  readonly callId: string;
  /** Name of the tool, looked up by the call's id; null: no call has this id. */
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

/** Anything that a message can contain. */
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

/** A message; in a user's, `tool_result` parts come first, the others in their original order. */
export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant';
  readonly parts: readonly Part[];
  readonly name: string | null;
}

/** Sorts a message's parts into that order. */
export function resultsFirst(parts: readonly Part[]): readonly Part[] {
  if (!parts.some(({ kind }) => kind === 'tool_result')) return parts;
  const results = parts.filter(({ kind }) => kind === 'tool_result');
  return [...results, ...parts.filter(({ kind }) => kind !== 'tool_result')];
}

/** A tool that the model may call. */
export interface Tool {
  readonly name: string;
  readonly description: string | null;
  /** JSON schema of the arguments; null: it takes none. */
  readonly parameters: Json | null;
  readonly strict: boolean | null;
  readonly cache: CacheMark | null;
  /** How the client declared it; undefined: as a function of this name. */
  readonly origin?: ToolOrigin;
  /** It is told as a custom tool, for providers that know such; undefined: as a function. */
  readonly custom?: CustomInput;
}

/** The input of a custom tool: free text. */
export interface CustomInput {
  /** What the text must match; null: anything. */
  readonly grammar: { readonly syntax: string; readonly definition: string } | null;
  /** The client's field that holds the tool. */
  readonly at: string;
}

/** What a tool is for the client, if that isn't a plain function. */
export interface ToolOrigin {
  readonly name: string;
  /** The namespace that contains it; null: none. */
  readonly namespace: string | null;
  /** Its input is text: the function's only argument, `input`. */
  readonly custom: boolean;
}

/** Whether and which tools the model must call. */
export type ToolChoice =
  | { readonly kind: 'auto' | 'none' | 'required' }
  | { readonly kind: 'tool'; readonly name: string };

/** The format that the answer must have. */
export type OutputForm =
  | { readonly kind: 'json' }
  | {
      readonly kind: 'schema';
      readonly schema: Json;
      readonly name: string | null;
      readonly description: string | null;
      readonly strict: boolean | null;
    };

/** Every reasoning effort, from least to most. */
export const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
/** A reasoning effort. */
export type Effort = (typeof efforts)[number];

/** Whether the reply shows what the model thought: in its words, in short, or not at all. */
export const displays = ['summarized', 'omitted'] as const;

/** How much the model is to reason. */
export interface ReasoningSettings {
  readonly effort: Effort | null;
  /** Most tokens for reasoning. */
  readonly budgetTokens: number | null;
  /** The model decides how much it reasons. */
  readonly adaptive: boolean;
  /** Null: as the model does unasked. */
  readonly display: (typeof displays)[number] | null;
}

/** A client's request in neutral form. Null: the client didn't set it. */
export interface ChatRequest {
  /** The client's name for each field, for errors and `x-sidegate-dropped`. */
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
  readonly reasoning: ReasoningSettings | null;
  /** Stable identifier of the end user. */
  readonly user: string | null;
  readonly metadata: Readonly<Record<string, string>> | null;
  /** What only OpenAI's two dialects have; undefined: nothing. */
  readonly openai?: readonly OpenAiField[];
}

/** A field that both of OpenAI's dialects have, under names of their own. */
export interface OpenAiField {
  readonly name: OpenAiFieldName;
  readonly value: unknown;
  /** The client's name for it. */
  readonly at: string;
}

/** What such a field is about. */
export type OpenAiFieldName =
  | 'prompt_cache_key'
  | 'prompt_cache_retention'
  | 'service_tier'
  | 'store'
  | 'verbosity';

/** Fields of a request that some dialects don't have. */
export const chatFields = [
  'tools',
  'toolChoice',
  'parallelToolCalls',
  'stop',
  'maxTokens',
  'temperature',
  'topP',
  'topK',
  'frequencyPenalty',
  'presencePenalty',
  'seed',
  'output',
  'reasoning',
  'user',
  'metadata',
] as const;
/** One of these fields. */
export type ChatField = (typeof chatFields)[number];

/** What a translation could not carry over; filled by the readers and writers of requests. */
export interface Notes {
  /** The client's first mistake; null: none. */
  invalid: { readonly field: string; readonly message: string } | null;
  /** An essential field that the target's dialect can't express, so that the target is skipped; null: none. */
  unsupported: string | null;
  /** Essential fields are left out too, as the route's setting `unsupported` says. */
  readonly drops: boolean;
  /** Non-essential fields that were left out: the first `droppedMax` of them. */
  readonly dropped: string[];
  /** How many more were left out. */
  droppedMore: number;
}

/** Most names of left out fields that are kept, since a client can make up any number of fields. */
const droppedMax = 12;
/** Longest name of a field that is kept, in UTF-16 units: all of them fit in the head of a reply, in any script. */
const nameMaxLength = 64;

/** Creates empty notes. @param drops leave out essential fields too */
export const createNotes = (drops = false): Notes => ({
  invalid: null,
  unsupported: null,
  drops,
  dropped: [],
  droppedMore: 0,
});

/** Copies notes, to add to them what one of several targets can't express. */
export const copyNotes = (from: Notes): Notes => ({ ...from, dropped: [...from.dropped] });

/** Notes a mistake of the client. @param message continues "The field x …" */
export function noteInvalid(notes: Notes, field: string, message: string): void {
  notes.invalid ??= { field: cutName(field), message };
}

/** Notes an essential field that the target's dialect can't express. */
export function noteUnsupported(notes: Notes, field: string): void {
  if (notes.drops) noteDropped(notes, field);
  else notes.unsupported ??= cutName(field);
}

/** Notes a field that was left out. */
export function noteDropped(notes: Notes, field: string): void {
  const name = cutName(field);
  if (notes.dropped.includes(name)) return;
  if (notes.dropped.length < droppedMax) notes.dropped.push(name);
  else notes.droppedMore += 1;
}

/** A name, cut for messages: clients make up names of any length. */
const cutName = (name: string): string =>
  name.length <= nameMaxLength ? name : `${name.slice(0, nameMaxLength - 3)}...`;

/** Notes an image's `detail` as left out, for dialects without it. */
export function noteDetail({ detail, at }: ImagePart, notes: Notes): void {
  if (detail !== null && detail !== 'auto') noteDropped(notes, `${at}.detail`);
}

/** Texts of system and developer messages, for dialects that take them apart from the conversation, as text only. */
export function systemTexts(messages: readonly ChatMessage[], notes: Notes): TextPart[] {
  return messages.flatMap(({ role, parts }) => {
    if (role !== 'system' && role !== 'developer') return [];
    return parts.flatMap((part): TextPart[] => {
      if (part.kind === 'text') return [part];
      if ('at' in part) noteUnsupported(notes, part.at);
      return [];
    });
  });
}

/** A signature as text for clients of the dialect `client`, which send it back with the conversation. */
export const seal = ({ by, value }: Signature, client: DialectName): string =>
  by === client ? value : `${by}~${value}`;

/** Reads a signature that a client of the dialect `client` sent back; without a prefix it is of that dialect. */
export function unseal(text: string, client: DialectName): Signature {
  const named = /^([a-z-]{1,32})~/.exec(text);
  const by = dialectNames.find((name) => name === named?.[1]);
  return by === undefined ? { by: client, value: text } : { by, value: text.slice(by.length + 1) };
}

/** The effort that was asked for, or the one that corresponds to the token budget; null: neither is set. */
export function effortOf({ effort, budgetTokens }: ReasoningSettings): Effort | null {
  if (effort !== null || budgetTokens === null) return effort;
  return budgetTokens < 4096 ? 'low' : budgetTokens < 16_384 ? 'medium' : 'high';
}

/** Token budget that corresponds to each reasoning effort. */
export const budgetOf: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1024,
  low: 2048,
  medium: 8192,
  high: 24_576,
  xhigh: 32_768,
  max: 32_768,
};
