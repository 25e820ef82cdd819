/** Reads an Anthropic messages request and refuses what the API refuses. */

import { isObject, type Json, listOf } from '../base/json.ts';
import { sign } from './answer.ts';
import {
  attachmentTokens,
  base64Bytes,
  booleanField,
  numberField,
  shown,
  type Tally,
  tallyMessage,
  tallyText,
  wrongType,
} from './check.ts';
import { invalid, Rejection } from './errors.ts';
import type { Asked, Attachment, Tool } from './exchange.ts';
import { hash } from './random.ts';
import { takeLine } from './scenario.ts';

const thinkingLeast = 1024;
/** Limit on thinking whose length the model chooses, in tokens. */
const adaptiveMax = 4096;
const toolName = /^[a-zA-Z0-9_-]{1,128}$/;

function required(value: unknown, path: string): void {
  if (value === undefined || value === null) invalid(`${path}: Field required`);
}

function text(value: unknown, path: string): string {
  required(value, path);
  if (typeof value !== 'string') wrongType('anthropic', path, 'a valid string', value);
  return value;
}

interface ParsedContent {
  text: string;
  attachments: Attachment[];
  toolResult: string | null;
  toolUseIds: Set<string>;
  resultIds: string[];
}

function noContent(): ParsedContent {
  return { text: '', attachments: [], toolResult: null, toolUseIds: new Set(), resultIds: [] };
}

function attachment(block: Json, path: string): Attachment {
  const noun = block.type === 'image' ? 'an image' : 'a document';
  required(block.source, `${path}.source`);
  const source = isObject(block.source) ? block.source : {};
  if (typeof source.data !== 'string') return { noun, bytes: null };
  return { noun, bytes: source.type === 'text' ? Buffer.byteLength(source.data) : base64Bytes(source.data) };
}

function readThinking(block: Json, path: string, tally: Tally): void {
  const thinking = text(block.thinking, `${path}.thinking`);
  const signature = text(block.signature, `${path}.signature`);
  // Thinking that wasn't shown comes back empty, and its signature can't be checked.
  if (thinking !== '' && signature !== sign(thinking))
    invalid(`${path}: Invalid \`signature\` in \`thinking\` block`);
  tallyText(tally, thinking);
}

function readBlock(block: unknown, path: string, parsed: ParsedContent, tally: Tally): void {
  if (!isObject(block)) wrongType('anthropic', path, 'a valid dictionary', block);
  switch (block.type) {
    case 'text': {
      const part = text(block.text, `${path}.text`);
      if (part === '') invalid(`${path}: text content blocks must be non-empty`);
      tallyText(tally, part);
      parsed.text += parsed.text === '' ? part : `\n${part}`;
      return;
    }
    case 'image':
    case 'document': {
      const file = attachment(block, path);
      tally.tokens += attachmentTokens;
      tally.key = hash(`${file.noun} ${file.bytes}`, tally.key);
      parsed.attachments.push(file);
      return;
    }
    case 'tool_use':
      parsed.toolUseIds.add(text(block.id, `${path}.id`));
      tallyText(tally, `${text(block.name, `${path}.name`)} ${JSON.stringify(block.input ?? {})}`);
      return;
    case 'tool_result': {
      parsed.resultIds.push(text(block.tool_use_id, `${path}.tool_use_id`));
      const inner = noContent();
      readContent(block.content ?? '', `${path}.content`, inner, tally);
      parsed.toolResult = inner.text;
      for (const file of inner.attachments) parsed.attachments.push(file);
      return;
    }
    case 'thinking':
      readThinking(block, path, tally);
      return;
    default:
      // Blocks of server tools and the like are counted but otherwise ignored.
      if (typeof block.type !== 'string') invalid(`${path}.type: Field required`);
      tallyText(tally, JSON.stringify(block));
  }
}

function readContent(content: unknown, path: string, parsed: ParsedContent, tally: Tally): void {
  required(content, path);
  if (typeof content === 'string') {
    tallyText(tally, content);
    parsed.text = content;
    return;
  }
  if (!Array.isArray(content)) wrongType('anthropic', path, 'a valid list', content);
  for (const [n, block] of content.entries()) readBlock(block, `${path}.${n}`, parsed, tally);
}

function readMessages(body: Json, tally: Tally): ParsedContent {
  const { messages } = body;
  required(messages, 'messages');
  if (!Array.isArray(messages)) wrongType('anthropic', 'messages', 'a valid list', messages);
  if (messages.length === 0) invalid('messages: at least one message is required');
  let last = noContent();
  let before = noContent();
  for (const [n, message] of messages.entries()) {
    const path = `messages.${n}`;
    if (!isObject(message)) wrongType('anthropic', path, 'a valid dictionary', message);
    const role = text(message.role, `${path}.role`);
    if (role !== 'user' && role !== 'assistant' && role !== 'system') {
      invalid(`${path}.role: Input should be 'user' or 'assistant'`);
    }
    if (n === 0 && role === 'assistant') invalid('messages: first message must use the "user" role');
    tallyMessage(tally, role);
    const parsed = noContent();
    readContent(message.content, `${path}.content`, parsed, tally);
    for (const id of parsed.resultIds) {
      if (before.toolUseIds.has(id)) continue;
      const what = `unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${id}.`;
      invalid(
        `${path}.content: ${what} Each \`tool_result\` must have its \`tool_use\` in the previous message.`,
      );
    }
    const unanswered = [...before.toolUseIds].filter((id) => !parsed.resultIds.includes(id));
    if (unanswered.length > 0) {
      const what = `\`tool_use\` ids were found without \`tool_result\` blocks immediately after`;
      invalid(`${path}: ${what}: ${unanswered.join(', ')}.`);
    }
    before = parsed;
    // A message that only brings tool results asks nothing; the previous question still counts.
    if (role === 'user')
      last = parsed.text === '' && parsed.resultIds.length > 0 ? { ...parsed, text: last.text } : parsed;
    if (role === 'assistant') last = { ...last, toolResult: null };
  }
  return last;
}

function readTools(body: Json, tally: Tally): Tool[] {
  const { tools } = body;
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) wrongType('anthropic', 'tools', 'a valid list', tools);
  const read: Tool[] = [];
  for (const [n, tool] of tools.entries()) {
    if (!isObject(tool)) wrongType('anthropic', `tools.${n}`, 'a valid dictionary', tool);
    // Anthropic's server tools are offered but never called.
    if (typeof tool.type === 'string' && tool.type !== 'custom') continue;
    const name = text(tool.name, `tools.${n}.custom.name`);
    if (!toolName.test(name))
      invalid(`tools.${n}.custom.name: String should match pattern '${toolName.source}'`);
    required(tool.input_schema, `tools.${n}.custom.input_schema`);
    read.push({ name, schema: tool.input_schema });
  }
  if (read.length > 0) tallyText(tally, JSON.stringify(tools));
  return read;
}

function readToolChoice(
  body: Json,
  tools: readonly Tool[],
): { choice: Asked['toolChoice']; parallel: boolean } {
  const choice = body.tool_choice;
  if (choice === undefined || choice === null) return { choice: 'auto', parallel: true };
  if (!isObject(choice)) wrongType('anthropic', 'tool_choice', 'a valid dictionary', choice);
  if (tools.length === 0 && choice.type !== 'none')
    invalid('tool_choice may only be specified while providing tools');
  const parallel = choice.disable_parallel_tool_use !== true;
  if (choice.type === 'auto' || choice.type === 'none') return { choice: choice.type, parallel };
  if (choice.type === 'any') return { choice: 'required', parallel };
  if (choice.type !== 'tool') invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'");
  const name = text(choice.name, 'tool_choice.tool.name');
  if (!tools.some((tool) => tool.name === name)) invalid(`Tool '${name}' not found in provided tools`);
  return { choice: { name }, parallel };
}

function readThinkingMode(
  body: Json,
  outputMax: number,
  choice: Asked['toolChoice'],
): { max: number; shown: boolean } {
  const { thinking } = body;
  if (thinking === undefined || thinking === null) return { max: 0, shown: false };
  if (!isObject(thinking)) wrongType('anthropic', 'thinking', 'a valid dictionary', thinking);
  if (thinking.type === 'disabled') return { max: 0, shown: false };
  if (choice === 'required' || typeof choice === 'object') {
    invalid('Thinking may not be enabled when tool_choice forces tool use.');
  }
  const shown = thinking.display !== 'omitted';
  if (thinking.type !== 'enabled') return { max: adaptiveMax, shown };
  required(thinking.budget_tokens, 'thinking.enabled.budget_tokens');
  const range = { min: thinkingLeast, max: Number.MAX_SAFE_INTEGER, whole: true };
  const max = numberField('anthropic', thinking, 'budget_tokens', range, thinkingLeast);
  if (max >= outputMax) invalid('`max_tokens` must be greater than `thinking.budget_tokens`.');
  return { max, shown };
}

/** With a budget of thinking, a turn that is amid a call of tools must have begun with thinking. */
function checkOpenTurn({ thinking, messages }: Json): void {
  if (!isObject(thinking) || thinking.type !== 'enabled') return;
  const [called, result] = listOf(messages).slice(-2);
  if (called?.role !== 'assistant' || !listOf(result?.content).some(({ type }) => type === 'tool_result'))
    return;
  const first = listOf(called.content)[0]?.type ?? 'text';
  if (first === 'thinking' || first === 'redacted_thinking') return;
  const path = `messages.${listOf(messages).length - 2}.content.0.type`;
  invalid(`${path}: Expected \`thinking\` or \`redacted_thinking\`, but found \`${first}\`.`);
}

function readFormat(body: Json): Asked['json'] {
  const format = isObject(body.output_config) ? body.output_config.format : undefined;
  if (format === undefined || format === null) return null;
  if (!isObject(format) || format.type !== 'json_schema') {
    invalid("output_config.format.type: Input should be 'json_schema'");
  }
  required(format.schema, 'output_config.format.schema');
  return { schema: format.schema };
}

function readStops(body: Json): string[] {
  const stops = body.stop_sequences;
  if (stops === undefined || stops === null) return [];
  if (!Array.isArray(stops)) wrongType('anthropic', 'stop_sequences', 'a valid list', stops);
  for (const [n, one] of stops.entries()) {
    if (text(one, `stop_sequences.${n}`).trim() === '') {
      invalid('stop_sequences: each stop sequence must contain non-whitespace');
    }
  }
  return stops;
}

/** The model's name; refused if missing, as the API does. */
export function modelOf(body: Json): string {
  const model = text(body.model, 'model');
  if (model === '') invalid('model: String should have at least 1 character');
  return model;
}

/** Nothing is kept of a conversation, so that every thread is one that is no longer known. */
function refuseThread(thread: unknown): void {
  if (!isObject(thread) || thread.type !== 'continue') return;
  const message = `No usable thread was found for ${shown(thread.previous_message_id)}.`;
  const details = { error_code: 'thread_not_found' };
  throw new Rejection({ status: 404, type: 'not_found_error', message, details });
}

/**
 * Reads the body of `POST /v1/messages`, or of `/v1/messages/count_tokens`, where `max_tokens` is optional.
 * Throws a `Rejection` where the API would refuse.
 */
export function readMessagesRequest(body: Json, counting: boolean): Asked {
  const model = modelOf(body);
  refuseThread(body.thread);
  if (!counting) required(body.max_tokens, 'max_tokens');
  const range = { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true };
  const outputMax = numberField('anthropic', body, 'max_tokens', range, Number.POSITIVE_INFINITY);
  numberField('anthropic', body, 'temperature', { min: 0, max: 1, whole: false }, 1);
  const tally: Tally = { tokens: 3, key: hash(model) };
  if (body.system !== undefined && body.system !== null)
    readContent(body.system, 'system', noContent(), tally);
  const parsed = readMessages(body, tally);
  const tools = readTools(body, tally);
  const { choice, parallel } = readToolChoice(body, tools);
  const thinking = readThinkingMode(body, outputMax, choice);
  checkOpenTurn(body);
  const line = takeLine(parsed.text);
  return {
    dialect: 'anthropic',
    model,
    stream: booleanField('anthropic', body, 'stream'),
    choices: 1,
    outputMax,
    stops: readStops(body),
    question: line?.rest ?? parsed.text,
    line: line?.pairs ?? null,
    toolResult: parsed.toolResult,
    attachments: parsed.attachments,
    tools,
    toolChoice: choice,
    parallel,
    json: readFormat(body),
    thinkingMax: thinking.max,
    thinkingShown: thinking.shown,
    includeUsage: true,
    inputTokens: tally.tokens,
    key: tally.key,
  };
}
