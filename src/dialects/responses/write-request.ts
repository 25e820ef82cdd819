/** Writes a request for a provider of OpenAI's Responses API. https://platform.openai.com/docs/api-reference/responses */

import { type Json, withoutNulls } from '../../base/json.ts';
import { plainCallId } from '../call-id.ts';
import {
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  type ImagePart,
  type Notes,
  noteDropped,
  noteUnsupported,
  type OutputForm,
  type Part,
  type TextPart,
  type Tool,
} from '../chat.ts';
import {
  takesMarks,
  toolFailed,
  writeEffort,
  writeFileData,
  writeImageUrl,
  writeMark,
  writeParameters,
  writeSampling,
  writeSchema,
  writeShared,
  writeUser,
} from '../openai/parts.ts';
import { customInput, customNames } from '../tool-kinds.ts';
import type { ChatCall, Destination } from '../wire.ts';
import { writeOwn } from './reasoning.ts';

/** Writes a request from the neutral form. */
export function writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const { names, tools, toolChoice, output } = request;
  if (request.stop.length > 0) noteUnsupported(notes, names.stop);
  for (const field of ['topK', 'frequencyPenalty', 'presencePenalty', 'seed'] as const) {
    if (request[field] !== null) noteDropped(notes, names[field]);
  }
  const effort = writeEffort(request, to, notes);
  const marks = takesMarks(to.served);
  const customs = customNames(request);
  const { verbosity, ...shared } = writeShared(request, to, notes);
  const text = {
    ...(output === null ? {} : writeOutput(output, to.served, names.output, notes)),
    ...(verbosity === undefined ? {} : { verbosity }),
  };
  const body = withoutNulls({
    model: to.model,
    input: request.messages.flatMap((message) => writeMessage(message, customs, marks, notes)),
    max_output_tokens: writeLimit(request, notes),
    ...writeSampling({ ...request, frequencyPenalty: null, presencePenalty: null }),
    tools:
      tools.length === 0
        ? null
        : tools.map((tool, index) => writeTool(tool, `${names.tools}[${index}]`, to, notes)),
    tool_choice:
      toolChoice?.kind === 'tool'
        ? { type: customs.has(toolChoice.name) ? 'custom' : 'function', name: toolChoice.name }
        : toolChoice?.kind,
    parallel_tool_calls: tools.length === 0 ? null : request.parallelToolCalls,
    text: Object.keys(text).length === 0 ? null : text,
    reasoning: effort === null ? null : { effort },
    // The provider stores nothing of the conversation, so reasoning that must be sent back is requested.
    include: effort === null || effort === 'none' ? null : ['reasoning.encrypted_content'],
    store: false,
    user: writeUser(request.user),
    metadata: request.metadata,
    ...shared,
    stream: request.stream ? true : null,
  });
  return { path: '/responses', body, headers: [] };
}

/** The API refuses fewer tokens, which chat completions and other providers take. */
const limitMinTokens = 16;

function writeLimit({ maxTokens, names }: ChatRequest, notes: Notes): number | null {
  if (maxTokens === null || maxTokens >= limitMinTokens) return maxTokens;
  noteDropped(notes, names.maxTokens);
  return limitMinTokens;
}

function writeOutput(output: OutputForm, model: string, field: string, notes: Notes): Json | null {
  if (output.kind === 'json') return { format: { type: 'json_object' } };
  const schema = writeSchema(output, model, field, notes);
  return schema === null ? null : { format: { type: 'json_schema', ...schema } };
}

/** Writes a tool; the API's default is strict. */
function writeTool(
  { name, description, parameters, strict, custom }: Tool,
  at: string,
  to: Destination,
  notes: Notes,
): Json {
  if (custom !== undefined) {
    const format = custom.grammar === null ? null : { type: 'grammar', ...custom.grammar };
    return withoutNulls({ type: 'custom', name, description, format });
  }
  return {
    ...withoutNulls({ type: 'function', name, description }),
    parameters: writeParameters(parameters ?? {}, at, to, notes),
    strict: strict ?? false,
  };
}

function writeMessage(
  { role, parts }: ChatMessage,
  customs: ReadonlySet<string>,
  marks: boolean,
  notes: Notes,
): Json[] {
  const items: Json[] = [];
  let content: Json[] = [];
  const flush = (): void => {
    if (content.length > 0) items.push({ type: 'message', role, content });
    content = [];
  };
  for (const part of parts) {
    if (part.kind === 'text') {
      content.push(writeText(part, role, marks));
      continue;
    }
    const item = writeItem(part, customs, marks, notes);
    if (item !== null) {
      flush();
      items.push(item);
    } else content.push(...writeContent(part, role, marks, notes));
  }
  flush();
  return items;
}

/** Writes a part that is an item; null: it is content of a message, or left out. */
function writeItem(part: Part, customs: ReadonlySet<string>, marks: boolean, notes: Notes): Json | null {
  switch (part.kind) {
    case 'reasoning':
      return writeOwn(part);
    case 'tool_call': {
      const text = part.arguments === '' ? '{}' : part.arguments;
      const call = { call_id: plainCallId(part.id), name: part.name };
      return customs.has(part.name)
        ? { type: 'custom_tool_call', ...call, input: customInput(text) }
        : { type: 'function_call', ...call, arguments: text };
    }
    case 'tool_result': {
      const texts = part.isError ? [{ type: 'input_text', text: toolFailed }] : [];
      const output = [
        ...texts,
        ...part.content.flatMap((inner) => writeContent(inner, 'user', marks, notes)),
      ];
      const [first] = output;
      const plain = output.length === 1 && first?.type === 'input_text' ? first.text : output;
      return {
        type: customs.has(part.name ?? '') ? 'custom_tool_call_output' : 'function_call_output',
        call_id: plainCallId(part.callId),
        output: output.length === 0 ? '' : plain,
      };
    }
    default:
      return null;
  }
}

function writeText({ text, cache }: TextPart, role: ChatMessage['role'], marks: boolean): Json {
  if (role === 'assistant') return { type: 'output_text', text, annotations: [] };
  return cache === null
    ? { type: 'input_text', text }
    : { type: 'input_text', text, ...writeMark(cache, marks) };
}

function writeContent(part: Part, role: ChatMessage['role'], marks: boolean, notes: Notes): Json[] {
  switch (part.kind) {
    case 'text':
      return [writeText(part, role, marks)];
    case 'refusal':
      return [{ type: 'refusal', refusal: part.text }];
    case 'image':
    case 'document': {
      const written = writeMedia(part);
      if (written !== null) return [{ ...written, ...writeMark(part.cache, marks) }];
      noteUnsupported(notes, part.at);
      return [];
    }
    case 'audio':
      noteUnsupported(notes, part.at);
      return [];
    default:
      return [];
  }
}

function writeMedia(part: ImagePart | DocumentPart): Json | null {
  if (part.kind === 'image') {
    const url = writeImageUrl(part);
    return url === null ? null : { type: 'input_image', image_url: url, detail: part.detail ?? 'auto' };
  }
  if (part.source.kind === 'url') return { type: 'input_file', file_url: part.source.url };
  return { type: 'input_file', ...writeFileData(part) };
}
