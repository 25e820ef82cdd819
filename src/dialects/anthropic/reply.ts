/** Anthropic's replies and errors: whole messages. */

import {
  countOf,
  entryOf,
  isObject,
  type Json,
  listOf,
  objectOf,
  parseObject,
  textOf,
} from '../../base/json.ts';
import { type RefusalPart, type Signature, seal, type ToolCallPart } from '../chat.ts';
import type {
  Block,
  ChatReply,
  ChatUsage,
  FinishReason,
  PicturePart,
  ProviderError,
  ReplyContext,
  ReplyPart,
  ReplyText,
} from '../chat-reply.ts';
import { writeSearchLocation } from '../citations.ts';
import { unsigned } from '../foreign.ts';
import { pricingOf } from '../pricing.ts';

const reasons: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop_sequence',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'refusal',
};

/** The neutral finish reason for a `stop_reason`. */
export const readReason = (reason: unknown): FinishReason =>
  entryOf(reasons, textOf(reason) ?? '') ?? 'other';

const written: Readonly<Record<FinishReason, string>> = {
  stop: 'end_turn',
  stop_sequence: 'stop_sequence',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
  refusal: 'refusal',
  other: 'end_turn',
  failed: 'error',
};

/** The `stop_reason` for a neutral finish reason. */
export const writeReason = (reason: FinishReason): string => written[reason];

/**
 * Reads usage. Counts are cumulative: those it leaves out, or that are smaller, are taken from `before`, since some
 * relays end with 0. `input_tokens` excludes cached tokens.
 */
export function readUsage(usage: Json, before: ChatUsage | null): ChatUsage {
  const own = (name: string, earlier: number): number => Math.max(countOf(usage[name]), earlier);
  const cachedInputTokens = own('cache_read_input_tokens', before?.cachedInputTokens ?? 0);
  const cacheWriteTokens = own('cache_creation_input_tokens', before?.cacheWriteTokens ?? 0);
  const plainBefore =
    before === null ? 0 : before.inputTokens - before.cachedInputTokens - before.cacheWriteTokens;
  const details = objectOf(usage.output_tokens_details);
  const { ephemeral_1h_input_tokens: hour } = objectOf(usage.cache_creation);
  const earlier = before?.pricing;
  return {
    inputTokens: own('input_tokens', plainBefore) + cachedInputTokens + cacheWriteTokens,
    cachedInputTokens,
    cacheWriteTokens,
    outputTokens: own('output_tokens', before?.outputTokens ?? 0),
    reasoningTokens: Math.max(countOf(details.thinking_tokens), before?.reasoningTokens ?? 0),
    ...pricingOf(
      Math.max(countOf(hour), earlier?.cacheWriteHourTokens ?? 0),
      usage.speed ?? earlier?.service,
      undefined,
      usage.inference_geo === 'us' || earlier?.resident === true,
    ),
  };
}

/** Writes usage; `input_tokens` excludes cached tokens. */
export function writeUsage(usage: ChatUsage | null): Json {
  const cached = usage?.cacheWriteTokens ?? 0;
  const forHour = Math.min(usage?.pricing?.cacheWriteHourTokens ?? 0, cached);
  return {
    input_tokens:
      usage === null ? 0 : Math.max(0, usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens),
    cache_creation_input_tokens: cached,
    cache_read_input_tokens: usage?.cachedInputTokens ?? 0,
    cache_creation: {
      ephemeral_5m_input_tokens: cached - forHour,
      ephemeral_1h_input_tokens: forHour,
    },
    output_tokens: usage?.outputTokens ?? 0,
    output_tokens_details: { thinking_tokens: usage?.reasoningTokens ?? 0 },
    inference_geo: null,
    server_tool_use: null,
    service_tier: 'standard',
  };
}

/** Reads a whole message; null: it is invalid. */
export function readReply(body: Json): ChatReply | null {
  if (!Array.isArray(body.content)) return null;
  return {
    id: textOf(body.id) ?? '',
    model: textOf(body.model) ?? '',
    parts: listOf(body.content).flatMap(readBlock),
    finish: readReason(body.stop_reason),
    stopSequence: textOf(body.stop_sequence),
    usage: isObject(body.usage) ? readUsage(body.usage, null) : null,
  };
}

function readBlock(block: Json): ReplyPart[] {
  switch (block.type) {
    case 'text':
      return [{ kind: 'text', text: textOf(block.text) ?? '', cache: null }];
    case 'thinking': {
      const value = textOf(block.signature) ?? '';
      const signature = value === '' ? null : ({ by: 'anthropic', value } as const);
      return [{ kind: 'reasoning', text: textOf(block.thinking) ?? '', signature }];
    }
    case 'redacted_thinking':
      return [{ kind: 'redacted', data: { by: 'anthropic', value: textOf(block.data) ?? '' } }];
    case 'tool_use':
      return [
        {
          kind: 'tool_call',
          id: textOf(block.id) ?? '',
          name: textOf(block.name) ?? '',
          arguments: JSON.stringify(block.input ?? {}),
          cache: null,
          signature: null,
          at: '',
        },
      ];
    default:
      return [];
  }
}

/** Writes a whole message; null: it contains a tool call with invalid arguments. */
export function writeReply(reply: ChatReply, context: ReplyContext): Json | null {
  // A call that was cut off by the token limit is left out; with any other invalid call, the reply is invalid.
  const called = reply.parts.filter((part) => part.kind !== 'tool_call' || readInput(part) !== null);
  if (called.length < reply.parts.length && reply.finish !== 'length') return null;
  const refused = reply.parts.some(({ kind }) => kind === 'refusal');
  return {
    ...writeHead(reply, context),
    content: withoutLastSeal(called).flatMap(writeBlock),
    stop_reason: refused ? 'refusal' : writeReason(reply.finish),
    stop_sequence: reply.stopSequence,
  };
}

/** A message before its content, as streams begin with it. */
export const writeHead = (
  { id, model, usage }: Pick<ChatReply, 'id' | 'model' | 'usage'>,
  context: ReplyContext,
): Json => ({
  id: id === '' ? context.requestId : id,
  type: 'message',
  role: 'assistant',
  model: model === '' ? context.model : model,
  content: [],
  stop_reason: null,
  stop_sequence: null,
  stop_details: null,
  container: null,
  usage: writeUsage(usage),
});

/** Whether a part seals the text before it, as Gemini does, which doesn't need that back. */
export const isTextSeal = (part: ReplyPart | Block): boolean =>
  part.kind === 'redacted' && part.data.by === 'gemini';

/** Without a seal of text that would stand last: agents read the last block as the answer. */
function withoutLastSeal(parts: readonly ReplyPart[]): readonly ReplyPart[] {
  const last = parts.at(-1);
  const seals = last !== undefined && isTextSeal(last) && parts.some(({ kind }) => kind === 'text');
  return seals ? parts.slice(0, -1) : parts;
}

/** A call's arguments as an object; null: they are invalid. */
const readInput = ({ arguments: text }: ToolCallPart): Json | null =>
  text.trim() === '' ? {} : parseObject(text);

/** Said in place of a picture, for which this dialect has no block in replies. */
export const lostPicture = ({ url }: PicturePart): string =>
  url.startsWith('data:')
    ? `[A picture (${/^data:([^;,]{0,100})/.exec(url)?.[1] ?? ''}) was left out: this API can't carry it.]`
    : `[A picture: ${url}]`;

const citationsOf = (part: ReplyText | RefusalPart): Json =>
  part.kind === 'refusal' || part.citations === undefined || part.citations.length === 0
    ? {}
    : { citations: part.citations.map((one) => writeSearchLocation(one, part.text)) };

function writeBlock(part: ReplyPart): Json[] {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      // Without `citations`: Anthropic leaves the member out where there are none, and strict clients refuse null.
      return part.text === '' ? [] : [{ type: 'text', text: part.text, ...citationsOf(part) }];
    case 'picture':
      return [{ type: 'text', text: lostPicture(part) }];
    case 'reasoning': {
      const signature = part.signature === null ? unsigned : seal(part.signature, 'anthropic');
      return [{ type: 'thinking', thinking: part.text, signature }];
    }
    case 'redacted':
      return [{ type: 'redacted_thinking', data: seal(part.data, 'anthropic') }];
    case 'tool_call':
      return [
        ...writeSignature(part.signature),
        { type: 'tool_use', id: part.id, name: part.name, input: readInput(part) },
      ];
  }
}

/** Calls have no field for a signature: it precedes the call as redacted thinking, which clients must send back. */
export const writeSignature = (signature: Signature | null): Json[] =>
  signature === null ? [] : [{ type: 'redacted_thinking', data: seal(signature, 'anthropic') }];

const errorTypes: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

/** Writes a provider's error. */
export function writeError({ status, message }: ProviderError, requestId: string): Json {
  const type = errorTypes[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error');
  return { type: 'error', error: { type, message }, request_id: requestId };
}
