/** Reads a request of OpenAI's Responses API: refuses what the API refuses, ignores what has no effect here. */

import { isObject, type Json } from '../base/json.ts';
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
import { invalid } from './errors.ts';
import type { Asked, Attachment, Tool } from './exchange.ts';
import { modelOf } from './openai-request.ts';
import { hash } from './random.ts';
import { takeLine } from './scenario.ts';

const messageOverhead = 3;
const outputMin = 16;
const thinkingMax = 4096;
const toolsMax = 128;
const toolName = /^[a-zA-Z0-9_-]{1,64}$/;
const roles = ['system', 'developer', 'user', 'assistant'];
/** Parameters of the chat API that this one doesn't have. */
const foreign = [
  'messages',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'n',
  'response_format',
  'reasoning_effort',
];

interface ParsedContent {
  text: string;
  attachments: Attachment[];
}

interface Conversation extends ParsedContent {
  toolResult: string | null;
}

const missing = (name: string): never =>
  invalid(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter');
const unknownValue = (value: unknown, path: string, supported: string): never =>
  invalid(`Invalid value: '${shown(value)}'. Supported values are: ${supported}.`, path, 'invalid_value');

function attachment(part: Json): Attachment | null {
  const bytesOf = (url: unknown): number | null =>
    typeof url === 'string' && url.startsWith('data:') ? base64Bytes(url.slice(url.indexOf(',') + 1)) : null;
  if (part.type === 'input_image') return { noun: 'an image', bytes: bytesOf(part.image_url) };
  return part.type === 'input_file' ? { noun: 'a document', bytes: bytesOf(part.file_data) } : null;
}

/** Text and attachments of a message's content; adds to the tally. */
function readContent(content: unknown, path: string, assistant: boolean, tally: Tally): ParsedContent {
  const parsed: ParsedContent = { text: '', attachments: [] };
  if (typeof content === 'string') {
    tallyText(tally, content);
    return { ...parsed, text: content };
  }
  if (!Array.isArray(content)) wrongType('openai', path, 'one of a string or array of objects', content);
  for (const [n, part] of content.entries()) {
    const at = `${path}[${n}]`;
    if (!isObject(part)) wrongType('openai', at, 'an object', part);
    const file = assistant ? null : attachment(part);
    if (file !== null) {
      tally.tokens += attachmentTokens;
      tally.key = hash(`${file.noun} ${file.bytes}`, tally.key);
      parsed.attachments.push(file);
      continue;
    }
    const texts = assistant ? ['output_text', 'refusal'] : ['input_text'];
    if (!texts.includes(String(part.type)))
      unknownValue(
        part.type,
        at,
        assistant ? "'output_text' and 'refusal'" : "'input_text', 'input_image', and 'input_file'",
      );
    const field = part.type === 'refusal' ? 'refusal' : 'text';
    const text = part[field];
    if (typeof text !== 'string') wrongType('openai', `${at}.${field}`, 'a string', text);
    tallyText(tally, text);
    parsed.text += parsed.text === '' ? text : `\n${text}`;
  }
  return parsed;
}

/** Reasoning that is sent back must be unchanged. */
function checkReasoning({ id, encrypted_content: sealed }: Json): void {
  if (sealed === undefined || sealed === null)
    invalid(
      `Item with id '${shown(id)}' not found. Items are not persisted when \`store\` is set to false. ` +
        'Try again with `store` set to true, or remove this item from your input.',
      'input',
    );
  if (sealed !== sign(String(id)))
    invalid(
      `The encrypted content for item ${shown(id)} could not be verified.`,
      null,
      'invalid_encrypted_content',
    );
}

function readInput(body: Json, tally: Tally): Conversation {
  const { input } = body;
  if (input === undefined || input === null) missing('input');
  if (typeof input === 'string') {
    tallyMessage(tally, 'user');
    return { ...readContent(input, 'input', false, tally), toolResult: null };
  }
  if (!Array.isArray(input)) wrongType('openai', 'input', 'one of a string or array of items', input);
  let last: ParsedContent = { text: '', attachments: [] };
  let toolResult: string | null = null;
  const callIds = new Set<unknown>();
  for (const [n, item] of input.entries()) {
    const path = `input[${n}]`;
    if (!isObject(item)) wrongType('openai', path, 'an object', item);
    switch (item.type ?? 'message') {
      case 'message': {
        const { role } = item;
        if (!roles.includes(String(role)))
          unknownValue(role, `${path}.role`, "'assistant', 'system', 'developer', and 'user'");
        tallyMessage(tally, String(role));
        const parsed = readContent(item.content, `${path}.content`, role === 'assistant', tally);
        if (role === 'user') last = parsed;
        toolResult = null;
        break;
      }
      case 'function_call':
        if (typeof item.call_id !== 'string') missing(`${path}.call_id`);
        if (typeof item.name !== 'string') missing(`${path}.name`);
        if (typeof item.arguments !== 'string') missing(`${path}.arguments`);
        callIds.add(item.call_id);
        tallyText(tally, `${item.name} ${item.arguments}`);
        break;
      case 'function_call_output':
        if (!callIds.has(item.call_id))
          invalid(
            `No tool call found for function call output with call_id ${shown(item.call_id)}.`,
            'input',
          );
        toolResult = readContent(item.output, `${path}.output`, false, tally).text;
        break;
      case 'reasoning':
        checkReasoning(item);
        break;
      case 'item_reference':
        invalid(`Item with id '${shown(item.id)}' not found.`, 'input');
        break;
      default:
        unknownValue(item.type, path, "'message', 'reasoning', 'function_call', and 'function_call_output'");
    }
  }
  return { ...last, toolResult };
}

function readTools(body: Json, tally: Tally): Tool[] {
  const { tools } = body;
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) wrongType('openai', 'tools', 'an array of objects', tools);
  if (tools.length > toolsMax)
    invalid(
      `Invalid 'tools': array too long. Expected at most ${toolsMax}.`,
      'tools',
      'array_above_max_length',
    );
  const read: Tool[] = [];
  for (const [n, tool] of tools.entries()) {
    if (!isObject(tool)) wrongType('openai', `tools[${n}]`, 'an object', tool);
    // Tools of other types are accepted but never called.
    if (tool.type !== 'function') continue;
    const { name, parameters } = tool;
    if (typeof name !== 'string') missing(`tools[${n}].name`);
    if (!toolName.test(String(name)))
      invalid(`Invalid 'tools[${n}].name': expected 1 to 64 letters, digits, _ or -.`, `tools[${n}].name`);
    read.push({ name: String(name), schema: parameters });
  }
  if (read.length > 0) tallyText(tally, JSON.stringify(tools));
  return read;
}

function readChoice({ tool_choice: choice }: Json, tools: readonly Tool[]): Asked['toolChoice'] {
  if (choice === undefined || choice === null) return 'auto';
  if (choice === 'auto' || choice === 'none') return choice;
  if (choice === 'required') {
    if (tools.length > 0) return choice;
    return invalid("Tool choice 'required' must be specified with 'tools' parameter.", 'tool_choice');
  }
  const name = isObject(choice) && choice.type === 'function' ? choice.name : undefined;
  if (!tools.some((tool) => tool.name === name))
    invalid(`Tool choice '${shown(name)}' not found in 'tools' parameter.`, 'tool_choice');
  return { name: String(name) };
}

function readFormat({ text, input }: Json): Asked['json'] {
  const format = isObject(text) ? text.format : null;
  if (format === undefined || format === null) return null;
  if (!isObject(format)) wrongType('openai', 'text.format', 'an object', format);
  if (format.type === 'text') return null;
  if (format.type === 'json_object') {
    if (/json/i.test(JSON.stringify(input))) return { schema: null };
    return invalid(
      "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
      'input',
    );
  }
  if (format.type !== 'json_schema')
    unknownValue(format.type, 'text.format.type', "'json_object', 'json_schema', and 'text'");
  if (typeof format.name !== 'string') missing('text.format.name');
  if (!isObject(format.schema)) missing('text.format.schema');
  return { schema: format.schema };
}

/** Reads the body of `POST /v1/responses`. Throws a `Rejection` where the API would refuse. */
export function readResponses(body: Json): Asked {
  const model = modelOf(body);
  for (const name of foreign)
    if (name in body) invalid(`Unknown parameter: '${name}'.`, name, 'unknown_parameter');
  if (typeof body.previous_response_id === 'string')
    invalid(
      `Previous response with id '${shown(body.previous_response_id)}' not found.`,
      'previous_response_id',
      'previous_response_not_found',
    );
  const tally: Tally = { tokens: messageOverhead, key: hash(model) };
  if (typeof body.instructions === 'string') tallyText(tally, body.instructions);
  const parsed = readInput(body, tally);
  const tools = readTools(body, tally);
  const whole = { min: outputMin, max: Number.MAX_SAFE_INTEGER, whole: true };
  numberField('openai', body, 'temperature', { min: 0, max: 2, whole: false }, 1);
  numberField('openai', body, 'top_p', { min: 0, max: 1, whole: false }, 1);
  const { effort, summary } = isObject(body.reasoning) ? body.reasoning : {};
  const thinks = typeof effort === 'string' && effort !== 'none';
  const included = Array.isArray(body.include) ? body.include : [];
  const line = takeLine(parsed.text);
  return {
    dialect: 'responses',
    model,
    stream: booleanField('openai', body, 'stream'),
    choices: 1,
    outputMax: numberField('openai', body, 'max_output_tokens', whole, Number.POSITIVE_INFINITY),
    stops: [],
    question: line?.rest ?? parsed.text,
    line: line?.pairs ?? null,
    toolResult: parsed.toolResult,
    attachments: parsed.attachments,
    tools,
    toolChoice: readChoice(body, tools),
    parallel: body.parallel_tool_calls !== false,
    json: readFormat(body),
    thinkingMax: thinks ? thinkingMax : 0,
    thinkingShown: thinks && typeof summary === 'string',
    thinkingSealed: included.includes('reasoning.encrypted_content'),
    includeUsage: true,
    inputTokens: tally.tokens,
    key: tally.key,
  };
}
