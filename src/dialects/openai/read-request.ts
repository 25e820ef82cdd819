/** Reads an OpenAI chat completions request. https://platform.openai.com/docs/api-reference/chat */

import { isObject, type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import {
  type CacheMark,
  type ChatMessage,
  type ChatRequest,
  type Notes,
  noteDropped,
  noteInvalid,
  noteUnsupported,
  type OutputForm,
  type Part,
  type TextPart,
  type Tool,
  type ToolCallPart,
  type ToolChoice,
  type ToolResultPart,
} from '../chat.ts';
import { noneEssential, noteRest, readItems } from '../members.ts';
import { customArguments, customTool } from '../tool-kinds.ts';
import {
  openaiNames,
  plainText,
  readCaller,
  readEffort,
  readFileData,
  readImageUrl,
  readMark,
  readOutput,
  readShared,
  readToolResult,
} from './parts.ts';
import { readDetails, readExtra } from './reasoning.ts';

const known = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'stop',
  'temperature',
  'top_p',
  'top_k',
  'frequency_penalty',
  'presence_penalty',
  'seed',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'response_format',
  'reasoning_effort',
  'user',
  'safety_identifier',
  'metadata',
  'modalities',
  'prompt_cache_key',
  'prompt_cache_retention',
  'service_tier',
  'store',
  'verbosity',
]);
const knownOfMessage = new Set([
  'role',
  'content',
  'name',
  'tool_calls',
  'tool_call_id',
  'refusal',
  'reasoning',
  'reasoning_content',
  'reasoning_details',
  'cache_control',
  'prompt_cache_breakpoint',
  // What other members of a reply come back with, and what is refused by name.
  'annotations',
  'function_call',
  'audio',
]);
const knownOfFunction = new Set(['name', 'description', 'parameters', 'strict', 'cache_control']);
const essential = new Set(['functions', 'function_call', 'web_search_options', 'audio', 'moderation']);

/** Where the limit has its earlier name. */
const earlierNames = { ...openaiNames, maxTokens: 'max_tokens' };

/** Reads a request into the neutral form. */
export function readRequest(body: Json, notes: Notes): ChatRequest {
  noteRest(body, known, essential, notes);
  if ((numberOf(body.n) ?? 1) > 1) noteUnsupported(notes, 'n');
  if (Array.isArray(body.modalities) && body.modalities.some((form) => form !== 'text'))
    noteUnsupported(notes, 'modalities');
  const effort = readEffort(body.reasoning_effort, openaiNames.reasoning, notes);
  return {
    names: body.max_tokens === undefined ? openaiNames : earlierNames,
    stream: body.stream === true,
    messages: readMessages(body.messages, notes),
    tools: readTools(body.tools, notes),
    toolChoice: readChoice(body.tool_choice, notes),
    parallelToolCalls: typeof body.parallel_tool_calls === 'boolean' ? body.parallel_tool_calls : null,
    stop: readStop(body.stop),
    maxTokens: numberOf(body.max_completion_tokens) ?? numberOf(body.max_tokens),
    temperature: numberOf(body.temperature),
    topP: numberOf(body.top_p),
    topK: numberOf(body.top_k),
    frequencyPenalty: numberOf(body.frequency_penalty),
    presencePenalty: numberOf(body.presence_penalty),
    seed: numberOf(body.seed),
    output: readFormat(objectOf(body.response_format), notes),
    reasoning:
      effort === null ? null : { effort, budgetTokens: null, adaptive: false, display: 'summarized' },
    ...readCaller(body),
    ...readShared(body, { at: 'verbosity', value: body.verbosity }),
  };
}

const readStop = (stop: unknown): string[] =>
  typeof stop === 'string'
    ? [stop]
    : Array.isArray(stop)
      ? stop.filter((text) => typeof text === 'string')
      : [];

function readMessages(value: unknown, notes: Notes): ChatMessage[] {
  if (!Array.isArray(value)) noteInvalid(notes, 'messages', 'must be a list of messages');
  const items = Array.isArray(value) ? readItems(value, 'messages', notes) : [];
  const calls = new Map<string, string>();
  const messages: ChatMessage[] = [];
  let results: ToolResultPart[] = [];
  // Results of one turn are joined with each other and with the user's message that follows.
  const flush = (parts: readonly Part[]): boolean => {
    if (results.length === 0) return false;
    messages.push({ role: 'user', parts: [...results, ...parts], name: null });
    results = [];
    return true;
  };
  for (const [index, message] of items.entries()) {
    noteRest(message, knownOfMessage, noneEssential, notes, 'messages', index);
    if (message.role === 'tool') {
      results.push(readResult(message, index, calls, notes));
      continue;
    }
    const name = textOf(message.name);
    // No other dialect distinguishes speakers of the same role.
    if (name !== null) noteDropped(notes, `messages[${index}].name`);
    const parts = markLast(readMessage(message, index, calls, notes), readMark(message));
    switch (message.role) {
      case 'user':
        if (!flush(parts)) messages.push({ role: 'user', parts, name });
        break;
      case 'system':
      case 'developer':
      case 'assistant':
        flush([]);
        messages.push({ role: message.role, parts, name });
        break;
      case 'function':
        noteUnsupported(notes, `messages[${index}].role`);
        break;
      default:
        noteInvalid(
          notes,
          `messages[${index}].role`,
          'must be "system", "developer", "user", "assistant" or "tool"',
        );
    }
  }
  flush([]);
  return messages;
}

/** A breakpoint of the message is one of its last part. */
function markLast(parts: readonly Part[], cache: CacheMark | null): readonly Part[] {
  const last = parts.at(-1);
  if (cache === null || last === undefined || !('cache' in last)) return parts;
  return [...parts.slice(0, -1), { ...last, cache: last.cache ?? cache }];
}

/** What other dialects can't say of a turn. */
const refusedOfTurn = ['function_call', 'audio'];

function readMessage(message: Json, index: number, calls: Map<string, string>, notes: Notes): Part[] {
  const { content } = message;
  const said = typeof content === 'string' ? plainText(content) : readContent(content, index, notes);
  if (message.role !== 'assistant') return said;
  for (const field of refusedOfTurn) {
    if ((message[field] ?? null) !== null) noteUnsupported(notes, `messages[${index}].${field}`);
  }
  const thought = readDetails(message);
  const parts: Part[] = thought.length === 0 ? said : [...thought, ...said];
  if (message.refusal === undefined && message.tool_calls === undefined) return parts;
  const at = `messages[${index}]`;
  const refusal = textOf(message.refusal) ?? '';
  if (refusal !== '') parts.push({ kind: 'refusal', text: refusal });
  for (const [number, call] of readItems(message.tool_calls, `${at}.tool_calls`, notes).entries()) {
    const read = readCall(call, `${at}.tool_calls[${number}]`, notes);
    if (read === null) continue;
    calls.set(read.id, read.name);
    parts.push(read);
  }
  return parts;
}

function readCall(call: Json, at: string, notes: Notes): ToolCallPart | null {
  const custom = objectOf(call.custom);
  const { name, arguments: given } = isObject(call.custom)
    ? { name: custom.name, arguments: customArguments(textOf(custom.input) ?? '') }
    : objectOf(call.function);
  if (typeof name !== 'string') {
    noteUnsupported(notes, at);
    return null;
  }
  const id = textOf(call.id) ?? '';
  return {
    kind: 'tool_call',
    id,
    name,
    arguments: textOf(given) ?? '',
    cache: null,
    signature: readExtra(call),
    at: `${at}.function.arguments`,
  };
}

function readContent(content: unknown, index: number, notes: Notes): Part[] {
  const at = `messages[${index}].content`;
  return readItems(content, at, notes).flatMap((part, index) => readPart(part, `${at}[${index}]`, notes));
}

const readText = (part: Json): TextPart => ({
  kind: 'text',
  text: textOf(part.text) ?? '',
  cache: readMark(part),
});

function readPart(part: Json, at: string, notes: Notes): Part[] {
  const cache = readMark(part);
  switch (part.type) {
    case 'text':
      return [readText(part)];
    case 'refusal':
      return [{ kind: 'refusal', text: textOf(part.refusal) ?? '' }];
    case 'image_url': {
      const { url, detail } = objectOf(part.image_url);
      if (typeof url !== 'string') break;
      const source = readImageUrl(url);
      if (source === null) break;
      return [{ kind: 'image', source, detail: textOf(detail), cache, at }];
    }
    case 'input_audio': {
      const { data, format } = objectOf(part.input_audio);
      if (typeof data !== 'string' || typeof format !== 'string') break;
      return [{ kind: 'audio', mediaType: format === 'mp3' ? 'audio/mpeg' : `audio/${format}`, data, at }];
    }
    case 'file': {
      // A file id refers to the provider's own storage, which no other provider can read.
      const { file_data: data, filename } = objectOf(part.file);
      if (typeof data !== 'string') break;
      const source = readFileData(data);
      if (source === null) break;
      return [{ kind: 'document', source, name: textOf(filename), cache, at }];
    }
  }
  noteUnsupported(notes, at);
  return [];
}

function readResult(
  message: Json,
  index: number,
  calls: ReadonlyMap<string, string>,
  notes: Notes,
): ToolResultPart {
  const at = `messages[${index}]`;
  const { content } = message;
  const parts = typeof content === 'string' ? plainText(content) : readContent(content, index, notes);
  const { result, whole } = readToolResult(parts, textOf(message.tool_call_id) ?? '', calls, at);
  if (!whole) noteUnsupported(notes, `${at}.content`);
  return result;
}

function readTools(value: unknown, notes: Notes): Tool[] {
  return readItems(value, openaiNames.tools, notes).flatMap((tool, index): Tool[] => {
    if (tool.type === 'custom') return [customTool(objectOf(tool.custom), `tools[${index}].custom`)];
    const called = objectOf(tool.function);
    const { name, description, parameters, strict } = called;
    if (tool.type !== 'function' || typeof name !== 'string') {
      noteUnsupported(notes, `tools[${index}]`);
      return [];
    }
    noteRest(called, knownOfFunction, noneEssential, notes, `tools[${index}].function.`);
    return [
      {
        name,
        description: textOf(description),
        parameters: isObject(parameters) ? parameters : null,
        strict: typeof strict === 'boolean' ? strict : null,
        cache: readMark(tool) ?? readMark(called),
      },
    ];
  });
}

function readChoice(choice: unknown, notes: Notes): ToolChoice | null {
  if (choice === null || choice === undefined) return null;
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { kind: choice };
  const { name } = objectOf(objectOf(choice).function ?? objectOf(choice).custom);
  if (typeof name === 'string') return { kind: 'tool', name };
  noteUnsupported(notes, openaiNames.toolChoice);
  return null;
}

function readFormat({ type, json_schema }: Json, notes: Notes): OutputForm | null {
  const output = readOutput(type, objectOf(json_schema));
  if (output === undefined) noteUnsupported(notes, openaiNames.output);
  return output ?? null;
}
