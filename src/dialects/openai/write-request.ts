/** Writes a request for a provider of OpenAI's chat dialect. https://platform.openai.com/docs/api-reference/chat */

import { type Json, withoutNulls } from '../../base/json.ts';
import {
  type AudioPart,
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  type Effort,
  type ImagePart,
  type Notes,
  noteDropped,
  noteUnsupported,
  type OutputForm,
  type Part,
  type Signature,
  type TextPart,
  type Tool,
  type ToolResultPart,
} from '../chat.ts';
import { fit } from '../fit.ts';
import { reasonsWith, refusesOf } from '../refuses.ts';
import { customNames } from '../tool-kinds.ts';
import { joinedTexts } from '../turns.ts';
import type { ChatCall, Destination } from '../wire.ts';
import { isOpenAi, stopMax } from './models.ts';
import {
  isOpenAis,
  takesMarks,
  textOfDocument,
  toolFailed,
  writeCallId,
  writeEffort,
  writeFileData,
  writeImageUrl,
  writeMark,
  writeParameters,
  writeSampling,
  writeSchema,
  writeShared,
  writeUser,
} from './parts.ts';
import { writeExtra, writeOwnDetails } from './reasoning.ts';
import { writeCalled } from './reply.ts';

/** The part of a path that names the model; empty unless the provider's paths do. */
export const deploymentOf = ({ quirks, model }: Destination): string =>
  quirks.deployments === true ? `/deployments/${encodeURIComponent(model)}` : '';

/** Writes a request from the neutral form. */
export function writeRequest(asked: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const request = fit(asked, { stopMax: stopMax(to.served), outputWithTools: true }, notes);
  const { names, tools, toolChoice, stop, output } = request;
  if (request.topK !== null) noteDropped(notes, names.topK);
  const marks = takesMarks(to.served);
  const customs = customNames(request);
  const effort = besideTools(request, writeEffort(request, to, notes), to, notes);
  const shared = writeShared(request, to, notes);
  // OpenAI accepts metadata only for completions that it stores.
  const marked = !isOpenAi(to.served) || shared.store === true;
  if (request.metadata !== null && !marked) noteDropped(notes, names.metadata);
  const body = withoutNulls({
    model: to.model,
    messages: request.messages.flatMap((message) => writeMessage(message, customs, to, marks, notes)),
    tools:
      tools.length === 0
        ? null
        : tools.map((tool, index) => writeTool(tool, `${names.tools}[${index}]`, to, notes)),
    tool_choice:
      toolChoice?.kind === 'tool'
        ? customs.has(toolChoice.name)
          ? { type: 'custom', custom: { name: toolChoice.name } }
          : { type: 'function', function: { name: toolChoice.name } }
        : toolChoice?.kind,
    parallel_tool_calls: tools.length === 0 ? null : request.parallelToolCalls,
    // Its newer models refuse `max_tokens`; other servers know only that.
    [isOpenAis(to) ? 'max_completion_tokens' : 'max_tokens']: request.maxTokens,
    stop: stop.length === 0 ? null : stop.length === 1 ? stop[0] : stop,
    ...writeSampling(request),
    seed: request.seed,
    response_format: output === null ? null : writeOutput(output, to.served, names.output, notes),
    reasoning_effort: effort,
    user: writeUser(request.user),
    metadata: marked ? request.metadata : null,
    ...shared,
    ...(request.stream ? { stream: true } : {}),
    ...(request.stream && to.quirks.noStreamOptions !== true
      ? { stream_options: { include_usage: true } }
      : {}),
  });
  return { path: `${deploymentOf(to)}/chat/completions`, body, headers: [] };
}

/** The effort beside tools: some models take tools in chat completions only while they don't reason. */
function besideTools(
  { tools, names }: ChatRequest,
  effort: Effort | null,
  to: Destination,
  notes: Notes,
): Effort | null {
  const refuses = refusesOf(to);
  if (tools.length === 0 || refuses.chatTools !== true || !reasonsWith(effort, refuses)) return effort;
  if (effort !== null) noteDropped(notes, names.reasoning);
  return 'none';
}

function writeOutput(output: OutputForm, model: string, field: string, notes: Notes): Json | null {
  if (output.kind === 'json') return { type: 'json_object' };
  const schema = writeSchema(output, model, field, notes);
  return schema === null ? null : { type: 'json_schema', json_schema: schema };
}

function writeTool(
  { name, description, parameters: given, strict, custom }: Tool,
  at: string,
  to: Destination,
  notes: Notes,
): Json {
  if (custom === undefined) {
    const parameters = given === null ? null : writeParameters(given, at, to, notes);
    return { type: 'function', function: withoutNulls({ name, description, parameters, strict }) };
  }
  const format = custom.grammar === null ? null : { type: 'grammar', grammar: custom.grammar };
  return { type: 'custom', custom: withoutNulls({ name, description, format }) };
}

function writeMessage(
  { role, parts, name }: ChatMessage,
  customs: ReadonlySet<string>,
  to: Destination,
  marks: boolean,
  notes: Notes,
): Json[] {
  if (role === 'assistant') return writeAssistant(parts, name, customs, to);
  const results = parts.filter((part) => part.kind === 'tool_result');
  // Results can contain text only: other content follows in a message of the user.
  const shown = results.flatMap(({ content }) => content.filter(({ kind }) => kind !== 'text'));
  const content = [...shown, ...parts].flatMap((part) => writePart(part, marks, notes));
  const messages = results.map((result) => writeResult(result, to));
  // Only OpenAI has the role `developer`.
  const speaker = role === 'developer' && !isOpenAi(to.served) ? 'system' : role;
  if (content.length > 0) messages.push(withoutNulls({ role: speaker, content: plain(content, to), name }));
  return messages;
}

/** A single text without a cache breakpoint is written as a string; several too, as few servers but OpenAI's take lists. */
function plain(content: Json[], { served }: Destination): unknown {
  const [first] = content;
  if (content.length === 1) return isBare(first) ? first?.text : content;
  return isOpenAi(served) || !content.every(isBare) ? content : (joinedTexts(content) ?? content);
}

/** Whether a part is a text without a cache breakpoint. */
const isBare = (part: Json | undefined): boolean =>
  part?.type === 'text' && part.prompt_cache_breakpoint === undefined;

function writeResult({ callId, content, isError }: ToolResultPart, to: Destination): Json {
  const texts = content.flatMap((part) => (part.kind === 'text' ? [part.text] : []));
  const parts = (isError ? [toolFailed, ...texts] : texts).map((text) => ({ type: 'text', text }));
  return {
    role: 'tool',
    tool_call_id: writeCallId(callId, to.served),
    content: parts.length === 0 ? '' : plain(parts, to),
  };
}

/** Writes a turn of the model; of its reasoning what this provider takes back. */
function writeAssistant(
  parts: readonly Part[],
  name: string | null,
  customs: ReadonlySet<string>,
  to: Destination,
): Json[] {
  const { served, quirks } = to;
  const content: Json[] = [];
  const calls: Json[] = [];
  let refusal: string | null = null;
  let thought = '';
  /** A call's signature that preceded the call as a separate part. */
  let loose: Signature | null = null;
  for (const part of parts) {
    if (part.kind === 'text') content.push({ type: 'text', text: part.text });
    else if (part.kind === 'refusal') refusal = (refusal ?? '') + part.text;
    else if (part.kind === 'reasoning') thought += part.text;
    else if (part.kind === 'redacted') loose = part.data;
    else if (part.kind === 'tool_call') {
      const args = part.arguments === '' ? '{}' : part.arguments;
      const called = writeCalled(part.name, args, customs.has(part.name));
      // Only Google's OpenAI-compatible endpoint knows the field.
      const signed = served.includes('gemini') ? writeExtra(part.signature ?? loose) : {};
      calls.push({ id: writeCallId(part.id, served), ...called, ...signed });
      loose = null;
    }
  }
  if (content.length === 0 && calls.length === 0 && refusal === null) return [];
  const details = quirks.detailsBack === true ? writeOwnDetails(parts, served.includes('claude')) : [];
  const back = thought === '' || details.length > 0 ? [] : (quirks.reasoningBack ?? []);
  return [
    {
      role: 'assistant',
      content: content.length === 0 ? null : plain(content, to),
      ...withoutNulls({
        refusal,
        ...Object.fromEntries(back.map((field) => [field, thought])),
        reasoning_details: details.length === 0 ? null : details,
        tool_calls: calls.length === 0 ? null : calls,
        name,
      }),
    },
  ];
}

function writePart(part: Part, marks: boolean, notes: Notes): Json[] {
  switch (part.kind) {
    case 'text':
      return [writeText(part, marks)];
    case 'image':
    case 'document':
    case 'audio': {
      // A plain text needs no file, which few servers but OpenAI's take.
      const text = part.kind === 'document' ? textOfDocument(part) : null;
      if (text !== null && part.kind === 'document')
        return [writeText({ kind: 'text', text, cache: part.cache }, marks)];
      const written = writeMedia(part);
      if (written === null) noteUnsupported(notes, part.at);
      else return [{ ...written, ...(part.kind === 'audio' ? {} : writeMark(part.cache, marks)) }];
      return [];
    }
    default:
      return [];
  }
}

const writeText = ({ text, cache }: TextPart, marks: boolean): Json =>
  cache === null ? { type: 'text', text } : { type: 'text', text, ...writeMark(cache, marks) };

function writeMedia(part: ImagePart | DocumentPart | AudioPart): Json | null {
  if (part.kind === 'audio') {
    const format = part.mediaType === 'audio/mpeg' ? 'mp3' : part.mediaType.replace(/^audio\/(?:x-)?/, '');
    return { type: 'input_audio', input_audio: { data: part.data, format } };
  }
  if (part.kind === 'image') {
    const url = writeImageUrl(part);
    return url === null ? null : { type: 'image_url', image_url: withoutNulls({ url, detail: part.detail }) };
  }
  // The dialect has no documents by URL.
  const file = writeFileData(part);
  return file === null ? null : { type: 'file', file };
}
