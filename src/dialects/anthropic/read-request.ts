/** Reads an Anthropic messages request. https://docs.anthropic.com/en/api/messages */

import { isObject, type Json, listOf, numberOf, objectOf, textOf } from '../../base/json.ts';
import {
  type CacheMark,
  type ChatField,
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  displays,
  type Effort,
  efforts,
  type ImagePart,
  type Notes,
  noteDropped,
  noteInvalid,
  noteUnsupported,
  type OutputForm,
  type Part,
  type ReasoningSettings,
  resultsFirst,
  type Source,
  type TextPart,
  type Tool,
  type ToolChoice,
  unseal,
} from '../chat.ts';
import { unsigned } from '../foreign.ts';
import { noneEssential, noteRest, readItems } from '../members.ts';
import { noteHosted } from '../tool-kinds.ts';

const names: Readonly<Record<ChatField, string>> = {
  tools: 'tools',
  toolChoice: 'tool_choice',
  parallelToolCalls: 'tool_choice.disable_parallel_tool_use',
  stop: 'stop_sequences',
  maxTokens: 'max_tokens',
  temperature: 'temperature',
  topP: 'top_p',
  topK: 'top_k',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty',
  seed: 'seed',
  output: 'output_config.format',
  reasoning: 'thinking',
  user: 'metadata.user_id',
  metadata: 'metadata',
};

/** Where thinking is a matter of effort only. */
const namesOfEffort = { ...names, reasoning: 'output_config.effort' };

const known = new Set([
  'model',
  'messages',
  'system',
  'max_tokens',
  'stream',
  'stop_sequences',
  'temperature',
  'top_p',
  'top_k',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'output_format',
  'metadata',
  'cache_control',
  'context_management',
  'thread',
]);
const essential = new Set(['container', 'mcp_servers', 'compaction', 'inference_geo']);
const knownOfMessage = new Set(['role', 'content']);
const knownOfConfig = new Set(['effort', 'format']);
const knownOfThinking = new Set(['type', 'budget_tokens', 'display']);
const knownOfTools = new Set([
  'type',
  'name',
  'description',
  'input_schema',
  'strict',
  'cache_control',
  // How finely arguments are streamed, which doesn't change the reply; Vercel's `ai` always sends it.
  'eager_input_streaming',
]);

/** Reads a request into the neutral form. */
export function readRequest(body: Json, notes: Notes): ChatRequest {
  noteRest(body, known, essential, notes);
  noteContext(body.context_management, notes);
  noteThread(body.thread, notes);
  const choice = objectOf(body.tool_choice);
  const parallel = choice.disable_parallel_tool_use;
  return {
    // The field to change, if thinking is a matter of effort only.
    names: body.thinking === undefined ? namesOfEffort : names,
    stream: body.stream === true,
    messages: markLast(
      [...readSystem(body.system), ...readMessages(body.messages, notes)],
      body.cache_control,
    ),
    tools: readTools(body.tools, choice, notes),
    toolChoice: readChoice(choice, notes),
    parallelToolCalls: typeof parallel === 'boolean' ? !parallel : null,
    stop: Array.isArray(body.stop_sequences)
      ? body.stop_sequences.filter((text) => typeof text === 'string')
      : [],
    maxTokens: numberOf(body.max_tokens),
    temperature: numberOf(body.temperature),
    topP: numberOf(body.top_p),
    topK: numberOf(body.top_k),
    frequencyPenalty: null,
    presencePenalty: null,
    seed: null,
    // `output_format` was its name during the beta.
    output: readOutput(objectOf(body.output_config).format ?? body.output_format, notes),
    reasoning: readReasoning(objectOf(body.thinking), objectOf(body.output_config), notes),
    user: textOf(objectOf(body.metadata).user_id),
    metadata: null,
  };
}

/**
 * A conversation that its provider keeps. Where one begins, the request has all of it. What goes on with one has only what
 * is new, so that no other provider can answer it, whatever may be left out.
 */
function noteThread(thread: unknown, notes: Notes): void {
  if (!isObject(thread)) return;
  if (thread.type === 'create') noteDropped(notes, 'thread');
  else notes.unsupported ??= 'thread';
}

function readMark(value: unknown): CacheMark | null {
  if (!isObject(value)) return null;
  return { ttlS: value.ttl === '1h' ? 3600 : value.ttl === '5m' ? 300 : null };
}

/** `cache_control` of the request means a breakpoint on its last block. */
function markLast(messages: ChatMessage[], control: unknown): ChatMessage[] {
  const cache = readMark(control);
  const last = messages.at(-1);
  const part = last?.parts.at(-1);
  if (cache === null || last === undefined || part === undefined || !('cache' in part)) return messages;
  return [...messages.slice(0, -1), { ...last, parts: [...last.parts.slice(0, -1), { ...part, cache }] }];
}

function readSystem(system: unknown): ChatMessage[] {
  const parts = readTexts(system);
  return parts.length === 0 ? [] : [{ role: 'system', parts, name: null }];
}

const readTexts = (content: unknown): TextPart[] =>
  typeof content === 'string'
    ? [{ kind: 'text', text: content, cache: null }]
    : listOf(content).map(({ text, cache_control }) => ({
        kind: 'text',
        text: textOf(text) ?? '',
        cache: readMark(cache_control),
      }));

function readMessages(value: unknown, notes: Notes): ChatMessage[] {
  if (!Array.isArray(value)) noteInvalid(notes, 'messages', 'must be a list of messages');
  const calls = new Map<string, string>();
  const items = Array.isArray(value) ? readItems(value, 'messages', notes) : [];
  return items.map((message, index) => {
    noteRest(message, knownOfMessage, noneEssential, notes, 'messages', index);
    if (message.role === 'system') return { role: 'system', parts: readTexts(message.content), name: null };
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    if (role !== message.role) noteInvalid(notes, `messages[${index}].role`, 'must be "user" or "assistant"');
    if (typeof message.content === 'string')
      return { role, parts: [{ kind: 'text', text: message.content, cache: null }], name: null };
    const at = `messages[${index}].content`;
    const parts = readItems(message.content, at, notes).flatMap((block, number) =>
      readBlock(block, at, number, calls, notes),
    );
    return { role, parts: resultsFirst(parts), name: null };
  });
}

function readBlock(
  block: Json,
  list: string,
  index: number,
  calls: Map<string, string>,
  notes: Notes,
): Part[] {
  if (block.type === 'text')
    return [{ kind: 'text', text: textOf(block.text) ?? '', cache: readMark(block.cache_control) }];
  const at = `${list}[${index}]`;
  switch (block.type) {
    case 'image':
    case 'document':
      return readAttachment(block, at, notes);
    case 'thinking': {
      const signature = textOf(block.signature) ?? '';
      const proof = signature === '' || signature === unsigned ? null : unseal(signature, 'anthropic');
      return [{ kind: 'reasoning', text: textOf(block.thinking) ?? '', signature: proof }];
    }
    case 'redacted_thinking':
      return [{ kind: 'redacted', data: unseal(textOf(block.data) ?? '', 'anthropic') }];
    case 'tool_use': {
      const id = textOf(block.id) ?? '';
      const name = textOf(block.name) ?? '';
      calls.set(id, name);
      const cache = readMark(block.cache_control);
      return [
        {
          kind: 'tool_call',
          id,
          name,
          arguments: JSON.stringify(block.input ?? {}),
          cache,
          signature: null,
          at,
        },
      ];
    }
    case 'tool_result':
      return [readResult(block, at, calls, notes)];
    default:
      // What a search found is in the answer that follows.
      if (searches.test(textOf(block.type === 'server_tool_use' ? block.name : block.type) ?? ''))
        noteDropped(notes, at);
      else noteUnsupported(notes, at);
      return [];
  }
}

/** Searches that run at the provider, as a call of one and as its result. */
const searches = /^(?:web_search|web_fetch|tool_search(?:_tool_\w+)?)(?:_tool_result)?$/;

function readResult(block: Json, at: string, calls: ReadonlyMap<string, string>, notes: Notes): Part {
  const callId = textOf(block.tool_use_id) ?? '';
  const content =
    typeof block.content === 'string'
      ? readTexts(block.content)
      : readItems(block.content, `${at}.content`, notes).flatMap(
          (part, number): (TextPart | ImagePart | DocumentPart)[] => {
            const place = `${at}.content[${number}]`;
            if (part.type === 'text') return readTexts([part]);
            // A tool that an app's own search found: all of them are told, so its name is enough.
            if (part.type === 'tool_reference') return readTexts(textOf(part.tool_name));
            if (part.type === 'image' || part.type === 'document') return readAttachment(part, place, notes);
            noteUnsupported(notes, place);
            return [];
          },
        );
  return {
    kind: 'tool_result',
    callId,
    name: calls.get(callId) ?? null,
    content,
    isError: block.is_error === true,
    cache: readMark(block.cache_control),
    at,
  };
}

function readAttachment(block: Json, at: string, notes: Notes): (ImagePart | DocumentPart)[] {
  const source = readSource(objectOf(block.source));
  if (source === null) {
    // A file stored at the provider, or content made of other blocks.
    noteUnsupported(notes, at);
    return [];
  }
  const cache = readMark(block.cache_control);
  if (block.type === 'image') return [{ kind: 'image', source, detail: null, cache, at }];
  if (objectOf(block.citations).enabled === true) noteDropped(notes, `${at}.citations`);
  if (textOf(block.context) !== null) noteDropped(notes, `${at}.context`);
  return [{ kind: 'document', source, name: textOf(block.title), cache, at }];
}

function readSource({ type, url, data, media_type }: Json): Source | null {
  if (type === 'url' && typeof url === 'string') return { kind: 'url', url };
  if (typeof data !== 'string') return null;
  if (type === 'text') return { kind: 'text', text: data };
  return type === 'base64' && typeof media_type === 'string'
    ? { kind: 'base64', mediaType: media_type, data }
    : null;
}

/** Edits of the context before the model sees it. Thinking of earlier turns is no loss; results of tools are one. */
function noteContext(value: unknown, notes: Notes): void {
  if (!isObject(value)) return;
  const matters = listOf(value.edits).some(({ type }) => !/^clear_thinking_/.test(textOf(type) ?? ''));
  if (matters) noteUnsupported(notes, 'context_management');
  else noteDropped(notes, 'context_management');
}

function readTools(value: unknown, { type: choice }: Json, notes: Notes): Tool[] {
  const hosted: string[] = [];
  const tools = readItems(value, names.tools, notes).flatMap((tool, index): Tool[] => {
    const type = textOf(tool.type) ?? 'custom';
    if (type !== 'custom') {
      // All tools are told at once, so none needs to be searched for.
      if (/^tool_search_tool_/.test(type)) noteDropped(notes, `tools[${index}]`);
      else hosted.push(`tools[${index}]`);
      return [];
    }
    noteRest(tool, knownOfTools, noneEssential, notes, `tools[${index}].`);
    return [
      {
        name: textOf(tool.name) ?? '',
        description: textOf(tool.description),
        parameters: isObject(tool.input_schema) ? tool.input_schema : null,
        strict: typeof tool.strict === 'boolean' ? tool.strict : null,
        cache: readMark(tool.cache_control),
      },
    ];
  });
  const forced = choice === 'any' || choice === 'tool';
  noteHosted(hosted, { functions: tools.length, forced }, notes);
  return tools;
}

function readChoice({ type, name }: Json, notes: Notes): ToolChoice | null {
  if (type === 'auto' || type === 'none') return { kind: type };
  if (type === 'any') return { kind: 'required' };
  if (type === 'tool' && typeof name === 'string') return { kind: 'tool', name };
  if ((type ?? null) !== null) noteUnsupported(notes, names.toolChoice);
  return null;
}

function readOutput(format: unknown, notes: Notes): OutputForm | null {
  if (!isObject(format)) return null;
  if (format.type === 'json_schema' && isObject(format.schema))
    return { kind: 'schema', schema: format.schema, name: null, description: null, strict: null };
  noteUnsupported(notes, names.output);
  return null;
}

function readReasoning(thinking: Json, config: Json, notes: Notes): ReasoningSettings | null {
  const effort = efforts.find((name) => name === config.effort) ?? null;
  if (effort === null && (config.effort ?? null) !== null) noteDropped(notes, 'output_config.effort');
  noteRest(config, knownOfConfig, noneEssential, notes, 'output_config.');
  noteRest(thinking, knownOfThinking, noneEssential, notes, 'thinking.');
  const display = displays.find((name) => name === thinking.display) ?? null;
  switch (thinking.type) {
    case 'enabled':
      return { effort, budgetTokens: numberOf(thinking.budget_tokens), adaptive: false, display };
    case 'adaptive':
      return { effort, budgetTokens: null, adaptive: true, display };
    case 'disabled':
      return { effort: 'none', budgetTokens: null, adaptive: false, display: null };
    case undefined:
      return effort === null ? null : { effort, budgetTokens: null, adaptive: false, display: null };
    default:
      noteDropped(notes, names.reasoning);
      return effort === null
        ? null
        : { effort: effort satisfies Effort, budgetTokens: null, adaptive: false, display: null };
  }
}
