/** Gemini's whole replies, and what they share with streams. https://ai.google.dev/api/generate-content */

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
import type { Service } from '../../native/reply.ts';
import { makeCallId, ownCallId } from '../call-id.ts';
import type { ToolCallPart } from '../chat.ts';
import type {
  ChatReply,
  ChatUsage,
  FinishReason,
  PicturePart,
  ReplyContext,
  ReplyPart,
} from '../chat-reply.ts';
import { writeGrounding } from '../citations.ts';
import { readDataUrl, writeDataUrl } from '../openai/data-url.ts';
import { mediaOf, pricingOf } from '../pricing.ts';
import { readSignature, writeCallSignature, writeRedacted, writeSignature } from './signature.ts';

const reasons: Readonly<Record<string, FinishReason>> = {
  STOP: 'stop',
  MAX_TOKENS: 'length',
  SAFETY: 'content_filter',
  RECITATION: 'content_filter',
  BLOCKLIST: 'content_filter',
  PROHIBITED_CONTENT: 'content_filter',
  SPII: 'content_filter',
  IMAGE_SAFETY: 'content_filter',
  IMAGE_PROHIBITED_CONTENT: 'content_filter',
  IMAGE_RECITATION: 'content_filter',
  MALFORMED_FUNCTION_CALL: 'failed',
  UNEXPECTED_TOOL_CALL: 'failed',
  TOO_MANY_TOOL_CALLS: 'failed',
  MALFORMED_RESPONSE: 'failed',
  MISSING_THOUGHT_SIGNATURE: 'failed',
};

/** The neutral finish reason; unknown ones are `other`. */
export const readReason = (reason: unknown): FinishReason =>
  entryOf(reasons, textOf(reason) ?? '') ?? 'other';

const written: Readonly<Record<FinishReason, string>> = {
  stop: 'STOP',
  stop_sequence: 'STOP',
  length: 'MAX_TOKENS',
  tool_calls: 'STOP',
  content_filter: 'SAFETY',
  refusal: 'SAFETY',
  other: 'OTHER',
  failed: 'OTHER',
};

/** The `finishReason` for a neutral finish reason. */
export const writeReason = (reason: FinishReason): string => written[reason];

/** Reads usage; Gemini counts thoughts separately from the answer, and input of its own tools from the prompt. */
export function readUsage(usage: Json): ChatUsage {
  const reasoningTokens = countOf(usage.thoughtsTokenCount);
  return {
    inputTokens: countOf(usage.promptTokenCount) + countOf(usage.toolUsePromptTokenCount),
    cachedInputTokens: countOf(usage.cachedContentTokenCount),
    cacheWriteTokens: 0,
    outputTokens: countOf(usage.candidatesTokenCount) + reasoningTokens,
    reasoningTokens,
    ...pricingOf(0, usage.serviceTier ?? entryOf(traffic, textOf(usage.trafficType) ?? '')),
    ...mediaOf(
      tokensOf(usage.promptTokensDetails, heard),
      tokensOf(usage.candidatesTokensDetails, made),
      false,
    ),
  };
}

/** What has another price than text, in prompts and in answers. */
const heard: readonly unknown[] = ['AUDIO'];
const made: readonly unknown[] = ['AUDIO', 'IMAGE'];

const tokensOf = (details: unknown, kinds: readonly unknown[]): number =>
  listOf(details)
    .filter(({ modality }) => kinds.includes(modality))
    .reduce((sum, { tokenCount }) => sum + countOf(tokenCount), 0);

/** Vertex's words for classes of service with a price of their own. */
const traffic: Readonly<Record<string, Service>> = { ON_DEMAND_FLEX: 'flex', ON_DEMAND_PRIORITY: 'priority' };

/** Writes usage; thoughts are counted separately from the answer. */
export function writeUsage(usage: ChatUsage | null): Json {
  const { inputTokens = 0, outputTokens = 0, cachedInputTokens = 0, reasoningTokens = 0 } = usage ?? {};
  return {
    promptTokenCount: inputTokens,
    candidatesTokenCount: Math.max(0, outputTokens - reasoningTokens),
    totalTokenCount: inputTokens + outputTokens,
    ...(cachedInputTokens > 0 ? { cachedContentTokenCount: cachedInputTokens } : {}),
    ...(reasoningTokens > 0 ? { thoughtsTokenCount: reasoningTokens } : {}),
  };
}

/** Whether the prompt was refused, in which case there are no candidates. */
export const isBlocked = (body: Json): boolean =>
  (textOf(objectOf(body.promptFeedback).blockReason) ?? '') !== '';

/** Reads a whole reply; null: it is invalid. */
export function readReply(body: Json): ChatReply | null {
  const [candidate] = listOf(body.candidates);
  const blocked = isBlocked(body);
  if (candidate === undefined && !blocked) return null;
  const id = textOf(body.responseId) ?? '';
  const parts = listOf(objectOf(candidate?.content).parts);
  return {
    id,
    model: textOf(body.modelVersion) ?? '',
    parts: parts.flatMap((part, index) => readPart(part, `${id}.${index}`)),
    finish: candidate === undefined ? 'content_filter' : readReason(candidate.finishReason),
    stopSequence: null,
    usage: isObject(body.usageMetadata) ? readUsage(body.usageMetadata) : null,
  };
}

/** Reads a part of a reply. @param place distinguishes a call without an id from all others */
export function readPart(part: Json, place: string): ReplyPart[] {
  const signature = readSignature(part);
  if (isObject(part.functionCall)) return [{ ...readCall(part.functionCall, place), signature }];
  const { mimeType, data } = objectOf(part.inlineData ?? part.inline_data);
  // Drafts of a picture are part of its thoughts.
  if (typeof data === 'string' && part.thought !== true)
    return [{ kind: 'picture', url: writeDataUrl(textOf(mimeType) ?? 'image/png', data) }];
  const text = textOf(part.text);
  if (text === null) return [];
  if (part.thought === true) return [{ kind: 'reasoning', text, signature }];
  const read: ReplyPart[] = text === '' ? [] : [{ kind: 'text', text, cache: null }];
  // Text has no signature in the neutral form: it follows as a separate part.
  if (signature !== null) read.push({ kind: 'redacted', data: signature });
  return read;
}

/** Reads a call. @param place distinguishes a call without an id from all others */
export function readCall(call: Json, place: string): ToolCallPart {
  const name = textOf(call.name) ?? '';
  const args = JSON.stringify(isObject(call.args) ? call.args : {});
  const given = textOf(call.id) ?? '';
  const id = given === '' ? makeCallId(place, name, args) : given;
  return { kind: 'tool_call', id, name, arguments: args, cache: null, signature: null, at: '' };
}

/** Writes a whole reply. */
export function writeReply(reply: ChatReply, { model, requestId }: ReplyContext): Json {
  const refused = reply.parts.some(({ kind }) => kind === 'refusal');
  const grounding = writeGrounding(
    reply.parts.flatMap((part) => (part.kind === 'text' ? (part.citations ?? []) : [])),
  );
  return {
    candidates: [
      {
        content: { parts: reply.parts.flatMap(writePart), role: 'model' },
        finishReason: writeReason(refused ? 'refusal' : reply.finish),
        ...(grounding === null ? {} : { groundingMetadata: grounding }),
        index: 0,
      },
    ],
    usageMetadata: writeUsage(reply.usage),
    modelVersion: reply.model === '' ? model : reply.model,
    responseId: reply.id === '' ? requestId : reply.id,
  };
}

/** Writes a picture: its bytes, or where it is. */
export function writePicture({ url }: PicturePart): Json {
  const read = readDataUrl(url);
  return read === null
    ? { fileData: { mimeType: 'image/png', fileUri: url } }
    : { inlineData: { mimeType: read.mediaType, data: read.data } };
}

function writePart(part: ReplyPart): Json[] {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return part.text === '' ? [] : [{ text: part.text }];
    case 'reasoning': {
      const { text, signature } = part;
      return [
        {
          text,
          thought: true,
          ...(signature === null ? {} : { thoughtSignature: writeSignature(signature) }),
        },
      ];
    }
    case 'picture':
      return [writePicture(part)];
    case 'redacted':
      return [writeRedacted(part)];
    case 'tool_call':
      return [writeCall(part)];
  }
}

/** Writes a call. Arguments that are invalid JSON become an empty object, in which the app misses required ones. */
export function writeCall({
  id,
  name,
  arguments: text,
  signature,
}: Pick<ToolCallPart, 'id' | 'name' | 'arguments' | 'signature'>): Json {
  const own = ownCallId(id);
  return {
    functionCall: { ...(own === null ? {} : { id: own }), name, args: parseObject(text) ?? {} },
    thoughtSignature: writeCallSignature(signature),
  };
}
