/** OpenAI's replies and errors: whole chat completions. */

import { countOf, entryOf, isObject, type Json, listOf, objectOf, textOf } from '../../base/json.ts';
import { makeCallId } from '../call-id.ts';
import type {
  ChatReply,
  ChatUsage,
  FinishReason,
  PicturePart,
  ProviderError,
  ReplyContext,
  ReplyPart,
  UrlCitation,
} from '../chat-reply.ts';
import { readAnnotations, readFound, writeChatAnnotation } from '../citations.ts';
import { mediaOf, pricingOf } from '../pricing.ts';
import { customArguments, customInput } from '../tool-kinds.ts';
import { readContent, readDetails, readExtra, writeDetail, writeExtra } from './reasoning.ts';

const reasons: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
  // Mistral's name for a full context.
  model_length: 'length',
  // OpenRouter and Mistral; vLLM; DeepSeek.
  error: 'failed',
  abort: 'failed',
  insufficient_system_resource: 'failed',
};

/** The neutral finish reason; unknown ones are `other`. */
export const readReason = (reason: unknown): FinishReason =>
  entryOf(reasons, textOf(reason) ?? '') ?? 'other';

const written: Readonly<Record<FinishReason, string>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
  content_filter: 'content_filter',
  refusal: 'content_filter',
  other: 'stop',
  failed: 'error',
};

/** The `finish_reason` for a neutral finish reason. */
export const writeReason = (reason: FinishReason): string => written[reason];

/** Reads usage. @param service the reply's `service_tier` */
export function readUsage(usage: Json, service: unknown): ChatUsage {
  const details = objectOf(usage.prompt_tokens_details);
  const inputTokens = countOf(usage.prompt_tokens);
  const outputTokens = countOf(usage.completion_tokens);
  const spent = objectOf(usage.completion_tokens_details);
  const reasoningTokens = countOf(spent.reasoning_tokens);
  // xAI counts reasoning separately from the completion, which only the total reveals.
  const separate = countOf(usage.total_tokens) === inputTokens + outputTokens + reasoningTokens;
  return {
    inputTokens,
    // Moonshot puts it one level higher.
    cachedInputTokens: countOf(details.cached_tokens ?? usage.cached_tokens),
    cacheWriteTokens: countOf(details.cache_write_tokens),
    outputTokens: separate ? outputTokens + reasoningTokens : outputTokens,
    reasoningTokens,
    ...pricingOf(0, service, usage.cost),
    ...mediaOf(countOf(details.audio_tokens), countOf(spent.audio_tokens), true),
  };
}

/** Writes usage. */
export function writeUsage(usage: ChatUsage | null): Json {
  const { inputTokens = 0, outputTokens = 0, cachedInputTokens = 0, cacheWriteTokens = 0 } = usage ?? {};
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cachedInputTokens, cache_write_tokens: cacheWriteTokens },
    completion_tokens_details: { reasoning_tokens: usage?.reasoningTokens ?? 0 },
  };
}

/** Reads a whole reply; null: it is invalid. */
export function readReply(body: Json): ChatReply | null {
  const [choice] = listOf(body.choices);
  if (choice === undefined || !isObject(choice.message)) return null;
  return {
    id: textOf(body.id) ?? '',
    model: textOf(body.model) ?? '',
    parts: readMessage(choice.message, textOf(body.id) ?? '', readFound(body)),
    finish: isObject(choice.error) ? 'failed' : readReason(choice.finish_reason),
    stopSequence: null,
    usage: isObject(body.usage) ? readUsage(body.usage, body.service_tier) : null,
  };
}

/** The pictures in a message or in a piece of one, as OpenRouter gives them. */
export const readPictures = ({ images }: Json): PicturePart[] =>
  listOf(images).flatMap(({ image_url: image }): PicturePart[] => {
    const url = textOf(objectOf(image).url) ?? '';
    return url === '' ? [] : [{ kind: 'picture', url }];
  });

/** Writes a picture as OpenRouter gives it. */
export const writePicture = ({ url }: PicturePart, index: number): Json => ({
  type: 'image_url',
  image_url: { url },
  index,
});

function readMessage(message: Json, replyId: string, found: readonly UrlCitation[]): ReplyPart[] {
  const parts: ReplyPart[] = readDetails(message);
  const { content } = message;
  const read =
    typeof content === 'string' ? [{ kind: 'text', text: content } as const] : readContent(content);
  for (const { kind, text } of read) {
    if (text === '') continue;
    parts.push(kind === 'text' ? { kind, text, cache: null } : { kind, text, signature: null });
  }
  const citations = [...readAnnotations(message.annotations), ...found];
  const cited = parts.findLastIndex(({ kind }) => kind === 'text');
  const text = parts[cited];
  if (text?.kind === 'text' && citations.length > 0) parts[cited] = { ...text, citations };
  for (const picture of readPictures(message)) parts.push(picture);
  const refusal = textOf(message.refusal) ?? '';
  if (refusal !== '') parts.push({ kind: 'refusal', text: refusal });
  for (const call of listOf(message.tool_calls)) {
    const { name, arguments: given } = calledOf(call);
    if (typeof name !== 'string') continue;
    const id = textOf(call.id) ?? '';
    parts.push({
      kind: 'tool_call',
      id: id === '' ? makeCallId(`${replyId}.${parts.length}`, name, '') : id,
      name,
      arguments: textOf(given) ?? '',
      cache: null,
      signature: readExtra(call),
      at: '',
    });
  }
  return parts;
}

/** What a call calls: a custom tool's input is that of a function with one text. */
function calledOf(call: Json): Json {
  const { custom } = call;
  if (!isObject(custom)) return objectOf(call.function);
  return { name: custom.name, arguments: customArguments(textOf(custom.input) ?? '') };
}

/** Writes a whole reply. */
export function writeReply(reply: ChatReply, { model, requestId, createdS, origins }: ReplyContext): Json {
  return {
    id: reply.id === '' ? requestId : reply.id,
    object: 'chat.completion',
    created: createdS,
    model: reply.model === '' ? model : reply.model,
    choices: [
      {
        index: 0,
        message: writeMessage(reply.parts, origins),
        logprobs: null,
        finish_reason: writeReason(reply.finish),
      },
    ],
    usage: writeUsage(reply.usage),
  };
}

function writeMessage(parts: readonly ReplyPart[], origins: ReplyContext['origins']): Json {
  let content: string | null = null;
  let refusal: string | null = null;
  let reasoning = '';
  const details: Json[] = [];
  const calls: Json[] = [];
  const images: Json[] = [];
  const annotations: Json[] = [];
  for (const part of parts) {
    if (part.kind === 'text') {
      const offset = content?.length ?? 0;
      for (const one of part.citations ?? []) annotations.push(writeChatAnnotation(one, offset));
      content = (content ?? '') + part.text;
    } else if (part.kind === 'picture') images.push(writePicture(part, images.length));
    else if (part.kind === 'refusal') refusal = (refusal ?? '') + part.text;
    else if (part.kind === 'tool_call')
      calls.push({
        id: part.id,
        ...writeOwnCalled(part.name, part.arguments, origins),
        ...writeExtra(part.signature),
      });
    else {
      if (part.kind === 'reasoning') reasoning += part.text;
      const detail = writeDetail(part, details.length);
      if (detail !== null) details.push(detail);
    }
  }
  const message: Json = { role: 'assistant', content, refusal };
  if (annotations.length > 0) message.annotations = annotations;
  if (images.length > 0) message.images = images;
  if (reasoning !== '') message.reasoning_content = reasoning;
  if (details.length > 0) message.reasoning_details = details;
  if (calls.length > 0) message.tool_calls = calls;
  return message;
}

/** The members of a call that depend on what the tool is for the client. */
export function writeOwnCalled(name: string, args: string, origins: ReplyContext['origins']): Json {
  const origin = origins?.get(name);
  const custom = origin?.custom === true;
  return writeCalled(custom ? origin.name : name, args, custom);
}

/** The members of a call of a function or a custom tool. */
export const writeCalled = (name: string, args: string, custom: boolean): Json =>
  custom
    ? { type: 'custom', custom: { name, input: customInput(args) } }
    : { type: 'function', function: { name, arguments: args } };

const errorTypes: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  429: 'rate_limit_error',
};

/** Writes a provider's error. */
export function writeError({ status, message, code }: ProviderError, requestId: string): Json {
  const type = errorTypes[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error');
  return { error: { message, type, param: null, code, request_id: requestId } };
}
