/** Reads Converse's replies. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */

import { countOf, entryOf, isObject, type Json, listOf, objectOf, textOf } from '../../base/json.ts';
import type { Signature } from '../chat.ts';
import type { ChatReply, ChatUsage, FinishReason, ReplyPart } from '../chat-reply.ts';
import { pricingOf } from '../pricing.ts';

const reasons: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop_sequence',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  content_filtered: 'content_filter',
  guardrail_intervened: 'content_filter',
  refusal: 'refusal',
  malformed_tool_use: 'failed',
  malformed_model_output: 'failed',
};

/** The neutral finish reason; unknown ones are `other`. */
export const readReason = (reason: unknown): FinishReason =>
  entryOf(reasons, textOf(reason) ?? '') ?? 'other';

/** The stop sequence that ended the reply; sent only if the request asked for it. */
export const readStopSequence = (holder: Json): string | null =>
  textOf(objectOf(holder.additionalModelResponseFields).stop_sequence);

/** Reads usage; Bedrock's `inputTokens` excludes cached tokens. */
export function readUsage(usage: Json): ChatUsage {
  const cachedInputTokens = countOf(usage.cacheReadInputTokens);
  const cacheWriteTokens = countOf(usage.cacheWriteInputTokens);
  const forHour = listOf(usage.cacheDetails).find(({ ttl }) => ttl === '1h');
  return {
    inputTokens: countOf(usage.inputTokens) + cachedInputTokens + cacheWriteTokens,
    cachedInputTokens,
    cacheWriteTokens,
    outputTokens: countOf(usage.outputTokens),
    reasoningTokens: 0,
    ...pricingOf(countOf(forHour?.inputTokens), undefined),
  };
}

/** A signature of Bedrock; null: there is none. */
export const signed = (value: unknown): Signature | null => {
  const text = textOf(value) ?? '';
  return text === '' ? null : { by: 'bedrock', value: text };
};

/** Reads a whole reply; null: it is invalid. */
export function readReply(body: Json): ChatReply | null {
  const { message } = objectOf(body.output);
  if (!isObject(message) || typeof body.stopReason !== 'string') return null;
  return {
    id: '',
    model: '',
    parts: listOf(message.content).flatMap(readBlock),
    finish: readReason(body.stopReason),
    stopSequence: readStopSequence(body),
    usage: isObject(body.usage) ? readUsage(body.usage) : null,
  };
}

/** Unknown blocks are ignored. */
function readBlock(block: Json): ReplyPart[] {
  const text = textOf(block.text);
  if (text !== null) return text === '' ? [] : [{ kind: 'text', text, cache: null }];
  if (isObject(block.toolUse)) return [readCall(block.toolUse)];
  if (isObject(block.reasoningContent)) return readReasoning(block.reasoningContent);
  // Text with citations is wrapped in a separate kind of block.
  return listOf(objectOf(block.citationsContent).content).flatMap(readBlock);
}

function readCall({ toolUseId, name, input }: Json): ReplyPart {
  return {
    kind: 'tool_call',
    id: textOf(toolUseId) ?? '',
    name: textOf(name) ?? '',
    arguments: JSON.stringify(input ?? {}),
    cache: null,
    signature: null,
    at: '',
  };
}

function readReasoning({ reasoningText, redactedContent }: Json): ReplyPart[] {
  if (isObject(reasoningText)) {
    const { text, signature } = reasoningText;
    return [{ kind: 'reasoning', text: textOf(text) ?? '', signature: signed(signature) }];
  }
  const data = signed(redactedContent);
  return data === null ? [] : [{ kind: 'redacted', data }];
}
