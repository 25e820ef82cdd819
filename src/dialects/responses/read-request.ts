/** Reads a request of OpenAI's Responses API. https://platform.openai.com/docs/api-reference/responses */

import { isObject, type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import {
  type ChatMessage,
  type ChatRequest,
  type Notes,
  noteDropped,
  noteInvalid,
  noteUnsupported,
  type OutputForm,
  type Part,
  type Tool,
  type ToolChoice,
  type ToolResultPart,
} from '../chat.ts';
import { noteRest, readItems } from '../members.ts';
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
} from '../openai/parts.ts';
import { customArguments, customTool, flatName, noteHosted } from '../tool-kinds.ts';
import { readReasoning } from './reasoning.ts';

const names = {
  ...openaiNames,
  maxTokens: 'max_output_tokens',
  output: 'text.format',
  reasoning: 'reasoning.effort',
};

const known = new Set([
  'model',
  'input',
  'instructions',
  'stream',
  'stream_options',
  'max_output_tokens',
  'temperature',
  'top_p',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'text',
  'reasoning',
  'user',
  'safety_identifier',
  'metadata',
  'include',
  'prompt_cache_key',
  'prompt_cache_retention',
  'service_tier',
  'store',
]);
/** Fields that only OpenAI can interpret, most since it stores the conversation. */
const essential = new Set([
  'moderation',
  'previous_response_id',
  'conversation',
  'prompt',
  'background',
  'context_management',
]);

/** Reads a request into the neutral form. */
export function readRequest(body: Json, notes: Notes): ChatRequest {
  noteRest(body, known, essential, notes);
  const { format, verbosity } = objectOf(body.text);
  // Encrypted reasoning is always included.
  const included = Array.isArray(body.include) ? body.include : [];
  if (included.some((name) => name !== 'reasoning.encrypted_content')) noteDropped(notes, 'include');
  const effort = readEffort(objectOf(body.reasoning).effort, names.reasoning, notes);
  return {
    names,
    stream: body.stream === true,
    messages: [...readInstructions(body.instructions), ...readInput(body.input, notes)],
    tools: readTools(body.tools, body.tool_choice, notes),
    toolChoice: readChoice(body.tool_choice, notes),
    parallelToolCalls: typeof body.parallel_tool_calls === 'boolean' ? body.parallel_tool_calls : null,
    stop: [],
    maxTokens: numberOf(body.max_output_tokens),
    temperature: numberOf(body.temperature),
    topP: numberOf(body.top_p),
    topK: null,
    frequencyPenalty: null,
    presencePenalty: null,
    seed: null,
    output: readFormat(objectOf(format), notes),
    reasoning:
      effort === null ? null : { effort, budgetTokens: null, adaptive: false, display: 'summarized' },
    ...readCaller(body),
    ...readShared(body, { at: 'text.verbosity', value: verbosity }),
  };
}

const readInstructions = (text: unknown): ChatMessage[] =>
  typeof text === 'string' && text !== ''
    ? [{ role: 'system', parts: [{ kind: 'text', text, cache: null }], name: null }]
    : [];

function readInput(input: unknown, notes: Notes): ChatMessage[] {
  if (typeof input === 'string')
    return [{ role: 'user', parts: [{ kind: 'text', text: input, cache: null }], name: null }];
  if (!Array.isArray(input)) noteInvalid(notes, 'input', 'must be a string or a list of items');
  const items = Array.isArray(input) ? readItems(input, 'input', notes) : [];
  const calls = new Map<string, string>();
  const messages: ChatMessage[] = [];
  /** The parts of the last message, and whether all of them are results. */
  let open: Part[] = [];
  let results = false;
  // Consecutive items of the assistant, or results, are joined; two messages of the user stay separate.
  const add = (role: ChatMessage['role'], parts: readonly Part[]): void => {
    const joined = messages.at(-1)?.role === role && (role === 'assistant' || (role === 'user' && results));
    if (!joined) {
      open = [];
      results = true;
      messages.push({ role, parts: open, name: null });
    }
    for (const part of parts) open.push(part);
    results &&= parts.every(({ kind }) => kind === 'tool_result');
  };
  for (const [index, item] of items.entries()) {
    const at = `input[${index}]`;
    switch (item.type ?? 'message') {
      case 'message': {
        const role = roles.find((name) => name === item.role);
        if (role === undefined)
          noteInvalid(notes, `${at}.role`, 'must be "system", "developer", "user" or "assistant"');
        else add(role, readContent(item.content, `${at}.content`, notes));
        break;
      }
      case 'custom_tool_call':
      case 'function_call': {
        const id = textOf(item.call_id) ?? '';
        const name = flatName(textOf(item.namespace), textOf(item.name) ?? '');
        calls.set(id, name);
        const custom = item.type === 'custom_tool_call';
        const text = custom ? customArguments(textOf(item.input) ?? '') : (textOf(item.arguments) ?? '');
        add('assistant', [
          {
            kind: 'tool_call',
            id,
            name,
            arguments: text,
            cache: null,
            signature: null,
            at: `${at}.arguments`,
          },
        ]);
        break;
      }
      case 'custom_tool_call_output':
      case 'function_call_output':
        add('user', [readResult(item, at, calls, notes)]);
        break;
      case 'reasoning':
        add('assistant', readReasoning(item));
        break;
      case 'image_generation_call': {
        const picture = readPicture(item, at);
        if (picture === null) noteUnsupported(notes, at);
        else add('assistant', [picture]);
        break;
      }
      case 'web_search_call':
        // What was found is in the answer that follows.
        noteDropped(notes, at);
        break;
      default:
        noteUnsupported(notes, at);
    }
  }
  return messages;
}

const roles = ['system', 'developer', 'user', 'assistant'] as const;

function readResult(
  item: Json,
  at: string,
  calls: ReadonlyMap<string, string>,
  notes: Notes,
): ToolResultPart {
  const parts = readContent(item.output, `${at}.output`, notes);
  return readToolResult(parts, textOf(item.call_id) ?? '', calls, at).result;
}

function readContent(content: unknown, at: string, notes: Notes): Part[] {
  if (typeof content === 'string') return plainText(content);
  return readItems(content, at, notes).flatMap((part, index): Part[] => {
    const read = readPart(part, `${at}[${index}]`);
    if (read !== null) return [read];
    noteUnsupported(notes, `${at}[${index}]`);
    return [];
  });
}

/** A picture that the model made, as replies have it; null: it is known by its id only. */
function readPicture({ result, output_format: format }: Json, at: string): Part | null {
  if (typeof result !== 'string' || result === '') return null;
  const source = { kind: 'base64', mediaType: `image/${textOf(format) ?? 'png'}`, data: result } as const;
  return { kind: 'image', source, detail: null, cache: null, at };
}

/** Null: no other dialect has such a part, for example a file by its id. */
function readPart(part: Json, at: string): Part | null {
  const cache = readMark(part);
  switch (part.type) {
    case 'input_text':
    case 'output_text':
      return { kind: 'text', text: textOf(part.text) ?? '', cache };
    case 'refusal':
      return { kind: 'refusal', text: textOf(part.refusal) ?? '' };
    case 'input_image': {
      const url = textOf(part.image_url);
      const source = url === null ? null : readImageUrl(url);
      return source === null ? null : { kind: 'image', source, detail: textOf(part.detail), cache, at };
    }
    case 'input_file': {
      const name = textOf(part.filename);
      const [url, data] = [textOf(part.file_url), textOf(part.file_data)];
      if (url !== null) return { kind: 'document', source: { kind: 'url', url }, name, cache, at };
      const source = data === null ? null : readFileData(data);
      return source === null ? null : { kind: 'document', source, name, cache, at };
    }
    default:
      return null;
  }
}

function readTools(value: unknown, choice: unknown, notes: Notes): Tool[] {
  const hosted: string[] = [];
  const read = (tool: Json, at: string, namespace: string | null): Tool[] => {
    if (tool.type === 'namespace' && namespace === null) {
      const inner = `${at}.tools`;
      return readItems(tool.tools, inner, notes).flatMap((each, number) =>
        read(each, `${inner}[${number}]`, textOf(tool.name) ?? ''),
      );
    }
    if ((tool.type !== 'function' && tool.type !== 'custom') || typeof tool.name !== 'string') {
      hosted.push(at);
      return [];
    }
    const made = tool.type === 'custom' ? customTool(tool, at) : readFunction(tool);
    if (namespace === null) return [made];
    const origin = { name: tool.name, namespace, custom: tool.type === 'custom' };
    return [{ ...made, name: flatName(namespace, tool.name), origin }];
  };
  const items = readItems(value, names.tools, notes);
  const tools = items.flatMap((tool, index) => read(tool, `tools[${index}]`, null));
  const forced = choice === 'required' || isObject(choice);
  noteHosted(hosted, { functions: tools.length, forced }, notes);
  return tools;
}

const readFunction = (tool: Json): Tool => ({
  name: textOf(tool.name) ?? '',
  description: textOf(tool.description),
  parameters: isObject(tool.parameters) ? tool.parameters : null,
  strict: typeof tool.strict === 'boolean' ? tool.strict : null,
  cache: null,
});

function readChoice(choice: unknown, notes: Notes): ToolChoice | null {
  if (choice === null || choice === undefined) return null;
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { kind: choice };
  const { type, name, namespace } = objectOf(choice);
  if ((type === 'function' || type === 'custom') && typeof name === 'string')
    return { kind: 'tool', name: flatName(textOf(namespace), name) };
  noteUnsupported(notes, names.toolChoice);
  return null;
}

function readFormat(format: Json, notes: Notes): OutputForm | null {
  const output = readOutput(format.type, format);
  if (output === undefined) noteUnsupported(notes, names.output);
  return output ?? null;
}
