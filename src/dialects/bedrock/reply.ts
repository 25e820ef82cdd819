/** Reads Converse's replies. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */

import { countOf, entryOf, isObject, type Json, listOf, objectOf, textOf } from '../../base/json.ts';
import type { ChatReply, ChatUsage, FinishReason, ReplyPart, Signature } from '../chat.ts';

const reasons: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop_sequence',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  content_filtered: 'content_filter',
  guardrail_intervened: 'content_filter',
  refusal: 'refusal',
};

/** Reasons nobody knows, and calls that went wrong (`malformed_tool_use`), are `other`. */
export const readReason = (reason: unknown): FinishReason =>
  entryOf(reasons, textOf(reason) ?? '') ?? 'other';

/** Told where it was asked for. */
export const readStopSequence = (holder: Json): string | null =>
  textOf(objectOf(holder.additionalModelResponseFields).stop_sequence);

/** What was read from the cache and written to it is counted apart from the prompt. */
export function readUsage(usage: Json): ChatUsage {
  const cachedInputTokens = countOf(usage.cacheReadInputTokens);
  const cacheWriteTokens = countOf(usage.cacheWriteInputTokens);
  return {
    inputTokens: countOf(usage.inputTokens) + cachedInputTokens + cacheWriteTokens,
    cachedInputTokens,
    cacheWriteTokens,
    outputTokens: countOf(usage.outputTokens),
    reasoningTokens: 0,
  };
}

export const signed = (value: unknown): Signature | null => {
  const text = textOf(value) ?? '';
  return text === '' ? null : { by: 'bedrock', value: text };
};

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

/** Blocks of kinds nobody knows say nothing. */
function readBlock(block: Json): ReplyPart[] {
  const text = textOf(block.text);
  if (text !== null) return text === '' ? [] : [{ kind: 'text', text, cache: null }];
  if (isObject(block.toolUse)) return [readCall(block.toolUse)];
  if (isObject(block.reasoningContent)) return readReasoning(block.reasoningContent);
  // Text with its sources stands in a block of its own.
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
