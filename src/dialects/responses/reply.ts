/** Whole replies of the Responses API. */

import { countOf, isObject, type Json, listOf, objectOf, textOf } from '../../base/json.ts';
import type { RedactedPart, Signature } from '../chat.ts';
import type {
  ChatEvent,
  ChatReply,
  ChatUsage,
  FinishReason,
  ReplyContext,
  ReplyPart,
  UrlCitation,
} from '../chat-reply.ts';
import { readAnnotations, writeAnnotation } from '../citations.ts';
import { unsigned } from '../foreign.ts';
import { readDataUrl, writeDataUrl } from '../openai/data-url.ts';
import { pricingOf } from '../pricing.ts';
import { customArguments, customInput } from '../tool-kinds.ts';
import { echoOf } from './echo.ts';
import { readReasoning, writeEncrypted, writeHidden } from './reasoning.ts';

/** The neutral finish reason of a response. */
function readFinish(response: Json): FinishReason {
  if (response.status === 'completed') return 'stop';
  const { reason } = objectOf(response.incomplete_details);
  if (reason === 'content_filter') return 'content_filter';
  // Incomplete for an unknown reason: treated as cut, since it must not be taken for complete.
  if (response.status === 'incomplete') return 'length';
  return response.status === 'failed' || response.status === 'cancelled' ? 'failed' : 'other';
}

/** Reads usage. @param service the reply's `service_tier` */
export function readUsage(usage: Json, service: unknown): ChatUsage {
  const details = objectOf(usage.input_tokens_details);
  return {
    inputTokens: countOf(usage.input_tokens),
    cachedInputTokens: countOf(details.cached_tokens),
    cacheWriteTokens: countOf(details.cache_write_tokens),
    outputTokens: countOf(usage.output_tokens),
    reasoningTokens: countOf(objectOf(usage.output_tokens_details).reasoning_tokens),
    ...pricingOf(0, service, usage.cost),
  };
}

function writeUsage(usage: ChatUsage): Json {
  return {
    input_tokens: usage.inputTokens,
    input_tokens_details: {
      cached_tokens: usage.cachedInputTokens,
      cache_write_tokens: usage.cacheWriteTokens,
    },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.inputTokens + usage.outputTokens,
  };
}

/** Calls of the provider's own tools that only read. */
const reads: readonly unknown[] = ['web_search_call', 'file_search_call'];

/** Whether tools of the provider may have done something, such as a server of MCP that was told to. */
const actedIn = ({ output }: Json): { acted?: true } =>
  listOf(output).some(({ type }) => /_call$/.test(textOf(type) ?? '') && !reads.includes(type))
    ? { acted: true }
    : {};

/** The end of a stream, from its last event. */
export const finishOf = (response: Json): ChatEvent => ({
  kind: 'finish',
  reason: readFinish(response),
  stopSequence: null,
  ...actedIn(response),
});

/** Reads a whole response; null: it is invalid. */
export function readReply(body: Json): ChatReply | null {
  if (!Array.isArray(body.output)) return null;
  return {
    id: textOf(body.id) ?? '',
    model: textOf(body.model) ?? '',
    parts: listOf(body.output).flatMap(readItem),
    finish: readFinish(body),
    ...actedIn(body),
    stopSequence: null,
    usage: isObject(body.usage) ? readUsage(body.usage, body.service_tier) : null,
    // Asked for in the background: the answer is fetched later.
    ...(body.status === 'queued' || body.status === 'in_progress' ? { promised: true } : {}),
  };
}

const textWith = (text: string, citations: readonly UrlCitation[]): ReplyPart => ({
  kind: 'text',
  text,
  cache: null,
  ...(citations.length === 0 ? {} : { citations }),
});

/** Reads an output item; unknown kinds are ignored. */
export function readItem(item: Json): ReplyPart[] {
  switch (item.type) {
    case 'message':
      return listOf(item.content).flatMap((part): ReplyPart[] => {
        if (part.type === 'output_text')
          return [textWith(textOf(part.text) ?? '', readAnnotations(part.annotations))];
        return part.type === 'refusal' ? [{ kind: 'refusal', text: textOf(part.refusal) ?? '' }] : [];
      });
    case 'image_generation_call': {
      const type = `image/${textOf(item.output_format) ?? 'png'}`;
      return typeof item.result === 'string'
        ? [{ kind: 'picture', url: writeDataUrl(type, item.result) }]
        : [];
    }
    case 'reasoning':
      return readReasoning(item);
    case 'function_call':
    case 'custom_tool_call':
      return [
        {
          kind: 'tool_call',
          id: textOf(item.call_id) ?? '',
          name: textOf(item.name) ?? '',
          arguments:
            item.type === 'custom_tool_call'
              ? customArguments(textOf(item.input) ?? '')
              : (textOf(item.arguments) ?? ''),
          cache: null,
          signature: null,
          at: '',
        },
      ];
    default:
      return [];
  }
}

/** Writes a part as an output item. @param number its position among the items, part of its id */
export function writeItem(part: ReplyPart, number: number, context: ReplyContext): Json {
  const { requestId, origins } = context;
  const id = (prefix: string): string => `${prefix}_${requestId}_${number}`;
  const status = 'completed';
  switch (part.kind) {
    case 'text': {
      const annotations = (part.citations ?? []).map(writeAnnotation);
      const content = [{ type: 'output_text', text: part.text, annotations, logprobs: [] }];
      return { id: id('msg'), type: 'message', status, role: 'assistant', content };
    }
    case 'picture': {
      const read = readDataUrl(part.url);
      // A picture by its URL has no place among the items: it is linked.
      if (read === null) return writeItem({ kind: 'text', text: part.url, cache: null }, number, context);
      const format = read.mediaType.replace(/^image\//, '');
      return {
        id: id('ig'),
        type: 'image_generation_call',
        status,
        output_format: format,
        result: read.data,
      };
    }
    case 'refusal': {
      const content = [{ type: 'refusal', refusal: part.text }];
      return { id: id('msg'), type: 'message', status, role: 'assistant', content };
    }
    case 'reasoning': {
      const summary = part.text === '' ? [] : [{ type: 'summary_text', text: part.text }];
      const encrypted = part.signature === null ? unsigned : writeEncrypted(part.signature);
      return { id: id('rs'), type: 'reasoning', summary, encrypted_content: encrypted };
    }
    case 'redacted':
      return { id: id('rs'), type: 'reasoning', summary: [], encrypted_content: writeHidden(part.data) };
    case 'tool_call': {
      const { id: callId, arguments: text } = part;
      const plain = { name: part.name, namespace: null, custom: false };
      const { name, namespace, custom } = origins?.get(part.name) ?? plain;
      const within = namespace === null ? {} : { namespace };
      if (!custom)
        return {
          id: id('fc'),
          type: 'function_call',
          status,
          call_id: callId,
          name,
          ...within,
          arguments: text,
        };
      const input = customInput(text);
      return { id: id('ctc'), type: 'custom_tool_call', status, call_id: callId, name, ...within, input };
    }
  }
}

/** A response without its items. */
export interface ResponseHead {
  readonly id: string;
  readonly model: string;
  /** Null: it is still in progress. */
  readonly finish: FinishReason | null;
  readonly usage: ChatUsage | null;
}

const incomplete: Readonly<Partial<Record<FinishReason, string>>> = {
  length: 'max_output_tokens',
  content_filter: 'content_filter',
  refusal: 'content_filter',
};

/** Whether a response with this finish reason is `response.completed`; otherwise it is `response.incomplete`. */
export const isComplete = (finish: FinishReason): boolean => incomplete[finish] === undefined;

const unasked = echoOf({}, 0);

/** Writes a response with its items. */
export function writeResponse(head: ResponseHead, output: readonly Json[], context: ReplyContext): Json {
  const reason = head.finish === null ? undefined : incomplete[head.finish];
  const status = head.finish === null ? 'in_progress' : reason === undefined ? 'completed' : 'incomplete';
  return {
    id: head.id === '' ? `resp_${context.requestId}` : head.id,
    object: 'response',
    created_at: context.createdS,
    status,
    error: null,
    incomplete_details: reason === undefined ? null : { reason },
    completed_at: status === 'completed' ? context.createdS : null,
    model: head.model === '' ? context.model : head.model,
    output,
    ...(context.echo ?? unasked),
    usage: head.usage === null ? null : writeUsage(head.usage),
  };
}

/** Calls have no field for a signature: it precedes the call as encrypted reasoning, which clients send back. */
export const proofOf = (signature: Signature | null): RedactedPart[] =>
  signature === null ? [] : [{ kind: 'redacted', data: signature }];

/** Writes a whole response. */
export const writeReply = (reply: ChatReply, context: ReplyContext): Json =>
  writeResponse(
    reply,
    reply.parts
      .flatMap((part): ReplyPart[] =>
        part.kind === 'tool_call' ? [...proofOf(part.signature), part] : [part],
      )
      .map((part, index) => writeItem(part, index, context)),
    context,
  );
