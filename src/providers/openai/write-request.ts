/** Writes a request for a provider of OpenAI's chat dialect. https://platform.openai.com/docs/api-reference/chat */
import {
  type AudioPart,
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  type Effort,
  effortOf,
  type ImagePart,
  type Notes,
  noteCannot,
  noteDropped,
  type OutputForm,
  type Part,
  type TextPart,
  type Tool,
  type ToolResultPart,
} from '../chat.ts';
import { type Json, said } from '../json.ts';
import type { ChatCall, Destination } from '../provider.ts';
import { takesMarks, toolFailed, writeFileData, writeImageUrl, writeMark, writeSchema } from './parts.ts';

/** OpenAI's newer models refuse `max_tokens`, which other servers know only. */
const knowsCompletionTokens = ({ model, quirks }: Destination): boolean =>
  quirks.completionTokens === true || /^(?:gpt-|o\d|chatgpt-)/.test(model);
/** Models of old that don't reason refuse every word about it. */
const neverReasons = (model: string): boolean => /^(?:gpt-3|gpt-4|chatgpt-4)/.test(model);

/** The part of a path that names the model, where a provider's paths do. */
export const deploymentOf = ({ quirks, model }: Destination): string =>
  quirks.deployments === true ? `/deployments/${encodeURIComponent(model)}` : '';

export function writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const { names, tools, toolChoice, stop, output } = request;
  if (request.topK !== null) noteDropped(notes, names.topK);
  const marks = takesMarks(to.model);
  const effort = writeEffort(request, to.model, notes);
  const body = said({
    model: to.model,
    messages: request.messages.flatMap((message) => writeMessage(message, marks, notes)),
    tools: tools.length === 0 ? null : tools.map((tool) => writeTool(tool)),
    tool_choice:
      toolChoice?.kind === 'tool'
        ? { type: 'function', function: { name: toolChoice.name } }
        : toolChoice?.kind,
    parallel_tool_calls: tools.length === 0 ? null : request.parallelToolCalls,
    [knowsCompletionTokens(to) ? 'max_completion_tokens' : 'max_tokens']: request.maxTokens,
    stop: stop.length === 0 ? null : stop.length === 1 ? stop[0] : stop,
    temperature: request.temperature,
    top_p: request.topP,
    frequency_penalty: request.frequencyPenalty,
    presence_penalty: request.presencePenalty,
    seed: request.seed,
    response_format: output === null ? null : writeOutput(output),
    reasoning_effort: effort,
    user: request.user,
    metadata: request.metadata,
    ...(request.stream ? { stream: true } : {}),
    ...(request.stream && to.quirks.noStreamOptions !== true
      ? { stream_options: { include_usage: true } }
      : {}),
  });
  return { path: `${deploymentOf(to)}/chat/completions`, body, headers: [] };
}

function writeEffort({ reasoning, names }: ChatRequest, model: string, notes: Notes): Effort | null {
  const effort = reasoning === null ? null : effortOf(reasoning);
  if (!neverReasons(model)) return effort;
  if (reasoning !== null && effort !== 'none') noteDropped(notes, names.reasoning);
  return null;
}

const writeOutput = (output: OutputForm): Json =>
  output.kind === 'json'
    ? { type: 'json_object' }
    : { type: 'json_schema', json_schema: writeSchema(output) };

const writeTool = ({ name, description, parameters, strict }: Tool): Json => ({
  type: 'function',
  function: said({ name, description, parameters, strict }),
});

function writeMessage({ role, parts, name }: ChatMessage, marks: boolean, notes: Notes): Json[] {
  if (role === 'assistant') return [writeAssistant(parts, name, notes)];
  const results = parts.filter((part) => part.kind === 'tool_result');
  // Results hold text only: what else a tool gave follows in the user's name.
  const shown = results.flatMap(({ content }) => content.filter(({ kind }) => kind !== 'text'));
  const content = [...shown, ...parts].flatMap((part) => writePart(part, marks, notes));
  const messages = results.map(writeResult);
  if (content.length > 0) messages.push(said({ role, content: plain(content), name }));
  return messages;
}

/** One text without more is written as text. */
function plain(content: Json[]): unknown {
  const [first] = content;
  return content.length === 1 && first?.type === 'text' && Object.keys(first).length === 2
    ? first.text
    : content;
}

function writeResult({ callId, content, isError }: ToolResultPart): Json {
  const texts = content.flatMap((part) => (part.kind === 'text' ? [part.text] : []));
  const parts = (isError ? [toolFailed, ...texts] : texts).map((text) => ({ type: 'text', text }));
  return { role: 'tool', tool_call_id: callId, content: parts.length === 0 ? '' : plain(parts) };
}

/** What the model thought stays out: nobody asks for it back in this dialect. */
function writeAssistant(parts: readonly Part[], name: string | null, notes: Notes): Json {
  const content: Json[] = [];
  const calls: Json[] = [];
  let refusal: string | null = null;
  for (const part of parts) {
    if (part.kind === 'text') content.push({ type: 'text', text: part.text });
    else if (part.kind === 'refusal') refusal = (refusal ?? '') + part.text;
    else if (part.kind === 'tool_call') {
      const called = { name: part.name, arguments: part.arguments === '' ? '{}' : part.arguments };
      calls.push({ id: part.id, type: 'function', function: called });
    } else if (part.kind === 'image' || part.kind === 'document' || part.kind === 'audio')
      noteCannot(notes, part.at);
  }
  return {
    role: 'assistant',
    content: content.length === 0 ? null : plain(content),
    ...said({ refusal, tool_calls: calls.length === 0 ? null : calls, name }),
  };
}

function writePart(part: Part, marks: boolean, notes: Notes): Json[] {
  switch (part.kind) {
    case 'text':
      return [writeText(part, marks)];
    case 'image':
    case 'document':
    case 'audio': {
      const written = writeMedia(part);
      if (written === null) noteCannot(notes, part.at);
      else return [{ ...written, ...(part.kind === 'audio' ? {} : writeMark(part.cache, marks)) }];
      return [];
    }
    default:
      return [];
  }
}

const writeText = ({ text, cache }: TextPart, marks: boolean): Json => ({
  type: 'text',
  text,
  ...writeMark(cache, marks),
});

function writeMedia(part: ImagePart | DocumentPart | AudioPart): Json | null {
  if (part.kind === 'audio') {
    const format = part.mediaType === 'audio/mpeg' ? 'mp3' : part.mediaType.replace(/^audio\/(?:x-)?/, '');
    return { type: 'input_audio', input_audio: { data: part.data, format } };
  }
  if (part.kind === 'image') {
    const url = writeImageUrl(part);
    return url === null ? null : { type: 'image_url', image_url: said({ url, detail: part.detail }) };
  }
  // A document by its URL is taken nowhere in this dialect.
  const file = writeFileData(part);
  return file === null ? null : { type: 'file', file };
}
