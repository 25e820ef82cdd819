/** Cohere's replies: whole ones, and what they share with streams. https://docs.cohere.com/v2/reference/chat */

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
import type { ChatReply, ChatUsage, FinishReason, ReplyPart } from '../chat.ts';

const reasons: Readonly<Record<string, FinishReason>> = {
  COMPLETE: 'stop',
  STOP_SEQUENCE: 'stop_sequence',
  MAX_TOKENS: 'length',
  TOOL_CALL: 'tool_calls',
  ERROR_TOXIC: 'content_filter',
};

export const readReason = (reason: unknown): FinishReason =>
  entryOf(reasons, textOf(reason) ?? '') ?? 'other';

/** Generation that failed or ran out of time ends with a success's status and one of these. */
export const hasFailed = (reason: unknown): boolean => reason === 'ERROR' || reason === 'TIMEOUT';

/** What is billed counts; `tokens` has the provider's own preamble too. Null: neither is said. */
export function readUsage(value: unknown): ChatUsage | null {
  const usage = objectOf(value);
  const { billed_units: billed, tokens } = usage;
  if (!isObject(billed) && !isObject(tokens)) return null;
  const count = (name: string): number => countOf(numberOf(objectOf(billed)[name]) ?? objectOf(tokens)[name]);
  const inputTokens = count('input_tokens');
  // Of what is cached the preamble comes first.
  const preamble = Math.max(0, countOf(objectOf(tokens).input_tokens) - inputTokens);
  return {
    inputTokens,
    cachedInputTokens: Math.min(inputTokens, Math.max(0, countOf(usage.cached_tokens) - preamble)),
    cacheWriteTokens: 0,
    outputTokens: count('output_tokens'),
    reasoningTokens: 0,
  };
}

export function readReply(body: Json): ChatReply | null {
  if (!isObject(body.message) || hasFailed(body.finish_reason)) return null;
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
  const say = (text: unknown): void => {
    if (typeof text === 'string' && text !== '') parts.push({ kind: 'text', text, cache: null });
  };
  if (typeof message.content === 'string') say(message.content);
  for (const { type, text, thinking } of listOf(message.content)) {
    if (type !== 'thinking') say(text);
    else if (typeof thinking === 'string' && thinking !== '')
      parts.push({ kind: 'reasoning', text: thinking, signature: null });
  }
  // The model's words before its calls.
  say(message.tool_plan);
  for (const call of listOf(message.tool_calls)) {
    const { name, arguments: args } = objectOf(call.function);
    if (typeof name !== 'string') continue;
    const said = { id: textOf(call.id) ?? '', name, arguments: textOf(args) ?? '' };
    parts.push({ kind: 'tool_call', ...said, cache: null, signature: null, at: '' });
  }
  return parts;
}
