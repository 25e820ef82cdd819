/** Writes a request for an Anthropic provider. https://docs.anthropic.com/en/api/messages */

import { type Json, parseObject, withoutNulls } from '../../base/json.ts';
import { plainCallId } from '../call-id.ts';
import {
  type CacheMark,
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  type ImagePart,
  type Notes,
  noteDetail,
  noteDropped,
  noteInvalid,
  noteUnsupported,
  type Part,
  systemTexts,
  type TextPart,
  type Tool,
} from '../chat.ts';
import { pictureType } from '../picture-type.ts';
import type { ChatCall, Destination } from '../wire.ts';
import { takesBoth } from './models.ts';
import { createSchemaWriter, type SchemaWriter } from './schema.ts';
import { writeThinking } from './thinking.ts';

/** The dialect requires a limit. Every model accepts this one; used if neither client nor catalogue has one. */
const defaultMaxTokens = 4096;

/** Writes a request from the neutral form. */
export function writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const { names } = request;
  for (const field of ['frequencyPenalty', 'presencePenalty', 'seed', 'metadata'] as const) {
    if (request[field] !== null) noteDropped(notes, names[field]);
  }
  const maxTokens = request.maxTokens ?? to.outputMaxTokens ?? defaultMaxTokens;
  const messages = writeMessages(request.messages, notes);
  const { thinking, effort } = writeThinking(request, takesThought, maxTokens, to, notes);
  const schemas = createSchemaWriter(notes);
  const schema = schemas.answer(request);
  const format = schema === null ? null : { type: 'json_schema', schema };
  const system = systemTexts(request.messages, notes).flatMap(writeText);
  const config = withoutNulls({ effort, format });
  const body = withoutNulls({
    model: to.model,
    max_tokens: maxTokens,
    system: system.length === 0 ? null : system,
    messages,
    tools:
      request.tools.length === 0
        ? null
        : request.tools.map((tool, index) => writeTool(tool, `${names.tools}[${index}]`, schemas)),
    tool_choice: writeChoice(request),
    stop_sequences: writeStop(request, notes),
    ...writeSampling(request, thinking !== null && thinking.type !== 'disabled', to.served, notes),
    thinking,
    output_config: Object.keys(config).length === 0 ? null : config,
    metadata: request.user === null ? null : { user_id: request.user },
    stream: request.stream ? true : null,
  });
  return { path: '/messages', body, headers: ['anthropic-version', '2023-06-01'] };
}

/** Writes sampling parameters: a model that thinks accepts hardly any, and temperatures end at 1. */
export function writeSampling(
  { temperature, topP, topK, names }: ChatRequest,
  thinks: boolean,
  model: string,
  notes: Notes,
): Json {
  const sampling: Json = {};
  const put = (name: string, value: number | null, taken: boolean, client: string): void => {
    if (value === null) return;
    if (taken) sampling[name] = value;
    else noteDropped(notes, client);
  };
  put(
    'temperature',
    temperature,
    temperature === 1 || (!thinks && (temperature ?? 0) < 1),
    names.temperature,
  );
  const both = sampling.temperature !== undefined && !takesBoth(model);
  put('top_p', topP, !both && (!thinks || (topP ?? 0) >= 0.95), names.topP);
  put('top_k', topK, !thinks, names.topK);
  return sampling;
}

/** Stop sequences of only white space are refused. */
function writeStop({ stop, names }: ChatRequest, notes: Notes): readonly string[] | null {
  const shown = stop.filter((text) => text.trim() !== '');
  if (shown.length < stop.length) noteUnsupported(notes, names.stop);
  return shown.length === 0 ? null : shown;
}

/** Writes `tool_choice`, including whether calls may be parallel; null: left out. */
export function writeChoice({ toolChoice, parallelToolCalls, tools }: ChatRequest): Json | null {
  const serial = parallelToolCalls === null ? {} : { disable_parallel_tool_use: !parallelToolCalls };
  if (toolChoice === null)
    return parallelToolCalls === null || tools.length === 0 ? null : { type: 'auto', ...serial };
  if (toolChoice.kind === 'none') return { type: 'none' };
  if (toolChoice.kind === 'tool') return { type: 'tool', name: toolChoice.name, ...serial };
  return { type: toolChoice.kind === 'required' ? 'any' : 'auto', ...serial };
}

function writeTool(tool: Tool, at: string, schemas: SchemaWriter): Json {
  const { schema, strict } = schemas.input(tool, at);
  const { name, description, cache } = tool;
  const enforced = strict ? { strict } : {};
  return withoutNulls({ name, description, input_schema: schema, ...enforced, ...writeMark(cache) });
}

const writeMark = (cache: CacheMark | null): Json =>
  cache === null
    ? {}
    : {
        cache_control: withoutNulls({
          type: 'ephemeral',
          ttl: cache.ttlS === null ? null : cache.ttlS <= 300 ? '5m' : '1h',
        }),
      };

function writeMessages(messages: readonly ChatMessage[], notes: Notes): Json[] {
  const written: { readonly role: string; readonly content: Json[] }[] = [];
  /** Whether the last message consists of results only. */
  let results = false;
  for (const { role, parts } of messages) {
    if (role !== 'user' && role !== 'assistant') continue;
    const content = parts.flatMap((part) => writePart(part, notes));
    const last = written.at(-1);
    // All results of a turn must be in one message, even if the client sent them in several.
    if (last?.role === role && role === 'user' && results)
      for (const part of content) last.content.push(part);
    else if (content.length > 0) {
      written.push({ role, content });
      results = true;
    }
    results &&= content.every(isResult);
  }
  return written;
}

const isResult = ({ type }: Json): boolean => type === 'tool_result';

/** Empty texts are refused, so they are left out. */
function writeText({ text, cache }: TextPart): Json[] {
  if (text === '') return [];
  return [cache === null ? { type: 'text', text } : { type: 'text', text, ...writeMark(cache) }];
}

/** Claude's signatures are valid wherever it runs. */
export const isSignedByClaude = (by: string): boolean => by === 'anthropic' || by === 'bedrock';

/** Whether a thought can be given back. Unsigned ones are refused, and other providers' can't be verified here. */
function takesThought(part: Part): boolean {
  if (part.kind === 'reasoning') return part.signature !== null && isSignedByClaude(part.signature.by);
  // Bedrock encodes redacted thinking differently.
  return part.kind === 'redacted' && part.data.by === 'anthropic';
}

function writePart(part: Part, notes: Notes): Json[] {
  switch (part.kind) {
    case 'text':
      return writeText(part);
    case 'refusal':
      return part.text === '' ? [] : [{ type: 'text', text: part.text }];
    case 'image':
    case 'document':
      return writeAttachment(part, notes);
    case 'audio':
      noteUnsupported(notes, part.at);
      return [];
    case 'reasoning':
      return takesThought(part)
        ? [{ type: 'thinking', thinking: part.text, signature: part.signature?.value }]
        : [];
    case 'redacted':
      return takesThought(part) ? [{ type: 'redacted_thinking', data: part.data.value }] : [];
    case 'tool_call': {
      const input = part.arguments.trim() === '' ? {} : parseObject(part.arguments);
      if (input === null) noteInvalid(notes, part.at, 'must have arguments that are a JSON object');
      return [
        { type: 'tool_use', id: plainCallId(part.id), name: part.name, input, ...writeMark(part.cache) },
      ];
    }
    case 'tool_result': {
      const content = part.content.flatMap((inner) =>
        inner.kind === 'text' ? writeText(inner) : writeAttachment(inner, notes),
      );
      return [
        withoutNulls({
          type: 'tool_result',
          tool_use_id: plainCallId(part.callId),
          content: content.length === 0 ? null : content,
          is_error: part.isError ? true : null,
          ...writeMark(part.cache),
        }),
      ];
    }
  }
}

const imageTypes = /^image\/(?:jpeg|png|gif|webp)$/;

function writeAttachment(part: ImagePart | DocumentPart, notes: Notes): Json[] {
  const { source } = part;
  const mark = writeMark(part.cache);
  if (part.kind === 'image') {
    noteDetail(part, notes);
    if (source.kind === 'url') return [{ type: 'image', source: { type: 'url', url: source.url }, ...mark }];
    const mediaType = source.kind === 'base64' ? pictureType(source) : '';
    if (source.kind === 'base64' && imageTypes.test(mediaType))
      return [{ type: 'image', source: writeBase64({ mediaType, data: source.data }), ...mark }];
    noteUnsupported(notes, part.at);
    return [];
  }
  const written = writeDocument(part);
  if (written !== null)
    return [withoutNulls({ type: 'document', source: written, title: part.name, ...mark })];
  noteUnsupported(notes, part.at);
  return [];
}

const writeBase64 = ({ mediaType, data }: { mediaType: string; data: string }): Json => ({
  type: 'base64',
  media_type: mediaType,
  data,
});

/** A PDF by its bytes or URL, or plain text; null: any other type. */
function writeDocument({ source }: DocumentPart): Json | null {
  if (source.kind === 'url') return { type: 'url', url: source.url };
  if (source.kind === 'text') return { type: 'text', media_type: 'text/plain', data: source.text };
  if (source.mediaType.startsWith('text/'))
    return { type: 'text', media_type: 'text/plain', data: Buffer.from(source.data, 'base64').toString() };
  return source.mediaType === 'application/pdf' ? writeBase64(source) : null;
}
