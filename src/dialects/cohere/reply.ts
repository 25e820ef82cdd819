/** Reads Cohere's whole replies, and what they share with streams. https://docs.cohere.com/v2/reference/chat */

import {
  countOf,
  entryOf,
  isObject,
  type Json,
  listOf,
  numberOf,
  objectOf,
  textOf,
} from '../../base/json.ts';
import type { ChatReply, ChatUsage, FinishReason, ReplyPart } from '../chat-reply.ts';

const reasons: Readonly<Record<string, FinishReason>> = {
  COMPLETE: 'stop',
  STOP_SEQUENCE: 'stop_sequence',
  MAX_TOKENS: 'length',
  TOOL_CALL: 'tool_calls',
  ERROR_TOXIC: 'content_filter',
  ERROR_LIMIT: 'length',
  // Reported with status 200.
  ERROR: 'failed',
  TIMEOUT: 'failed',
};

/** The neutral finish reason; unknown ones are `other`. */
export const readReason = (reason: unknown): FinishReason =>
  entryOf(reasons, textOf(reason) ?? '') ?? 'other';

/** Reads billed tokens; `tokens` includes the provider's preamble too. Null: neither is stated. */
export function readUsage(value: unknown): ChatUsage | null {
  const usage = objectOf(value);
  const { billed_units: billed, tokens } = usage;
  if (!isObject(billed) && !isObject(tokens)) return null;
  const count = (name: string): number => countOf(numberOf(objectOf(billed)[name]) ?? objectOf(tokens)[name]);
  const inputTokens = count('input_tokens');
  // Cached tokens start with the preamble.
  const preamble = Math.max(0, countOf(objectOf(tokens).input_tokens) - inputTokens);
  return {
    inputTokens,
    cachedInputTokens: Math.min(inputTokens, Math.max(0, countOf(usage.cached_tokens) - preamble)),
    cacheWriteTokens: 0,
    outputTokens: count('output_tokens'),
    reasoningTokens: 0,
  };
}

/** Reads a whole reply; null: it is invalid. */
export function readReply(body: Json): ChatReply | null {
  if (!isObject(body.message)) return null;
  return {
    id: textOf(body.id) ?? '',
    model: '',
    parts: readMessage(body.message),
    finish: readReason(body.finish_reason),
    stopSequence: null,
    usage: readUsage(body.usage),
  };
}

function readMessage(message: Json): ReplyPart[] {
  const parts: ReplyPart[] = [];
  const addText = (text: unknown): void => {
    if (typeof text === 'string' && text !== '') parts.push({ kind: 'text', text, cache: null });
  };
  if (typeof message.content === 'string') addText(message.content);
  for (const { type, text, thinking } of listOf(message.content)) {
    if (type !== 'thinking') addText(text);
    else if (typeof thinking === 'string' && thinking !== '')
      parts.push({ kind: 'reasoning', text: thinking, signature: null });
  }
  // Text that precedes the calls.
  addText(message.tool_plan);
  for (const call of listOf(message.tool_calls)) {
    const { name, arguments: args } = objectOf(call.function);
    if (typeof name !== 'string') continue;
    const read = { id: textOf(call.id) ?? '', name, arguments: textOf(args) ?? '' };
    parts.push({ kind: 'tool_call', ...read, cache: null, signature: null, at: '' });
  }
  return parts;
}
