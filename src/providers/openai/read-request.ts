/** Reads an OpenAI chat completions request. https://platform.openai.com/docs/api-reference/chat */
import {
  type CacheMark,
  type ChatField,
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  efforts,
  type Notes,
  noteCannot,
  noteInvalid,
  noteRest,
  type OutputForm,
  type Part,
  type TextPart,
  type Tool,
  type ToolCallPart,
  type ToolChoice,
  type ToolResultPart,
} from '../chat.ts';
import { isObject, type Json, listOf, numberOf, objectOf, textOf } from '../json.ts';
import { readDataUrl } from './data-url.ts';
import { readDetails, readExtra } from './reasoning.ts';
import { toolFailed } from './write-request.ts';

const names: Readonly<Record<ChatField, string>> = {
  tools: 'tools',
  toolChoice: 'tool_choice',
  parallelToolCalls: 'parallel_tool_calls',
  stop: 'stop',
  maxTokens: 'max_completion_tokens',
  temperature: 'temperature',
  topP: 'top_p',
  topK: 'top_k',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty',
  seed: 'seed',
  output: 'response_format',
  reasoning: 'reasoning_effort',
  user: 'user',
  metadata: 'metadata',
};

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
]);
const matter = new Set(['functions', 'function_call', 'web_search_options', 'audio', 'moderation']);

export function readRequest(body: Json, notes: Notes): ChatRequest {
  noteRest(body, known, matter, notes);
  if ((numberOf(body.n) ?? 1) > 1) noteCannot(notes, 'n');
  if (Array.isArray(body.modalities) && body.modalities.some((form) => form !== 'text'))
    noteCannot(notes, 'modalities');
  const effort = efforts.find((name) => name === body.reasoning_effort) ?? null;
  const metadata = objectOf(body.metadata);
  return {
    names: body.max_tokens === undefined ? names : { ...names, maxTokens: 'max_tokens' },
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
    output: readOutput(objectOf(body.response_format), notes),
    reasoning: effort === null ? null : { effort, budgetTokens: null, adaptive: false },
    user: textOf(body.user) ?? textOf(body.safety_identifier),
    metadata: Object.keys(metadata).length === 0 ? null : (metadata as Record<string, string>),
  };
}

const readStop = (stop: unknown): string[] =>
  typeof stop === 'string'
    ? [stop]
    : Array.isArray(stop)
      ? stop.filter((text) => typeof text === 'string')
      : [];

/** `prompt_cache_breakpoint`, and Anthropic's `cache_control`, which apps send through OpenAI's SDK as well. */
function readMark(part: Json): CacheMark | null {
  const { prompt_cache_breakpoint: own, cache_control: other } = part;
  if (isObject(own)) return { ttlS: own.ttl === '12h' ? 43_200 : own.ttl === '30m' ? 1800 : null };
  if (isObject(other)) return { ttlS: other.ttl === '1h' ? 3600 : other.ttl === '5m' ? 300 : null };
  return null;
}

function readMessages(value: unknown, notes: Notes): ChatMessage[] {
  if (!Array.isArray(value)) noteInvalid(notes, 'messages', 'must be a list of messages');
  const calls = new Map<string, string>();
  const messages: ChatMessage[] = [];
  let results: ToolResultPart[] = [];
  // Results of one turn belong together, and to what the user says with them.
  const flush = (parts: readonly Part[]): boolean => {
    if (results.length === 0) return false;
    messages.push({ role: 'user', parts: [...results, ...parts], name: null });
    results = [];
    return true;
  };
  for (const [index, message] of listOf(value).entries()) {
    const at = `messages[${index}]`;
    const name = textOf(message.name);
    if (message.role === 'tool') {
      results.push(readResult(message, at, calls, notes));
      continue;
    }
    const parts = readMessage(message, at, calls, notes);
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
        noteCannot(notes, `${at}.role`);
        break;
      default:
        noteInvalid(notes, `${at}.role`, 'must be "system", "developer", "user", "assistant" or "tool"');
    }
  }
  flush([]);
  return messages;
}

function readMessage(message: Json, at: string, calls: Map<string, string>, notes: Notes): Part[] {
  if (message.role !== 'assistant') return readContent(message.content, `${at}.content`, notes);
  for (const field of ['function_call', 'audio']) {
    if ((message[field] ?? null) !== null) noteCannot(notes, `${at}.${field}`);
  }
  const parts: Part[] = [...readDetails(message), ...readContent(message.content, `${at}.content`, notes)];
  const refusal = textOf(message.refusal) ?? '';
  if (refusal !== '') parts.push({ kind: 'refusal', text: refusal });
  for (const [number, call] of listOf(message.tool_calls).entries()) {
    const read = readCall(call, `${at}.tool_calls[${number}]`, notes);
    if (read === null) continue;
    calls.set(read.id, read.name);
    parts.push(read);
  }
  return parts;
}

function readCall(call: Json, at: string, notes: Notes): ToolCallPart | null {
  const { name, arguments: given } = objectOf(call.function);
  if (typeof name !== 'string') {
    noteCannot(notes, at);
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

function readContent(content: unknown, at: string, notes: Notes): Part[] {
  if (typeof content === 'string')
    return content === '' ? [] : [{ kind: 'text', text: content, cache: null }];
  return listOf(content).flatMap((part, index) => readPart(part, `${at}[${index}]`, notes));
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
      const source = readDataUrl(url) ?? ({ kind: 'url', url } as const);
      return [{ kind: 'image', source, detail: textOf(detail), cache, at }];
    }
    case 'input_audio': {
      const { data, format } = objectOf(part.input_audio);
      if (typeof data !== 'string' || typeof format !== 'string') break;
      return [{ kind: 'audio', mediaType: format === 'mp3' ? 'audio/mpeg' : `audio/${format}`, data, at }];
    }
    case 'file': {
      const read = readFile(objectOf(part.file), cache, at);
      if (read === null) break;
      return [read];
    }
  }
  noteCannot(notes, at);
  return [];
}

/** A file by its id is in the provider's own store, where no other can read it. */
function readFile({ file_data, filename }: Json, cache: CacheMark | null, at: string): DocumentPart | null {
  if (typeof file_data !== 'string') return null;
  const source = readDataUrl(file_data) ?? {
    kind: 'base64' as const,
    mediaType: 'application/pdf',
    data: file_data,
  };
  const text = source.kind === 'base64' && source.mediaType.startsWith('text/plain');
  return {
    kind: 'document',
    source: text ? { kind: 'text', text: Buffer.from(source.data, 'base64').toString('utf8') } : source,
    name: textOf(filename),
    cache,
    at,
  };
}

function readResult(
  message: Json,
  at: string,
  calls: ReadonlyMap<string, string>,
  notes: Notes,
): ToolResultPart {
  const callId = textOf(message.tool_call_id) ?? '';
  const parts = readContent(message.content, `${at}.content`, notes);
  const content = parts.filter(
    (part) => part.kind === 'text' || part.kind === 'image' || part.kind === 'document',
  );
  if (content.length < parts.length) noteCannot(notes, `${at}.content`);
  const [first] = content;
  const isError = first?.kind === 'text' && first.text === toolFailed;
  return {
    kind: 'tool_result',
    callId,
    name: calls.get(callId) ?? null,
    content: isError ? content.slice(1) : content,
    isError,
    cache: null,
    at,
  };
}

function readTools(value: unknown, notes: Notes): Tool[] {
  return listOf(value).flatMap((tool, index): Tool[] => {
    const { name, description, parameters, strict } = objectOf(tool.function);
    if (tool.type !== 'function' || typeof name !== 'string') {
      noteCannot(notes, `tools[${index}]`);
      return [];
    }
    return [
      {
        name,
        description: textOf(description),
        parameters: isObject(parameters) ? parameters : null,
        strict: typeof strict === 'boolean' ? strict : null,
        cache: readMark(tool),
      },
    ];
  });
}

function readChoice(choice: unknown, notes: Notes): ToolChoice | null {
  if (choice === null || choice === undefined) return null;
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { kind: choice };
  const { name } = objectOf(objectOf(choice).function);
  if (typeof name === 'string') return { kind: 'tool', name };
  noteCannot(notes, names.toolChoice);
  return null;
}

function readOutput({ type, json_schema }: Json, notes: Notes): OutputForm | null {
  if (type === undefined || type === 'text') return null;
  if (type === 'json_object') return { kind: 'json' };
  const { schema, name, description, strict } = objectOf(json_schema);
  if (type === 'json_schema' && isObject(schema)) {
    return {
      kind: 'schema',
      schema,
      name: textOf(name),
      description: textOf(description),
      strict: typeof strict === 'boolean' ? strict : null,
    };
  }
  noteCannot(notes, names.output);
  return null;
}
